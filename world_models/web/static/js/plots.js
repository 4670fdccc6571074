// Small live plots: the action, the mixture, the memory.

/** Steps that the memory's plot looks back. */
const COLUMNS = 150;

const number = (text) => text.split(",").map(Number);

/**
 * Bars for the action's numbers, from the middle where the range has two sides. They show the mean of the last half
 * second: an agent that steers left and right by turns would make them flicker.
 */
export class ActionBars {
  /** `span`: steps that the mean is of. */
  constructor(list, { names, low, high }, span) {
    this.span = Math.max(1, span);
    this.last = [];
    this.scales = low.map((bottom, k) => ({ bottom, span: high[k] - bottom, zero: bottom < 0 ? -bottom / (high[k] - bottom) : 0 }));
    list.replaceChildren(...names.map((name, k) => this._row(name, this.scales[k])));
    this.bars = [...list.querySelectorAll(".bar > span")];
    this.values = [...list.querySelectorAll("output")];
  }

  _row(name, { zero }) {
    const row = document.createElement("li");
    row.innerHTML = '<span class="name"></span><span class="bar" aria-hidden="true"><span></span></span><output></output>';
    row.querySelector(".name").textContent = name;
    row.querySelector(".bar").style.setProperty("--zero", zero);
    row.querySelector("output").setAttribute("aria-live", "off"); // an output announces itself otherwise
    return row;
  }

  /** Takes in what was done at a step. */
  push(action) {
    this.last.push(Float32Array.from(action));
    if (this.last.length > this.span) this.last.shift();
  }

  clear() {
    this.last = [];
  }

  show() {
    this.scales.forEach(({ bottom, span, zero }, k) => {
      const mean = this.last.reduce((sum, action) => sum + action[k], 0) / Math.max(1, this.last.length);
      const share = Math.max(0, Math.min(1, (mean - bottom) / span));
      this.bars[k].style.transform = `translateX(${100 * Math.min(share, zero)}%) scaleX(${Math.abs(share - zero)})`;
      const text = mean.toFixed(2);
      this.values[k].textContent = text === "-0.00" ? "0.00" : text.replace("-", "−");
    });
  }
}

/** The weights of M's components; the one that was picked is filled. */
export class MixtureBars {
  constructor(box, count) {
    box.replaceChildren(...Array.from({ length: count }, () => document.createElement("span")));
    box.setAttribute("aria-label", `The weights of the ${count} futures that M proposes; the one that chance picked is filled.`);
    this.bars = [...box.children];
  }

  show(weights, component) {
    this.bars.forEach((bar, k) => {
      bar.style.setProperty("--weight", weights[k].toFixed(3));
      bar.classList.toggle("picked", k === component);
    });
  }
}

/** h over time: a column a step, a row a unit; one hue for positive, the other for negative. */
export class MemoryStrip {
  constructor(canvas, size) {
    canvas.width = COLUMNS;
    canvas.height = size;
    canvas.setAttribute("aria-label", `The ${size} numbers of M's memory as a strip of colours that moves on by a column at every step.`);
    // Kept in memory that the processor reads: it is shifted at every step.
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.canvas = canvas;
    this.column = this.context.createImageData(1, size);
    this.readColours();
  }

  /** The colours of the page's scheme, as a table of 256 from h = -1 to 1. */
  readColours() {
    const style = getComputedStyle(this.canvas);
    const [minus, zero, plus] = ["--heat-minus", "--heat-zero", "--heat-plus"].map((name) => number(style.getPropertyValue(name)));
    this.table = new Uint8ClampedArray(256 * 3);
    for (let i = 0; i < 256; i += 1) {
      const value = (i - 127.5) / 127.5;
      const end = value < 0 ? minus : plus;
      const share = Math.sqrt(Math.abs(value)); // most of h is small
      for (let k = 0; k < 3; k += 1) this.table[3 * i + k] = zero[k] + share * (end[k] - zero[k]);
    }
    this.zero = zero;
    this.clear();
  }

  /** The rows' order is free: sorted by where the dream begins, what M learns later is seen as departing colours. */
  begin(h) {
    this.order = Array.from(h.keys()).sort((a, b) => h[b] - h[a]);
    this.clear();
  }

  clear() {
    this.context.fillStyle = `rgb(${this.zero.join(",")})`;
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  push(h) {
    const { data } = this.column;
    for (let i = 0; i < h.length; i += 1) {
      const at = 3 * Math.max(0, Math.min(255, Math.round(127.5 + 127.5 * h[this.order[i]])));
      data[4 * i] = this.table[at];
      data[4 * i + 1] = this.table[at + 1];
      data[4 * i + 2] = this.table[at + 2];
      data[4 * i + 3] = 255;
    }
    this.context.drawImage(this.canvas, -1, 0);
    this.context.putImageData(this.column, COLUMNS - 1, 0);
  }
}
