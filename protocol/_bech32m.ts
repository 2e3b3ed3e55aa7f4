/**
 * Bech32m, an encoding for texts that people copy (BIP 350). Its checksum always finds up to four wrong characters in a
 * text of at most 89 characters, so every mistyped character and every two that are swapped.
 *
 * @module
 */

/** The characters of values 0 to 31. There is no `1`, `b`, `i` or `o`. */
export const BECH32_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/** The number of characters of a checksum. */
export const BECH32_CHECKSUM_LENGTH = 6;

const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;
const BECH32M_CONSTANT = 0x2bc830a3;
const BITS = 5;

/**
 * Encodes values as characters, and appends the checksum.
 *
 * @param prefix What stands before the separator `1`, in lower case. The checksum covers it.
 * @param values From 0 to 31.
 */
export function encodeBech32m(prefix: string, values: readonly number[]): string {
  const zeros = new Array<number>(BECH32_CHECKSUM_LENGTH).fill(0);
  const remainder = polymod([...expanded(prefix), ...values, ...zeros]) ^ BECH32M_CONSTANT;
  const checksum = zeros.map((_, index) => (remainder >>> (BITS * (BECH32_CHECKSUM_LENGTH - 1 - index))) & 31);
  return [...values, ...checksum].map((value) => BECH32_CHARACTERS[value]).join("");
}

/**
 * Whether the last six values are the checksum of the prefix and the values before them.
 *
 * @param values From 0 to 31.
 */
export function hasBech32mChecksum(prefix: string, values: readonly number[]): boolean {
  return polymod([...expanded(prefix), ...values]) === BECH32M_CONSTANT;
}

function expanded(prefix: string): readonly number[] {
  const codes = [...prefix].map((character) => character.charCodeAt(0));
  return [...codes.map((code) => code >>> BITS), 0, ...codes.map((code) => code & 31)];
}

function polymod(values: readonly number[]): number {
  return values.reduce((checksum, value) => {
    const top = checksum >>> 25;
    const next = ((checksum & 0x1ffffff) << BITS) ^ value;
    return GENERATOR.reduce((sum, term, bit) => (top >>> bit) & 1 ? sum ^ term : sum, next);
  }, 1);
}
