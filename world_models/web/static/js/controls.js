// The three ways to take the wheel: keyboard, on-screen buttons (touch, mouse, Space or Enter), gamepad.

export const DIRECTIONS = ["left", "right", "up", "down"];

const DRIVE_KEYS = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  KeyA: "left", KeyD: "right", KeyW: "up", KeyS: "down",
};
const COMMAND_KEYS = { KeyC: "handOver", KeyR: "reset", Space: "playPause", Period: "step" };
/** Sticks do not rest at zero exactly. */
const DEAD_ZONE = 0.15;

/** What all hands do now. Each device has its own row, so that letting go of one does not let go of another. */
export class Hands {
  constructor(directions, onGrip) {
    this.rows = { keys: {}, buttons: {}, gamepad: {} };
    this.directions = directions;
    this.onGrip = onGrip;
  }

  set(device, direction, strength) {
    if (!(direction in this.directions)) return;
    const before = this.rows[device][direction] ?? 0;
    this.rows[device][direction] = strength;
    if (strength > 0 && before === 0) this.onGrip();
  }

  letGo(device) {
    this.rows[device] = {};
  }

  /** left, right, up and down, each 0 to 1. */
  now() {
    const rows = Object.values(this.rows);
    return Object.fromEntries(DIRECTIONS.map((d) => [d, Math.max(...rows.map((row) => row[d] ?? 0))]));
  }
}

function takesText(element) {
  return element.matches?.("input[type=number], input[type=text], textarea, select, [contenteditable]");
}

/** Whether the focused control has its own use for this key. */
function keepsKey(element, code) {
  if (takesText(element)) return true;
  if (element.matches?.("input[type=range]")) return code.startsWith("Arrow");
  return code === "Space" && element.matches?.("button, a, input, summary");
}

/** Drives by keys, and gives commands; `listens` says whether the keyboard is ours just now. */
export function listenToKeyboard(hands, commands, listens) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !listens() || keepsKey(event.target, event.code)) return;
    const direction = DRIVE_KEYS[event.code];
    if (direction && direction in hands.directions) {
      hands.set("keys", direction, 1);
      event.preventDefault(); // or the page scrolls away under the driver
    } else if (event.code in COMMAND_KEYS) {
      event.preventDefault();
      const name = COMMAND_KEYS[event.code];
      if (!event.repeat || name === "step") commands[name]();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.code in DRIVE_KEYS) hands.set("keys", DRIVE_KEYS[event.code], 0);
  });
  // A key that is released over another window is never heard of again.
  addEventListener("blur", () => hands.letGo("keys"));
}

/** On-screen buttons with data-direction inside `pad`; a thumb may slide from one to another. */
export function listenToButtons(pad, hands) {
  const fingers = new Map(); // pointer id -> direction
  const update = () => {
    const held = new Set(fingers.values());
    for (const button of pad.querySelectorAll("[data-direction]")) {
      const down = held.has(button.dataset.direction);
      hands.set("buttons", button.dataset.direction, Number(down));
      button.classList.toggle("down", down);
    }
  };
  const under = (event) => {
    const element = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-direction]");
    return pad.contains(element) ? element.dataset.direction : undefined;
  };
  pad.addEventListener("pointerdown", (event) => {
    if (!under(event)) return;
    pad.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, under(event));
    update();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, under(event));
    update();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    pad.addEventListener(end, (event) => {
      if (fingers.delete(event.pointerId)) update();
    });
  }
  pad.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press is a long turn
  listenToButtonKeys(pad, hands);
}

/** Space and Enter hold a focused button down as a finger does. */
function listenToButtonKeys(pad, hands) {
  const set = (event, strength) => {
    const button = event.target.closest?.("[data-direction]");
    if (!button) return false;
    hands.set("buttons", button.dataset.direction, strength);
    button.classList.toggle("down", strength > 0);
    return true;
  };
  pad.addEventListener("keydown", (event) => {
    if (["Space", "Enter"].includes(event.code) && set(event, 1)) event.preventDefault();
  });
  for (const end of ["keyup", "focusout"]) {
    pad.addEventListener(end, (event) => {
      if (end === "focusout" || ["Space", "Enter"].includes(event.code)) set(event, 0);
    });
  }
}

/** The standard layout of the Gamepad API: stick or cross, triggers (or the right buttons), Y, Start, Select. */
export class Gamepad {
  constructor(hands, commands) {
    this.hands = hands;
    this.commands = commands;
    this.pressed = {};
    this.watching = false;
    addEventListener("gamepadconnected", () => this.watch());
  }

  /** Gamepads have no events for what is pressed: look once a frame, as long as there is one. */
  watch() {
    if (this.watching) return;
    this.watching = true;
    const look = () => {
      this.watching = this.poll();
      if (this.watching) requestAnimationFrame(look);
    };
    look();
  }

  /** Takes over what the first gamepad says; false when there is none. */
  poll() {
    const pad = [...(navigator.getGamepads?.() ?? [])].find((one) => one?.connected && one.mapping === "standard");
    if (!pad) {
      this.hands.letGo("gamepad");
      return false;
    }
    const button = (k) => pad.buttons[k]?.value ?? 0;
    const tilt = Math.abs(pad.axes[0]) > DEAD_ZONE ? pad.axes[0] : 0;
    this.hands.set("gamepad", "left", Math.max(-tilt, button(14), 0));
    this.hands.set("gamepad", "right", Math.max(tilt, button(15), 0));
    this.hands.set("gamepad", "up", Math.max(button(7), button(12), button(0)));
    this.hands.set("gamepad", "down", Math.max(button(6), button(13), button(1)));
    for (const [k, command] of [[3, "handOver"], [9, "playPause"], [8, "reset"]]) {
      const down = button(k) > 0.5;
      if (down && !this.pressed[k]) this.commands[command]();
      this.pressed[k] = down;
    }
    return true;
  }
}
