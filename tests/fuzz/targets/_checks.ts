/**
 * What several targets promise.
 *
 * @module
 */
import { DerReader, readDer } from "../../../certificate/der.ts";
import { concat, equalBytes } from "../../../platform/bytes.ts";
import { BootstrapError, errorFamily } from "../../../platform/errors.ts";
import { promise } from "../target.ts";

const CONSTRUCTED = 0x20;
const EMPTY = new Uint8Array();

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
  const parts: Uint8Array[] = [];
  writeAgain(readDer(der, "fuzz", der.length), parts);
  let offset = 0;
  for (const part of parts) {
    promise(equalBytes(part, der.subarray(offset, offset + part.length)), "DER that was accepted has another encoding");
    offset += part.length;
  }
  promise(offset === der.length, "DER that was accepted has another length");
}

/** Adds what the elements are written as; gives its length. */
function writeAgain(reader: DerReader, parts: Uint8Array[]): number {
  let length = 0;
  while (!reader.atEnd) {
    const { tag, content } = reader.element();
    const head = parts.push(EMPTY) - 1;
    const inside = (tag & CONSTRUCTED) === 0
      ? parts.push(content) && content.length
      : writeAgain(new DerReader(content, "fuzz"), parts);
    const written = concat(Uint8Array.of(tag), lengthOf(inside));
    parts[head] = written;
    length += written.length + inside;
  }
  return length;
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
