// The three networks: their files, their ONNX Runtime sessions, and one call for each. No page in here.

import { bytesOf, DreamError, imageOf, jsonOf, moduleOf } from "./files.js";

const VENDOR = new URL("../vendor/ort/", import.meta.url);
const MODEL = new URL("../model/", import.meta.url);
/** Of ort-wasm-simd-threaded.wasm, as vendor/README.md says: the largest file by far. */
const RUNTIME_BYTES = 14239897;
/** What the page cannot do without. */
const NEEDED = ["files", "starts", "controls", "fps", "latent_size", "hidden_size", "action_size", "gaussians", "latent_mean", "latent_std"];
// The smallest module that uses SIMD: if this validates, ONNX Runtime's build runs.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

function checkBrowser() {
  if (typeof WebAssembly !== "object") {
    throw new DreamError("This browser has no WebAssembly, which the networks run on: open the page in a current browser, or allow WebAssembly in its settings.");
  }
  if (!WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new DreamError("This browser’s WebAssembly has no SIMD, which the networks need: open the page in a current browser.");
  }
}

/** manifest.json; its sizes and starts are all that the page knows of the game. */
export async function loadManifest() {
  const manifest = await jsonOf(new URL("manifest.json", MODEL));
  if (manifest?.format !== 1) {
    throw new DreamError(`model/manifest.json has format ${manifest?.format}, and this page reads format 1: export the site again.`);
  }
  const missing = NEEDED.filter((name) => !(name in manifest));
  if (missing.length > 0) {
    throw new DreamError(`model/manifest.json is damaged, it lacks ${missing.join(", ")}: export the site again.`);
  }
  return manifest;
}

/** A start's recording: its actions, and the sprite sheet with its frames. */
export async function loadRecording(start) {
  const [facts, image] = await Promise.all([
    jsonOf(new URL(start.recording, MODEL)),
    imageOf(new URL(start.sprite, MODEL)),
  ]);
  return { ...facts, image };
}

/** ONNX Runtime, with its WebAssembly fetched here: it would not say which of its files is missing. */
async function loadRuntime(onBytes) {
  const [ort, , wasmBinary] = await Promise.all([
    moduleOf(new URL("ort.wasm.min.mjs", VENDOR)),
    moduleOf(new URL("ort-wasm-simd-threaded.mjs", VENDOR)),
    bytesOf(new URL("ort-wasm-simd-threaded.wasm", VENDOR), { bytes: RUNTIME_BYTES }, onBytes),
  ]);
  // One thread: more need headers (COOP, COEP) that plain static hosts do not send.
  Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: VENDOR.href, wasmBinary: wasmBinary.buffer });
  ort.env.logLevel = "error";
  return ort;
}

async function startSession(ort, name, bytes) {
  try {
    return await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new DreamError(`model/${name}.onnx could not be started: export the site again, or open it in a current browser. (${error.message})`);
  }
}

/** V's decoder, M's step and C. All vectors are Float32Array. */
export class Networks {
  /** Loads what `manifest.files` names; `onProgress` hears the loaded share, 0 to 1. */
  static async load(manifest, onProgress) {
    checkBrowser();
    // The encoder stays on the server: a dream needs no eyes.
    const names = ["decoder", "memory", "controller"].filter((name) => `${name}.onnx` in manifest.files);
    const facts = names.map((name) => manifest.files[`${name}.onnx`]);
    const whole = facts.reduce((sum, { bytes }) => sum + bytes, RUNTIME_BYTES);
    let loaded = 0;
    const hear = (count) => onProgress(Math.min(1, (loaded += count) / whole));
    const [ort, ...files] = await Promise.all([
      loadRuntime(hear),
      ...names.map((name, i) => bytesOf(new URL(`${name}.onnx`, MODEL), facts[i], hear)),
    ]);
    const sessions = {};
    for (const [i, name] of names.entries()) sessions[name] = await startSession(ort, name, files[i]);
    return new Networks(ort, manifest, sessions);
  }

  constructor(ort, manifest, sessions) {
    this.ort = ort;
    this.manifest = manifest;
    this.sessions = sessions;
    this.milliseconds = { decoder: 0, memory: 0, controller: 0 };
  }

  get hasController() {
    return "controller" in this.sessions;
  }

  _row(values) {
    return new this.ort.Tensor("float32", values, [1, values.length]);
  }

  async _run(name, feeds) {
    const started = performance.now();
    const results = await this.sessions[name].run(feeds);
    const spent = performance.now() - started;
    const before = this.milliseconds[name];
    this.milliseconds[name] = before ? before + 0.05 * (spent - before) : spent;
    return results;
  }

  /** One step of M: what may come next, and the one next latent that `pick` and `noise` choose of it. */
  async expect({ action, z, h, c, temperature, pick, noise }) {
    const out = await this._run("memory", {
      action: this._row(action),
      z: this._row(z),
      h: this._row(h),
      c: this._row(c),
      temperature: this._row(Float32Array.of(temperature)),
      pick: new this.ort.Tensor("float32", Float32Array.of(pick), [1]),
      noise: this._row(noise),
    });
    return {
      z: out.next_z.data,
      h: out.next_h.data,
      c: out.next_c.data,
      reward: out.reward.data[0],
      terminal: out.terminal.data[0],
      weights: out.weights.data,
      component: Number(out.component.data[0]),
    };
  }

  /** V's picture of a latent: 3 planes of 64 x 64 in [0, 1]. */
  async paint(z) {
    return (await this._run("decoder", { z: this._row(z) })).image.data;
  }

  /** What C does, as M reads it. */
  async act({ z, h, c }) {
    return (await this._run("controller", { z: this._row(z), h: this._row(h), c: this._row(c) })).action.data;
  }
}
