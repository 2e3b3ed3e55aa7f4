/**
 * Properties that several targets promise.
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
 * Calls all functions with the same input, even if some refuse it. If each of them refuses it, the refusals are the
 * outcome. Any other error is thrown at once.
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

/** Promises that accepted DER is the only encoding of its content. */
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

/** Appends the encodings of the elements, and returns their length. */
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

/** Promises that accepted input which only its maker could sign is one of the inputs that were made. */
export function promiseOneOf(input: Uint8Array, made: readonly Uint8Array[], what: string): void {
  promise(made.some((one) => equalBytes(one, input)), `${what} was accepted although it was never made`);
}
