/**
 * What tests share.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Bytes } from "../../platform/bytes.ts";
import { copyOf } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";

const oracleFolder = fileURLToPath(new URL("../../../shared/testdata/attestation/tdx", import.meta.url));

/** Registers a test over evidence made elsewhere; where that is absent the test says so and is ignored. */
export function oracleTest(name: string, run: (read: (path: string) => Promise<Bytes>) => Promise<void>): void {
  const isThere = isFolder(oracleFolder);
  Deno.test({
    name: isThere ? name : `${name} -- IGNORED: there is no ${oracleFolder}`,
    ignore: !isThere,
    fn: () => run((path) => Deno.readFile(`${oracleFolder}/${path}`)),
  });
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The error that a task ends with; fails if it does not, or with one of another kind. */
export async function errorOf(task: () => unknown): Promise<BootstrapError> {
  try {
    await task();
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "it did not fail" });
}

/** The bytes with one bit of one octet flipped. */
export function flipped(bytes: Uint8Array, index: number, mask = 1): Bytes {
  const copy = copyOf(bytes);
  copy[index] = (copy[index] ?? 0) ^ mask;
  return copy;
}

/** So many octets of one value. */
export function filled(length: number, value: number): Bytes {
  return new Uint8Array(length).fill(value);
}
