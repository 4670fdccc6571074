// Buttons, sliders and sentences of the page, and what they do to the app.

import { Picture } from "./view.js";

const $ = (id) => document.getElementById(id);
const setText = (id, text) => {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
};
const signed = (value) => value.toFixed(1).replace("-", "−");

export class Panel {
  constructor(app) {
    this.app = app;
    const { manifest } = app;
    $("danger-box").hidden = $("danger-help").hidden = !manifest.has_terminal;
    $("latents").open = matchMedia("(min-width: 640px)").matches; // 32 sliders are most of a phone's page
    $("console").classList.toggle("has-danger", manifest.has_terminal);
    $("temperature").value = manifest.temperature;
    this.showTemperature();
    this._bindButtons();
    this._bindFields();
    this._returnKeysToTheWheel();
  }

  _bindButtons() {
    const { app } = this;
    const clicks = {
      play: () => app.playPause(),
      step: () => app.step(),
      reset: () => app.reset(),
      release: () => app.release(),
      again: () => this._restart(app.dream.seed),
      another: () => this._restart(this._newSeed()),
      "new-seed": () => app.begin(app.dream.start, this._newSeed()),
    };
    for (const [id, click] of Object.entries(clicks)) $(id).addEventListener("click", click);
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.addEventListener("click", () => app.setMode(button.dataset.mode));
    }
    const agent = document.querySelector("[data-mode=agent]");
    agent.disabled = !app.networks.hasController;
    if (agent.disabled) agent.title = "This site was exported without a controller.";
  }

  _bindFields() {
    const { app } = this;
    $("temperature").addEventListener("input", (event) => app.setTemperature(Number(event.target.value)));
    $("seed").addEventListener("change", (event) => {
      const seed = Math.min(4294967295, Math.max(0, Math.floor(Number(event.target.value) || 0)));
      app.begin(app.dream.start, seed);
    });
    $("show-real").addEventListener("change", (event) => this.setReal(event.target.checked));
    $("smooth").addEventListener("change", (event) => {
      document.body.classList.toggle("pixels", !event.target.checked);
    });
  }

  /** After a click the arrow keys drive again; whoever came by keyboard keeps the focus. */
  _returnKeysToTheWheel() {
    document.addEventListener("click", (event) => {
      if (event.detail > 0) event.target.closest?.("button, input:not([type=number])")?.blur();
    });
    document.addEventListener("pointerup", (event) => {
      if (event.target.matches?.("input[type=range]")) event.target.blur();
    });
  }

  _restart(seed) {
    const { app } = this;
    app.begin(app.dream.start, seed).then(() => app.play());
    $("dream").focus({ preventScroll: true }); // the button that had the focus is gone
  }

  _newSeed() {
    return Math.floor(Math.random() * 1e6);
  }

  /** Each start as a button with its first picture. */
  async buildStarts() {
    const { manifest, networks } = this.app;
    for (const [k, start] of manifest.starts.entries()) {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      const name = document.createElement("span");
      button.type = "button";
      button.dataset.start = k;
      name.textContent = start.label;
      button.title = start.about ?? start.label;
      canvas.setAttribute("aria-hidden", "true");
      button.append(canvas, name);
      button.addEventListener("click", () => this.app.begin(k));
      $("starts").append(button);
      new Picture(canvas).show(await networks.paint(Float32Array.from(start.z)));
    }
    this.showState();
  }

  keysListen() {
    return $("keys-anywhere").checked || document.activeElement === $("dream");
  }

  /** Whoever drives goes ways of their own: the recording is of the agent. */
  showsReal() {
    return $("show-real").checked && this.app.mode !== "you";
  }

  setReal(shown) {
    $("show-real").checked = shown;
    this.showState();
    this.app.loadReal();
  }

  noteReal(goesOn) {
    setText("real-note", goesOn ? "" : "over");
  }

  showTemperature() {
    const { temperature } = this.app.dream;
    $("temperature").value = temperature;
    $("temperature-value").textContent = temperature.toFixed(2);
  }

  /** What changes when something is chosen, not at every step. */
  showState() {
    const { mode, dream, clock } = this.app;
    setText("play", clock.running ? "Pause" : "Play");
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
    for (const button of document.querySelectorAll("[data-start]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.start) === dream.start));
    }
    const beside = this.showsReal();
    $("real-screen").hidden = !beside;
    $("real-switch").hidden = mode === "you";
    $("console").classList.toggle("with-real", beside);
    const count = dream.held.size;
    $("release").disabled = count === 0;
    setText("release", count > 1 ? `Release ${count}` : "Release");
    $("seed").value = dream.seed;
    if (!clock.running) setText("rate", "paused");
  }

  /** What changes at every step. */
  showNumbers() {
    const { dream, clock } = this.app;
    setText("steps", String(dream.steps));
    setText("return", signed(dream.total));
    setText("danger", `${Math.round(100 * dream.terminal)} %`);
    const fps = clock.fps();
    if (clock.running && fps > 0) setText("rate", `${Math.round(fps)} a second`);
  }

  /** One sentence, seen under the picture and read aloud. */
  say(sentence) {
    setText("status", sentence);
  }

  showOver(sentence) {
    Panel._overlay(sentence);
    $("overlay-buttons").hidden = false;
  }

  hideOverlay() {
    $("overlay").hidden = true;
  }

  static _overlay(sentence) {
    $("overlay").hidden = false;
    $("progress").hidden = true;
    $("overlay-text").textContent = sentence;
  }

  static showProgress(share) {
    $("progress").value = share;
  }

  static hideProgress() {
    $("overlay").hidden = true;
  }

  static showError(sentence) {
    Panel._overlay(sentence);
    $("overlay").classList.add("error");
    $("overlay-buttons").hidden = true;
    $("status").textContent = "";
    $("overlay-text").setAttribute("role", "alert");
  }
}
