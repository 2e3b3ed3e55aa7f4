/**
 * Helpers for tests of all kinds of evidence.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Bytes } from "../../platform/bytes.ts";
import { copyOf } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { Slice } from "../../tests/full/slice.ts";
import { takeSlice } from "../../tests/full/slice.ts";

/** Registers a test over evidence from other implementations or machines. */
export type OracleTest = (name: string, run: (read: (path: string) => Promise<Bytes>) => Promise<void>) => void;

/**
 * Creates a function that registers tests over a folder of evidence. If the folder is absent, the test's name says so
 * and the test is ignored.
 */
export function oraclesIn(folder: string): OracleTest {
  const path = fileURLToPath(new URL(`../../../shared/testdata/attestation/${folder}`, import.meta.url));
  const isThere = isFolder(path);
  return (name, run) => {
    Deno.test({
      name: isThere ? name : `${name} -- IGNORED: there is no ${path}`,
      ignore: !isThere,
      fn: () => run((file) => Deno.readFile(`${path}/${file}`)),
    });
  };
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Returns the {@linkcode BootstrapError} that a task throws. Fails if it throws none or another error. */
export async function errorOf(task: () => unknown): Promise<BootstrapError> {
  try {
    await task();
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "it did not fail" });
}

/** Returns the bytes with the bits of `mask` flipped in one octet, by default one bit. */
export function flipped(bytes: Uint8Array, index: number, mask = 1): Bytes {
  const copy = copyOf(bytes);
  copy[index] = (copy[index] ?? 0) ^ mask;
  return copy;
}

/**
 * Flips one bit of each byte, a different bit each time.
 *
 * @param check Judges the changed bytes; it must throw.
 * @param slice Which bytes.
 * @returns The codes that refused the changes, each with the number of changes that it refused.
 */
export async function flipAll(
  bytes: Uint8Array,
  check: (changed: Bytes, index: number) => unknown,
  slice: Slice,
): Promise<Map<string, number>> {
  const codes = new Map<string, number>();
  for (const index of takeSlice([...bytes.keys()], slice)) {
    const error = await errorOf(() => check(flipped(bytes, index, 1 << index % 8), index)).catch((cause) => {
      throw new assert.AssertionError({ message: `byte ${index}: ${cause}` });
    });
    codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
  }
  return codes;
}
