/**
 * A small random number generator that repeats its numbers for the same seed (sfc32, from Chris Doty-Humphrey's
 * PractRand).
 *
 * @module
 */

/** Random numbers determined by a seed. */
export class Random {
  #a: number;
  #b: number;
  #c = 0x9e3779b9;
  #counter = 1;

  /** `text`, such as a target's name, makes different sequences from one seed. */
  constructor(seed: number, text = "") {
    this.#a = seed >>> 0;
    this.#b = [...text].reduce(
      (sum, letter) => Math.imul(sum ^ (letter.codePointAt(0) ?? 0), 0x01000193) >>> 0,
      0x811c9dc5,
    );
    for (let i = 0; i < 16; i++) this.u32();
  }

  /** A number from 0 to 2³² − 1. */
  u32(): number {
    const sum = (this.#a + this.#b + this.#counter) >>> 0;
    this.#counter = (this.#counter + 1) >>> 0;
    this.#a = (this.#b ^ this.#b >>> 9) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = ((this.#c << 21 | this.#c >>> 11) + sum) >>> 0;
    return sum;
  }

  /** A number from 0 to `bound` − 1; 0 for a bound below 1. */
  below(bound: number): number {
    return bound < 1 ? 0 : this.u32() % bound;
  }

  /** True once in `times` calls on average. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of the items. */
  pick<T>(items: readonly [T, ...T[]]): T;
  /** One of the items; undefined if there are none. */
  pick<T>(items: readonly T[]): T | undefined;
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** A random length; short ones are more likely. */
  length(maximum: number): number {
    return this.below(1 + this.below(1 + Math.min(maximum, 2 ** this.below(17))));
  }

  /** Random bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
