// What the page says, by game and by state.

const GAMES = {
  car: {
    headline: "Drive inside a dream",
    lede: "There is no racing game on this page. A neural network once watched one; now it imagines what comes next, from what you do.",
    over: (n) => `The dream ended after ${n} steps.`,
    steer: "Arrow keys or the buttons take the wheel.",
  },
  sideways: {
    headline: "Dodge inside a dream",
    lede: "There is no game on this page, and nobody throws fireballs. A neural network once watched it; now it imagines what comes next, from where you step.",
    over: (n) => `You were hit after ${n} steps.`,
    steer: "Arrow keys or the buttons step aside.",
  },
  generic: {
    headline: "Act inside a dream",
    lede: "The environment is not on this page. A neural network once watched it; now it imagines what comes next, from what you do.",
    over: (n) => `The dream ended after ${n} steps.`,
    steer: "Arrow keys or the buttons take over.",
  },
};

export const gameWords = (kind) => GAMES[kind] ?? GAMES.generic;

export function modeWords(mode, kind) {
  const { steer } = gameWords(kind);
  if (mode === "you") return "You have the wheel. Press C to hand over to the agent.";
  if (mode === "agent") return `The agent acts. ${steer}`;
  return "The dream is given the actions of the recording. Both begin alike; see how long they agree.";
}

function score({ score }) {
  if (!score) return "";
  const figure = (x) => x.toLocaleString("en", { maximumFractionDigits: 0 });
  return `In the real game this one scores ${figure(score.mean)} ± ${figure(score.std)} (${score.episodes} episodes).`;
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
    score: score(manifest),
  };
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = texts[element.dataset.text];
  }
  document.title = `${gameWords(kind).headline} · ${manifest.title}`;
}
