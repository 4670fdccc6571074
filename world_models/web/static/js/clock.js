// Time: one step whenever one is due, never two at once, and none is made up for later.

export class Clock {
  /** `tick` is awaited before the next; `onError` hears what it throws, and time stops. */
  constructor(fps, tick, onError) {
    this.interval = 1000 / fps;
    this.tick = tick;
    this.onError = onError;
    this.running = false;
    this.busy = false;
    this.ticks = []; // when the last steps were done
    this.frame = this.frame.bind(this);
  }

  play() {
    if (this.running) return;
    this.running = true;
    this.ticks = [];
    this.due = 0;
    this.last = performance.now();
    requestAnimationFrame(this.frame);
  }

  pause() {
    this.running = false;
  }

  frame(now) {
    if (!this.running) return;
    // What a slow device cannot do is dropped: the dream slows down, and answers to the wheel at once.
    this.due = Math.min(this.due + now - this.last, 2 * this.interval);
    this.last = now;
    if (this.due >= this.interval && !this.busy) {
      this.due -= this.interval;
      this.once();
    }
    requestAnimationFrame(this.frame);
  }

  async once() {
    this.busy = true;
    try {
      await this.tick();
      this._note(performance.now());
    } catch (error) {
      this.pause();
      this.onError(error);
    } finally {
      this.busy = false;
    }
  }

  _note(now) {
    this.ticks.push(now);
    while (now - this.ticks[0] > 1000) this.ticks.shift();
  }

  /** Steps a second over the last second; 0 while nothing moves. */
  fps() {
    const { ticks } = this;
    if (!this.running || ticks.length < 2) return 0;
    return (1000 * (ticks.length - 1)) / (ticks.at(-1) - ticks[0]);
  }
}
