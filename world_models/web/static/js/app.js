// Puts the pieces together: who acts, when a step is taken, what is shown.

import { Clock } from "./clock.js";
import { Gamepad, Hands, listenToButtons, listenToKeyboard } from "./controls.js";
import { Dream } from "./dream.js";
import { directions, makeDriver } from "./drive.js";
import { DreamError } from "./files.js";
import { makeHook } from "./hook.js";
import { LatentSliders } from "./latents.js";
import { loadManifest, loadRecording, Networks } from "./model.js";
import { buildPad } from "./pad.js";
import { Panel } from "./panel.js";
import { ActionBars, MemoryStrip, MixtureBars } from "./plots.js";
import { Picture, Recorded } from "./view.js";
import { fillIn, modeWords, overWords } from "./words.js";

const $ = (id) => document.getElementById(id);
/** Numbers and sliders follow at every fourth step: nobody reads faster, and writing to the page costs time. */
const READABLE = 4;

class App {
  constructor(manifest, networks) {
    this.manifest = manifest;
    this.networks = networks;
    this.dream = new Dream(networks, manifest);
    this.mode = networks.hasController ? "agent" : "you";
    this.recordings = new Map(); // start -> promise of its recording
    this.recording = null; // the one of this start, once it is there
    this.turn = Promise.resolve(); // steps and repaints, one after the other

    this.driver = makeDriver(manifest.controls);
    const grip = () => this.setMode("you");
    this.hands = new Hands(directions(manifest.controls), grip);
    new Gamepad(this.hands, this).watch();
    this.picture = new Picture($("dream"));
    this.real = new Recorded($("real"));
    this.actionBars = new ActionBars($("actions"), manifest.controls, Math.round(manifest.fps / 2));
    this.mixtureBars = new MixtureBars($("mixture"), manifest.gaussians);
    this.memoryStrip = new MemoryStrip($("memory"), manifest.hidden_size);
    this.sliders = new LatentSliders($("sliders"), $("latent-says"), manifest, {
      onHold: (k, value) => this.hold(k, value),
      onRelease: (k) => this.release(k),
    });
    this.clock = new Clock(manifest.fps, () => this.tick(), (error) => this.fail(error));
    this.panel = new Panel(this);
    buildPad($("pad"), manifest.controls, this.driver, grip);
    listenToButtons($("pad"), this.hands);
    listenToKeyboard(this.hands, this, () => this.panel.keysListen());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.memoryStrip.readColours());
  }

  /** The first picture; then time runs, unless the visitor asked for less motion. */
  async open() {
    this.memoryStrip.begin(this.dream.h);
    await this.panel.buildStarts();
    await this.repaint();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.panel.say("Paused, as your device asks for less motion. Play starts the dream.");
      this.panel.showState();
    } else {
      this.play();
      this.panel.say(modeWords(this.mode, this.manifest.controls.kind));
    }
  }

  // -- time ----------------------------------------------------------------------------------------------

  /** Runs `work` when whatever runs now is done: steps and repaints share z. */
  exclusively(work) {
    const result = this.turn.then(work);
    this.turn = result.catch(() => {}); // the caller hears of it; the next in turn need not
    return result;
  }

  tick() {
    return this.exclusively(() => this.advance());
  }

  async advance(action, pick, noise) {
    if (this.dream.over) return;
    const chosen = action ?? (await this.chooseAction());
    if (!chosen) return this.useUp();
    await this.dream.step(chosen, pick, noise);
    this.actionBars.push(this.dream.action);
    await this.show(this.clock.running && !this.dream.over && this.dream.steps % READABLE !== 0);
    this.memoryStrip.push(this.dream.h);
    if (this.dream.over) this.end();
  }

  chooseAction() {
    if (this.mode === "agent") return this.dream.decide();
    if (this.mode === "replay") return this.recordedAction();
    return this.driver.action(this.hands.now());
  }

  /** What was really done at this moment; undefined when the recording is over. */
  async recordedAction() {
    const { actions } = await this.recordingOf(this.dream.start);
    return actions[this.moment()];
  }

  /** Where in the recording the dream is: it began after `warm_up` real steps. */
  moment() {
    return this.manifest.starts[this.dream.start].warm_up + this.dream.steps;
  }

  async stepOnce(action, pick, noise) {
    this.pause();
    await this.exclusively(() => this.advance(action, pick, noise));
  }

  step() {
    this.stepOnce().catch((error) => this.fail(error));
  }

  // -- what is shown -------------------------------------------------------------------------------------

  async show(picturesOnly = false) {
    this.picture.show(await this.dream.picture());
    if (this.recording && this.panel.showsReal()) this.panel.noteReal(this.real.show(this.recording, this.moment()));
    if (picturesOnly) return;
    const { z, held, weights, component } = this.dream;
    this.sliders.show(z, held);
    this.actionBars.show();
    this.mixtureBars.show(weights, component);
    this.panel.showNumbers();
  }

  /** Shows a z that was changed by hand. Calls that come while one waits are one. */
  repaint() {
    this.waiting ??= this.exclusively(() => {
      this.waiting = null;
      return this.show();
    });
    return this.waiting;
  }

  // -- what the visitor can do (commands) ----------------------------------------------------------------

  play() {
    if (this.dream.over) this.reset();
    this.clock.play();
    this.panel.showState();
  }

  pause() {
    this.clock.pause();
    this.panel.showState();
  }

  playPause() {
    if (this.clock.running) {
      this.pause();
      this.panel.say(`Paused after ${this.dream.steps} steps.`);
    } else {
      this.play();
      this.panel.say(modeWords(this.mode, this.manifest.controls.kind));
    }
  }

  setMode(mode) {
    if (mode === this.mode || (mode === "agent" && !this.networks.hasController)) return;
    this.mode = mode;
    this.driver.reset();
    if (mode === "replay") this.panel.setReal(true);
    else if (!this.recording) this.loadReal();
    const { start, seed, steps } = this.dream;
    const words = modeWords(mode, this.manifest.controls.kind);
    if (mode === "replay" && steps > 0) return this.begin(start, seed, words); // only from the start on are the two comparable
    this.panel.showState();
    this.panel.say(words);
  }

  handOver() {
    this.setMode(this.mode === "agent" ? "you" : "agent");
  }

  reset() {
    return this.begin(this.dream.start, this.dream.seed);
  }

  /** Start `start` (an index) with `seed`, from its first moment; `words` say so. */
  begin(start, seed = this.dream.seed, words = `From “${this.manifest.starts[start].label}”, seed ${seed}.`) {
    Object.assign(this.dream, { start, seed });
    return this.exclusively(() => {
      this.dream.reset();
      this.driver.reset();
      this.memoryStrip.begin(this.dream.h);
      this.actionBars.clear();
      this.panel.hideOverlay();
      this.panel.showState();
      this.panel.say(words);
      this.loadReal();
      return this.show();
    });
  }

  setTemperature(value) {
    this.dream.temperature = value;
    this.panel.showTemperature();
  }

  hold(k, value) {
    this.dream.hold(k, value);
    this.panel.showState();
    return this.repaint();
  }

  /** Lets go of latent k, or of all. */
  release(k) {
    if (k === undefined) this.dream.release();
    else this.dream.held.delete(k);
    this.panel.showState();
    return this.repaint();
  }

  // -- the recording -------------------------------------------------------------------------------------

  recordingOf(start) {
    if (!this.recordings.has(start)) this.recordings.set(start, loadRecording(this.manifest.starts[start]));
    return this.recordings.get(start);
  }

  /** Fetches this start's recording when it is to be seen. */
  loadReal() {
    this.recording = null;
    if (!this.panel.showsReal()) return;
    const { start } = this.dream;
    this.recordingOf(start).then((recording) => {
      if (start !== this.dream.start) return; // another start was chosen meanwhile
      this.recording = recording;
      return this.repaint();
    }).catch((error) => this.fail(error));
  }

  // -- ends ----------------------------------------------------------------------------------------------

  end() {
    this.pause();
    const words = overWords(this.dream.steps, this.mode, this.manifest.controls.kind);
    this.panel.showOver(words);
    this.panel.say(words);
  }

  useUp() {
    this.pause();
    this.panel.say(`The recording has no more actions after ${this.dream.steps} steps. Reset begins it anew; or drive on yourself.`);
  }

  fail(error) {
    this.pause();
    reportFailure(error);
  }
}

function reportFailure(error) {
  const known = error instanceof DreamError;
  Panel.showError(known ? error.message : `The dream broke off: ${error.message}. Reload the page to begin again.`);
  if (!known) console.error(error);
}

let app;
const ready = (async () => {
  const manifest = await loadManifest();
  fillIn(manifest);
  const networks = await Networks.load(manifest, Panel.showProgress);
  app = new App(manifest, networks);
  Panel.hideProgress();
  await app.open();
})();
window.dream = makeHook(ready, () => app);
ready.catch(reportFailure);
// Whatever a click set off and nobody waited for.
addEventListener("unhandledrejection", (event) => reportFailure(event.reason));
