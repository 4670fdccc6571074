// z as sliders: they follow the dream, and a pulled one is held until it is released. Each says what it draws.

/** How far a slider reaches, in standard deviations of the recordings' latents. */
const REACH = 4;
/** V's means hardly vary where it does not use a latent, but M draws those from about the prior, N(0, 1). */
const LEAST_REACH = 3;
const POSITIONS = 160;

export class LatentSliders {
  /**
   * Those that draw most come first. `sentence` is where the one that is looked at says what it draws; `onHold(k, value)`
   * hears of a pull, `onRelease(k)` of Escape or Delete on a slider.
   */
  constructor(box, sentence, manifest, { onHold, onRelease }) {
    const { latent_size, latent_mean, latent_std, latent_effects: effects } = manifest;
    this.sentence = sentence;
    this.says = Array.from({ length: latent_size }, (_, k) => (effects ? `Latent ${k + 1}: ${effects[k].says}` : `Latent ${k + 1}`));
    this.inputs = Array.from({ length: latent_size }, (_, k) => {
      const reach = Math.max(REACH * latent_std[k], LEAST_REACH);
      return this._slider(k, latent_mean[k] - reach, latent_mean[k] + reach, onHold, onRelease);
    });
    this.shown = new Array(latent_size).fill(NaN);
    const order = [...this.inputs.keys()];
    if (effects) order.sort((a, b) => effects[b].moved - effects[a].moved);
    box.replaceChildren(...order.map((k) => this.inputs[k].parentElement));
    box.style.setProperty("--count", latent_size);
    this.tell(order[0]);
  }

  _slider(k, min, max, onHold, onRelease) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const name = document.createElement("span");
    Object.assign(input, { type: "range", min, max, step: (max - min) / POSITIONS });
    input.dataset.latent = k;
    input.setAttribute("aria-label", this.says[k]);
    label.title = this.says[k];
    name.textContent = k + 1;
    name.setAttribute("aria-hidden", "true");
    const speak = () => input.setAttribute("aria-valuetext", Number(input.value).toFixed(2));
    input.addEventListener("input", () => {
      speak();
      this.tell(k);
      onHold(k, Number(input.value));
    });
    input.addEventListener("focus", () => {
      speak();
      this.tell(k);
    });
    label.addEventListener("pointerenter", () => this.tell(k));
    input.addEventListener("keydown", (event) => {
      if (["Escape", "Delete", "Backspace"].includes(event.key)) onRelease(k);
    });
    label.append(input, name);
    return input;
  }

  tell(k) {
    this.sentence.textContent = `${this.says[k]}.`;
  }

  /** Follows z; held ones stay where they were pulled, and are marked. */
  show(z, held) {
    this.inputs.forEach((input, k) => {
      const isHeld = held.has(k);
      if (isHeld !== "held" in input.dataset) {
        input.toggleAttribute("data-held", isHeld);
        input.setAttribute("aria-label", isHeld ? `${this.says[k]}, held` : this.says[k]);
      }
      // Writing an input's value costs a repaint, so small moves are left out.
      if (!isHeld && !(Math.abs(z[k] - this.shown[k]) < input.step / 2)) {
        input.value = this.shown[k] = z[k];
      } else if (isHeld) {
        this.shown[k] = NaN;
      }
    });
  }
}
