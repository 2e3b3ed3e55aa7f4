/**
 * Mutations of bytes of unknown form.
 *
 * @module
 */
import { concat } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import type { Random } from "./_random.ts";

/** Makes new bytes from bytes; `other` is another input of the same target. */
export type Mutation = (bytes: Bytes, random: Random, other: Bytes) => Bytes;

const INTERESTING = [
  0,
  1,
  2,
  0x7f,
  0x80,
  0xff,
  0x100,
  0x7fff,
  0x8000,
  0xffff,
  0x10000,
  0x7fffffff,
  0x80000000,
  0xffffffff,
] as const;
const WIDTHS = [1, 2, 4, 8] as const;
const MOST_REPETITIONS = 2048;

/** Writes a number at a position, big- or little-endian. */
function put(bytes: Bytes, random: Random, at: number, width: number, value: number): Bytes {
  const out = bytes.slice();
  const isLittle = random.oneIn(2);
  for (let i = 0; i < width && at + i < out.length; i++) {
    const place = isLittle ? i : width - 1 - i;
    out[at + i] = place >= 6 ? 0 : Math.floor(value / 256 ** place) % 256;
  }
  return out;
}

function replaced(bytes: Bytes, start: number, end: number, by: Uint8Array): Bytes {
  return concat(bytes.subarray(0, start), by, bytes.subarray(end));
}

/** Chooses a random range of the bytes. */
function range(bytes: Bytes, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length);
  return [start, Math.min(bytes.length, start + 1 + random.length(bytes.length - start))];
}

/** Changes a number that could be the length of the bytes after it to a slightly wrong value. */
const wrongLength: Mutation = (bytes, random) => {
  for (let tries = 0; tries < 32; tries++) {
    const at = random.below(bytes.length);
    const width = random.pick([1, 2, 4] as const);
    const left = bytes.length - at - width;
    if (left < 0) continue;
    const read = (little: boolean) =>
      Array.from(bytes.subarray(at, at + width)).reduce(
        (sum, octet, i) => sum + octet * 256 ** (little ? i : width - 1 - i),
        0,
      );
    const value = read(random.oneIn(2));
    if (value === 0 || value > left) continue;
    const wrong = random.pick([value - 1, value + 1, left, left + 1, 0, 256 ** width - 1, value * 2] as const);
    return put(bytes, random, at, width, wrong);
  }
  return bytes;
};

/** All mutations of bytes. */
export const BYTE_MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  (bytes, random) => {
    const at = random.below(bytes.length);
    return put(bytes, random, at, 1, (bytes[at] ?? 0) ^ 1 << random.below(8));
  },
  (bytes, random) => put(bytes, random, random.below(bytes.length), 1, random.below(256)),
  (bytes, random) => put(bytes, random, random.below(bytes.length), random.pick(WIDTHS), random.pick(INTERESTING)),
  (bytes, random) => {
    const at = random.below(bytes.length);
    return put(bytes, random, at, 1, ((bytes[at] ?? 0) + random.below(9) - 4 + 256) % 256);
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.length)),
  (bytes, random) => bytes.slice(0, bytes.length - 1 - random.below(4)),
  (bytes, random) => replaced(bytes, ...range(bytes, random), new Uint8Array()),
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return replaced(bytes, end, end, bytes.subarray(start, end));
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    const times = random.below(1 + random.below(MOST_REPETITIONS));
    const chunk = bytes.subarray(start, Math.min(end, start + 64));
    return replaced(bytes, start, start, concat(...Array.from({ length: times }, () => chunk)));
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return replaced(
      bytes,
      start,
      start,
      new Uint8Array(end - start).fill(random.pick([0, 0xff, 0x80, 0x20, 0x30] as const)),
    );
  },
  (bytes, random) => replaced(bytes, ...range(bytes, random), random.bytes(random.length(64))),
  (bytes, random, other) => {
    const [from, to] = range(other, random);
    return replaced(bytes, ...range(bytes, random), other.subarray(from, to));
  },
  (bytes, random, other) =>
    concat(bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))),
  (bytes, random, other) => {
    // The bytes at the same position of the other input.
    const [start, end] = range(bytes, random);
    return replaced(bytes, start, end, other.subarray(start, end));
  },
  (bytes, random) => concat(bytes, random.bytes(1 + random.length(16))),
  wrongLength,
  wrongLength,
];
