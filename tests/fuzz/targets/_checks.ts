/**
 * What several targets promise.
 *
 * @module
 */
import { DerReader, readDer } from "../../../certificate/der.ts";
import { concat, equalBytes } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError, errorFamily } from "../../../platform/errors.ts";
import { promise } from "../target.ts";

const CONSTRUCTED = 0x20;

/**
 * Calls all of them with the same input in mind, whatever the others say. A refusal by each of them is the outcome; anything
 * else that is thrown is, at once.
 */
export async function eachOf(...calls: readonly (() => unknown)[]): Promise<void> {
  const refusals: BootstrapError[] = [];
  for (const call of calls) {
    try {
      await call();
    } catch (error) {
      if (!(error instanceof BootstrapError) || errorFamily(error.code) === "internal") throw error;
      refusals.push(error);
    }
  }
  const [first] = refusals;
  if (refusals.length === calls.length && first !== undefined) throw first;
}

/** DER that was accepted must be the one encoding of what is in it. */
export function promiseOneForm(der: Uint8Array): void {
  promise(equalBytes(again(readDer(der, "fuzz", der.length)), der), "DER that was accepted has another encoding");
}

function again(reader: DerReader): Bytes {
  const parts: Uint8Array[] = [];
  while (!reader.atEnd) {
    const { tag, content } = reader.element();
    const inside = (tag & CONSTRUCTED) === 0 ? content : again(new DerReader(content, "fuzz"));
    parts.push(Uint8Array.of(tag), lengthOf(inside.length), inside);
  }
  return concat(...parts);
}

function lengthOf(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length);
  const octets: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
  return Uint8Array.of(0x80 | octets.length, ...octets);
}

/** Something that only its maker could sign was accepted: it must be one of those that were made. */
export function promiseOneOf(input: Uint8Array, made: readonly Uint8Array[], what: string): void {
  promise(made.some((one) => equalBytes(one, input)), `${what} was accepted though nobody made it`);
}
