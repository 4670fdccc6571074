// Pictures on canvases: the dream, the recording, the starts' thumbnails.

const SIDE = 64;
const PLANE = SIDE * SIDE;

/** Three planes in [0, 1] as the pixels of an ImageData. */
function intoPixels(planes, pixels) {
  for (let i = 0; i < PLANE; i += 1) {
    // A clamped array rounds by itself.
    pixels[4 * i] = 255 * planes[i];
    pixels[4 * i + 1] = 255 * planes[PLANE + i];
    pixels[4 * i + 2] = 255 * planes[2 * PLANE + i];
    pixels[4 * i + 3] = 255;
  }
}

/** A canvas of 64 x 64 that shows what V paints. */
export class Picture {
  constructor(canvas) {
    canvas.width = canvas.height = SIDE;
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.image = this.context.createImageData(SIDE, SIDE);
  }

  show(planes) {
    intoPixels(planes, this.image.data);
    this.context.putImageData(this.image, 0, 0);
  }

  /** The pixels that are shown, RGBA. */
  get pixels() {
    return this.image.data;
  }
}

/** A canvas of 64 x 64 that shows frame t of a recording's sprite sheet. */
export class Recorded {
  constructor(canvas) {
    canvas.width = canvas.height = SIDE;
    this.context = canvas.getContext("2d", { alpha: false });
  }

  /** False when the recording has no such frame; its last one stays. */
  show(recording, t) {
    const last = recording.frames - 1;
    const tile = Math.min(t, last);
    const x = (tile % recording.columns) * SIDE;
    const y = Math.floor(tile / recording.columns) * SIDE;
    this.context.drawImage(recording.image, x, y, SIDE, SIDE, 0, 0, SIDE, SIDE);
    return t <= last;
  }
}
