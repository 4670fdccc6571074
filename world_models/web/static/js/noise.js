// The dream's chances. Seeded, so that the same seed and the same actions give the same dream.

/** Spreads a small seed over 32-bit words (splitmix32): neighbouring seeds must not give neighbouring streams. */
function* words(seed) {
  let state = seed >>> 0;
  for (;;) {
    state = (state + 0x9e3779b9) >>> 0;
    let x = state ^ (state >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    yield (x ^ (x >>> 15)) >>> 0;
  }
}

const rotate = (x, k) => ((x << k) | (x >>> (32 - k))) >>> 0;

/** xoshiro128** of Blackman and Vigna, with uniform and standard normal numbers on top. */
export class Noise {
  constructor(seed) {
    const source = words(seed);
    this.state = Uint32Array.from({ length: 4 }, () => source.next().value);
    this.spare = null;
  }

  /** 32 random bits as a whole number. */
  bits() {
    const s = this.state;
    const result = Math.imul(rotate(Math.imul(s[1], 5) >>> 0, 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** Uniform in [0, 1); 24 bits, so that it stays below 1 as a float32 too. */
  uniform() {
    return (this.bits() >>> 8) / 16777216;
  }

  /** Standard normal, by Box and Muller; every second one is the first one's twin. */
  normal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** What one step of M takes: which component, and where in it. Always 1 + size numbers, whatever comes of them. */
  draw(size) {
    const pick = this.uniform();
    this.spare = null;
    const noise = Float32Array.from({ length: size }, () => this.normal());
    return { pick, noise };
  }
}
