/**
 * Makes a failing input smaller.
 *
 * @module
 */
import { concat } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";

/** The time limit, in milliseconds: an input that fails because it is slow is slow on each attempt. */
const PATIENCE_MS = 20_000;

/**
 * Removes parts of an input, large ones first, as long as it still fails.
 *
 * @param input The failing input.
 * @param fails Whether an input still fails in the same way.
 */
export async function reduced(input: Bytes, fails: (input: Bytes) => Promise<boolean>): Promise<Bytes> {
  let smallest = input;
  const begun = performance.now();
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length && performance.now() - begun < PATIENCE_MS;) {
      const candidate = concat(smallest.subarray(0, at), smallest.subarray(at + size));
      if (await fails(candidate)) smallest = candidate;
      else at += size;
    }
  }
  return smallest;
}
