// The three networks: their files, their ONNX Runtime sessions, and one call for each. No page in here.

const VENDOR = new URL("../vendor/ort/", import.meta.url);
const MODEL = new URL("../model/", import.meta.url);
// The smallest module that uses SIMD: if this validates, ONNX Runtime's build runs.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** Something that the visitor or the page's host can mend; its message is shown as it is. */
export class DreamError extends Error {}

function checkBrowser() {
  if (typeof WebAssembly !== "object") {
    throw new DreamError("This browser has no WebAssembly, which the networks run on: open the page in a current browser, or allow WebAssembly in its settings.");
  }
  if (!WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new DreamError("This browser’s WebAssembly has no SIMD, which the networks need: open the page in a current browser.");
  }
}

async function fetched(url) {
  const name = url.pathname.split("/").slice(-2).join("/");
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new DreamError(`${name} could not be fetched: look at the connection, and whether the server still runs, and reload.`);
  }
  if (!response.ok) {
    throw new DreamError(`${name} is missing (HTTP ${response.status}): the site is incomplete; export it again.`);
  }
  return response;
}

/** A file's bytes; `onBytes` hears of every piece that arrives. */
async function bytesOf(url, onBytes) {
  const response = await fetched(url);
  const pieces = [];
  let total = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    total += value.length;
    onBytes(value.length);
  }
  const all = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function jsonOf(url) {
  const response = await fetched(url);
  try {
    return await response.json();
  } catch {
    throw new DreamError(`${url.pathname.split("/").pop()} is not JSON: the site is broken; export it again.`);
  }
}

/** manifest.json; its sizes and starts are all that the page knows of the game. */
export async function loadManifest() {
  const manifest = await jsonOf(new URL("manifest.json", MODEL));
  if (manifest.format !== 1) {
    throw new DreamError(`manifest.json has format ${manifest.format}, and this page reads format 1: export the site again.`);
  }
  return manifest;
}

/** A start's recording: its actions, and the sprite sheet with its frames. */
export async function loadRecording(start) {
  const [facts, image] = await Promise.all([
    jsonOf(new URL(start.recording, MODEL)),
    new Promise((resolve, reject) => {
      const sheet = new Image();
      sheet.onload = () => resolve(sheet);
      sheet.onerror = () => reject(new DreamError(`${start.sprite} is missing: the site is incomplete; export it again.`));
      sheet.src = new URL(start.sprite, MODEL).href;
    }),
  ]);
  return { ...facts, image };
}

async function loadRuntime() {
  try {
    const ort = await import(new URL("ort.wasm.min.mjs", VENDOR).href);
    // One thread: more need headers (COOP, COEP) that plain static hosts do not send.
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = VENDOR.href;
    ort.env.logLevel = "error";
    return ort;
  } catch (error) {
    throw new DreamError(`The runtime of the networks (vendor/ort) could not be loaded: export the site again. (${error.message})`);
  }
}

/** V's decoder, M's step and C. All vectors are Float32Array. */
export class Networks {
  /** Loads what `manifest.files` names; `onProgress` hears the loaded share, 0 to 1. */
  static async load(manifest, onProgress) {
    checkBrowser();
    const ort = await loadRuntime();
    // The encoder stays on the server: a dream needs no eyes.
    const names = ["decoder", "memory", "controller"].filter((name) => `${name}.onnx` in manifest.files);
    const whole = names.reduce((sum, name) => sum + manifest.files[`${name}.onnx`].bytes, 0);
    let loaded = 0;
    const hear = (count) => onProgress(Math.min(1, (loaded += count) / whole));
    const files = await Promise.all(names.map((name) => bytesOf(new URL(`${name}.onnx`, MODEL), hear)));
    const sessions = {};
    for (const [i, name] of names.entries()) {
      try {
        sessions[name] = await ort.InferenceSession.create(files[i], { executionProviders: ["wasm"] });
      } catch (error) {
        throw new DreamError(`${name}.onnx could not be started: export the site again, or open it in a current browser. (${error.message})`);
      }
    }
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
