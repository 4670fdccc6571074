// The dream itself: z, (h, c), the chances, and the numbers that a visitor holds. Knows networks, knows no page.

import { Noise } from "./noise.js";

/** A terminal probability above this ends a dream (Ha & Schmidhuber 2018, section 4). */
const ENDS_ABOVE = 0.5;

export class Dream {
  constructor(networks, manifest) {
    this.networks = networks;
    this.manifest = manifest;
    this.temperature = manifest.temperature;
    this.seed = 1;
    this.start = 0;
    this.held = new Map(); // latent index -> value that the visitor keeps it at
    this.reset();
  }

  /** Back to the start's first moment with the seed's first chances. */
  reset() {
    const { z, h, c } = this.manifest.starts[this.start];
    this.z = Float32Array.from(z);
    this.h = Float32Array.from(h);
    this.c = Float32Array.from(c);
    this.noise = new Noise(this.seed);
    this.held.clear();
    this.steps = 0;
    this.reward = 0;
    this.total = 0;
    this.terminal = 0;
    this.component = -1;
    this.weights = new Float32Array(this.manifest.gaussians);
    this.action = new Float32Array(this.manifest.action_size);
    this.over = false;
  }

  /** One step. `pick` and `noise` come from the seed unless they are given. */
  async step(action, pick, noise) {
    const drawn = this.noise.draw(this.z.length);
    const next = await this.networks.expect({
      action: Float32Array.from(action),
      z: this.z,
      h: this.h,
      c: this.c,
      temperature: this.temperature,
      pick: pick ?? drawn.pick,
      noise: Float32Array.from(noise ?? drawn.noise),
    });
    Object.assign(this, next); // z, h, c, reward, terminal, weights, component
    this.action = Float32Array.from(action);
    for (const [k, value] of this.held) this.z[k] = value;
    this.steps += 1;
    this.total += this.reward;
    this.over = this.manifest.has_terminal && this.terminal > ENDS_ABOVE;
  }

  /** Keeps latent k at `value`, now and in the steps to come. */
  hold(k, value) {
    this.held.set(k, value);
    this.z[k] = value;
  }

  release() {
    this.held.clear();
  }

  picture() {
    return this.networks.paint(this.z);
  }

  /** C's action here and now. */
  decide() {
    return this.networks.act(this);
  }
}
