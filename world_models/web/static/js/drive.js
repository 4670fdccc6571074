// From what hands do (left, right, up, down, each 0 to 1) to an action as M reads it. No devices in here.

/** A key is all or nothing; a wheel takes five steps from straight to full lock, as recorded driving does. */
const RAMP = 0.2;
/** The hardest braking of a key: at 1 the wheels lock. */
const KEY_BRAKE = 0.8;

/** A step of at most `most` on the way; sums of fifths must still arrive exactly. */
const towards = (value, target, most) =>
  Math.abs(target - value) < most + 1e-9 ? target : value + most * Math.sign(target - value);
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

/** Which of left, right, up and down mean something for this game, with their words. */
export function directions({ kind, names, discrete }) {
  if (kind === "car") return { left: "Left", right: "Right", up: "Gas", down: "Brake" };
  if (kind === "sideways") return { left: "Left", right: "Right" };
  if (discrete) return { left: "Previous", right: "Next" };
  const first = { left: `Less ${names[0]}`, right: `More ${names[0]}` };
  return names.length < 2 ? first : { ...first, up: `More ${names[1]}`, down: `Less ${names[1]}` };
}

class Car {
  constructor({ low, high }) {
    Object.assign(this, { low, high, steering: 0, gas: 0 });
  }

  reset() {
    this.steering = this.gas = 0;
  }

  action({ left, right, up, down }) {
    this.steering = towards(this.steering, right - left, RAMP);
    this.gas = towards(this.gas, up, RAMP);
    return [this.steering, this.gas, KEY_BRAKE * down].map((value, k) => clamp(value, this.low[k], this.high[k]));
  }
}

class Sideways {
  reset() {}

  /** As C's one output: beyond a third to either side it is a step, else a stay. */
  action({ left, right }) {
    const lean = right - left;
    return [lean > 1 / 3 ? 1 : lean < -1 / 3 ? -1 : 0];
  }
}

class OneHot {
  constructor({ names }) {
    this.size = names.length;
    this.reset();
  }

  reset() {
    this.chosen = 0;
    this.before = { left: 0, right: 0 };
  }

  choose(k) {
    this.chosen = k;
  }

  action({ left, right }) {
    // A press moves the choice once, however long it lasts.
    if (right > 0.5 && this.before.right <= 0.5) this.chosen = (this.chosen + 1) % this.size;
    if (left > 0.5 && this.before.left <= 0.5) this.chosen = (this.chosen + this.size - 1) % this.size;
    this.before = { left, right };
    return Array.from({ length: this.size }, (_, k) => Number(k === this.chosen));
  }
}

class Box {
  constructor({ low, high }) {
    Object.assign(this, { low, high });
    this.rest = low.map((bottom, k) => clamp(0, bottom, high[k]));
  }

  /** Where the sliders stand is the visitor's. */
  reset() {}

  set(k, value) {
    this.rest[k] = value;
  }

  action({ left, right, up, down }) {
    const lean = [right - left, up - down];
    return this.rest.map((rest, k) => {
      const pull = lean[k] ?? 0;
      return pull > 0 ? rest + pull * (this.high[k] - rest) : rest + pull * (rest - this.low[k]);
    });
  }
}

/** The driver for the manifest's `controls`. */
export function makeDriver(controls) {
  if (controls.kind === "car") return new Car(controls);
  if (controls.kind === "sideways") return new Sideways();
  return controls.discrete ? new OneHot(controls) : new Box(controls);
}
