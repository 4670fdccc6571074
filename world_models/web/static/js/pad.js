// The on-screen controls: thumb-sized on a phone, a small cross of keys on a desk.

import { directions } from "./drive.js";

const ARROWS = { left: "←", right: "→", up: "↑", down: "↓" };
const NAMES_ON_BUTTONS = { up: true, down: true }; // an arrow to the side explains itself

function arrowButton(direction, words) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.direction = direction;
  button.setAttribute("aria-label", `${words} (hold)`);
  button.innerHTML = `<span aria-hidden="true">${ARROWS[direction]}</span>`;
  if (NAMES_ON_BUTTONS[direction]) {
    const small = document.createElement("small");
    small.textContent = words;
    small.setAttribute("aria-hidden", "true");
    button.append(small);
  }
  return button;
}

function choiceButton(name, k, driver, onGrip) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.dataset.choice = k;
  button.addEventListener("click", () => {
    onGrip(); // first: taking the wheel puts it straight
    driver.choose(k);
  });
  return button;
}

function amountSlider(name, k, { low, high }, driver, onGrip) {
  const label = document.createElement("label");
  label.className = "amount";
  label.textContent = name;
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: low[k], max: high[k], step: (high[k] - low[k]) / 100, value: driver.rest[k] });
  input.addEventListener("input", () => {
    onGrip();
    driver.set(k, Number(input.value));
  });
  label.append(input);
  return label;
}

/** Fills `pad` for the manifest's controls. `onGrip` hears when something on it is used that is not held. */
export function buildPad(pad, controls, driver, onGrip) {
  pad.dataset.kind = controls.kind;
  const words = directions(controls);
  for (const side of [["left", "right"], ["down", "up"]]) {
    const group = document.createElement("div");
    group.className = "thumb";
    group.append(...side.filter((d) => d in words).map((d) => arrowButton(d, words[d])));
    if (group.children.length) pad.append(group);
  }
  if (controls.kind !== "generic") return;
  const list = document.createElement("div");
  list.className = "choices";
  const build = controls.discrete ? choiceButton : (name, k, ...rest) => amountSlider(name, k, controls, ...rest);
  list.append(...controls.names.map((name, k) => build(name, k, driver, onGrip)));
  pad.append(list);
}
