// What the page says, by game, by state, and by what the visitor has at hand.

import { directions } from "./drive.js";

/** A device without keys and mouse: it is told of thumbs. */
const touch = () => matchMedia("(hover: none) and (pointer: coarse)").matches;

const GAMES = {
  car: {
    headline: "Drive inside a dream",
    lede: "There is no racing game on this page. A neural network once watched one; now it imagines what comes next, from what you do.",
    over: "The dream ended",
    steer: "take the wheel",
  },
  sideways: {
    headline: "Dodge inside a dream",
    lede: "There is no game on this page, and nobody throws fireballs. A neural network once watched it; now it imagines what comes next, from where you step.",
    over: "You were hit",
    agentOver: "The agent was hit",
    steer: "step aside",
  },
  generic: {
    headline: "Act inside a dream",
    lede: "The environment is not on this page. A neural network once watched it; now it imagines what comes next, from what you do.",
    over: "The dream ended",
    steer: "take over",
  },
};

const gameWords = (kind) => GAMES[kind] ?? GAMES.generic;

export function modeWords(mode, kind) {
  const { steer } = gameWords(kind);
  if (mode === "you") {
    return touch()
      ? "You act: hold the buttons under the picture. “Agent drives” hands over."
      : "You have the wheel. Press C to hand over to the agent.";
  }
  if (mode === "agent") return `The agent acts. ${touch() ? "Hold the buttons below to" : "Arrow keys or the buttons"} ${steer}.`;
  return "The dream is given the actions of the recording. Both begin alike; see how long they agree.";
}

export function overWords(steps, mode, kind) {
  const { over, agentOver = over } = gameWords(kind);
  return `${mode === "agent" ? agentOver : over} after ${steps} ${steps === 1 ? "step" : "steps"}.`;
}

/** What C reaches in the real game; a run that was not evaluated knows only what evolution measured, without spread. */
function scoreWords({ score }) {
  if (!score) return "";
  const figure = (x) => x.toLocaleString("en", { maximumFractionDigits: 0 });
  const spread = typeof score.std === "number" ? ` ± ${figure(score.std)}` : "";
  const times = score.episodes ? ` (${score.episodes} episodes)` : "";
  return `In the real game this one scores ${figure(score.mean)}${spread}${times}.`;
}

/** Puts the manifest's facts where the page has room for them (elements with data-text). */
export function fillIn(manifest) {
  const { kind } = manifest.controls;
  const texts = {
    title: ` · ${manifest.title}`,
    headline: gameWords(kind).headline,
    lede: gameWords(kind).lede,
    Z: String(manifest.latent_size),
    R: String(manifest.hidden_size),
    K: String(manifest.gaussians),
    score: scoreWords(manifest),
  };
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = texts[element.dataset.text];
  }
  const used = directions(manifest.controls);
  for (const key of document.querySelectorAll("[data-key]")) key.hidden = !(key.dataset.key in used);
  document.title = `${gameWords(kind).headline} · ${manifest.title}`;
}
