/**
 * The founding token: an Ed25519 key in short. Its holders found a cluster, and join one as control planes.
 *
 * ```text
 * token = "bft1-" ‖ bech32m of 160 random bits under the prefix "bft"
 * seed  = HKDF-SHA256(160 bits, salt = H(label ‖ "token" ‖ LP(cluster name)), info = label ‖ 00 ‖ "founding token", 32 bytes)
 * ```
 *
 * The token key, which is public, checks what the token signs and cannot forge it.
 *
 * @module
 */
import type { KeyPair } from "../certificate/keys.ts";
import { ed25519KeyPair } from "../certificate/keys.ts";
import { readPublicKey } from "../certificate/public_key.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64, fromBase64, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { hasVariable } from "../platform/label.ts";
import { BECH32_CHARACTERS, BECH32_CHECKSUM_LENGTH, encodeBech32m, hasBech32mChecksum } from "./_bech32m.ts";
import { foundingTokenInfo, foundingTokenSalt } from "./transcript.ts";

/** How every founding token begins. The digit is its version. */
export const FOUNDING_TOKEN_START = "bft1-";
/** The number of random bytes in a token. */
export const FOUNDING_TOKEN_BYTES = 20;

const PREFIX = "bft";
const BITS_OF_CHARACTER = 5;
const CHARACTERS = FOUNDING_TOKEN_BYTES * 8 / BITS_OF_CHARACTER + BECH32_CHECKSUM_LENGTH;
const SEED_BITS = 256;

/** Makes a new founding token. It is a secret. */
export function createFoundingToken(): string {
  const bits = randomBytes(FOUNDING_TOKEN_BYTES);
  try {
    return foundingTokenText(bits);
  } finally {
    bits.fill(0);
  }
}

/**
 * Formats a token's bits.
 *
 * @param bits 20 bytes.
 */
export function foundingTokenText(bits: Uint8Array): string {
  return FOUNDING_TOKEN_START + encodeBech32m(PREFIX, charactersOf(bits));
}

/**
 * Reads a founding token. Capital letters and surrounding white space are taken; every mistyped character, and every
 * two that are swapped, are found.
 *
 * @param text The token. No error shows any part of it.
 * @param what Where the text comes from, for errors.
 * @returns 20 bytes, which the caller wipes.
 * @throws {BootstrapError} `usage/founding-token`, with the kind of mistake.
 */
export function readFoundingToken(text: string, what: string): Bytes {
  const trimmed = text.trim();
  const problem = startProblem(trimmed);
  if (problem !== undefined) throw mistyped(what, problem);
  const values = [...trimmed.slice(FOUNDING_TOKEN_START.length)].map(valueOf);
  const wrong = values.indexOf(-1);
  if (wrong >= 0) {
    throw mistyped(what, `no token has the character at place ${wrong + 1} after ${FOUNDING_TOKEN_START}`);
  }
  if (values.length !== CHARACTERS) {
    throw mistyped(
      what,
      `it has ${values.length} characters after ${FOUNDING_TOKEN_START}, and a token has ${CHARACTERS}`,
    );
  }
  if (!hasBech32mChecksum(PREFIX, values)) {
    throw mistyped(what, "its checksum does not fit: a character is wrong, or some are swapped");
  }
  const bits = bytesOf(values.slice(0, -BECH32_CHECKSUM_LENGTH));
  values.fill(0);
  return bits;
}

/**
 * Derives the key pair of a founding token. Nothing can export its private key.
 *
 * @param text The token.
 * @param clusterName The cluster that it is for.
 * @param what Where the text comes from, for errors.
 * @throws {BootstrapError} `usage/founding-token`.
 */
export async function deriveToken(
  text: string,
  clusterName: string,
  what = "the founding token",
): Promise<KeyPair> {
  const bits = readFoundingToken(text, what);
  let seed = new Uint8Array();
  try {
    const key = await crypto.subtle.importKey("raw", bits, "HKDF", false, ["deriveBits"]);
    const salt = await foundingTokenSalt(clusterName);
    const algorithm = { name: "HKDF", hash: "SHA-256", salt, info: foundingTokenInfo() };
    seed = new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, SEED_BITS));
    return await ed25519KeyPair(seed);
  } finally {
    bits.fill(0);
    seed.fill(0);
  }
}

/**
 * Formats a token key for a configuration.
 *
 * @param spki The SPKI, DER.
 */
export function tokenKeyText(spki: Uint8Array): string {
  return base64(spki);
}

/**
 * Reads a token key.
 *
 * @param text Base64 of the SPKI of an Ed25519 key, as {@linkcode tokenKeyText} writes it.
 * @param what The name of the field, for errors.
 * @returns The SPKI, DER.
 * @throws {BootstrapError} `malformed/…`, or `refused/key-type` if the key is not Ed25519.
 */
export function readTokenKey(text: string, what: string): Bytes {
  const { type, spki } = readPublicKey(fromBase64(text.trim(), what), what);
  if (type === "ed25519") return spki;
  throw new BootstrapError("refused/key-type", `Cannot use the key of "${what}" as a token key must be Ed25519`, {
    details: { check: "key-type", expected: "ed25519", seen: type },
  });
}

/** Whether a text begins like a founding token, so that nothing of it may be shown. */
export function looksLikeFoundingToken(text: string): boolean {
  return /^\s*bft/i.test(text);
}

function startProblem(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (hasVariable(text)) return "a variable was not filled in";
  if (text.slice(0, FOUNDING_TOKEN_START.length).toLowerCase() === FOUNDING_TOKEN_START) return undefined;
  return /^bft\d/i.test(text) && !/^bft1/i.test(text)
    ? `it is a token of a version that this program does not know: ${FOUNDING_TOKEN_START} is expected`
    : `it does not begin with ${FOUNDING_TOKEN_START}`;
}

function mistyped(what: string, problem: string): BootstrapError {
  return new BootstrapError("usage/founding-token", `Cannot read ${what} as a founding token: ${problem}`);
}

/** The value of a character, or -1. Only letters of ASCII have another case here. */
function valueOf(character: string): number {
  return BECH32_CHARACTERS.indexOf(/^[A-Z]$/.test(character) ? character.toLowerCase() : character);
}

/** Cuts bytes into groups of five bits. Their number of bits must be a multiple of five. */
function charactersOf(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length * 8 / BITS_OF_CHARACTER }, (_, index) => {
    const [byte, offset] = placeOf(index * BITS_OF_CHARACTER);
    const pair = ((bytes[byte] ?? 0) << 8) | (bytes[byte + 1] ?? 0);
    return (pair >>> (16 - offset - BITS_OF_CHARACTER)) & 31;
  });
}

function bytesOf(values: readonly number[]): Bytes {
  const bytes = new Uint8Array(values.length * BITS_OF_CHARACTER / 8);
  values.forEach((value, index) => {
    const [byte, offset] = placeOf(index * BITS_OF_CHARACTER);
    const pair = value << (16 - offset - BITS_OF_CHARACTER);
    bytes[byte] = (bytes[byte] ?? 0) | (pair >>> 8);
    if (byte + 1 < bytes.length) bytes[byte + 1] = (bytes[byte + 1] ?? 0) | (pair & 0xff);
  });
  return bytes;
}

function placeOf(bit: number): readonly [byte: number, offset: number] {
  return [bit >>> 3, bit & 7];
}
