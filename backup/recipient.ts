/**
 * The keys to which backups are sealed. Each is an X25519 key pair of its own: an operator's signing key may be in a
 * device that only signs, and a key that can open backups should be able to lie in a safe.
 *
 * @module
 */
import { pkcs8Pem, readPkcs8Pem } from "../certificate/keys.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64, concat, equalBytes, fromBase64, fromHex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createSealingKey, SEALING_KEY_BYTES, sealingKeyOf, type SealingKeyPair } from "../protocol/node_keys.ts";

/** The most recipients of one backup. */
export const MAXIMUM_RECIPIENTS = 32;

/** The prefix of every X25519 key's SPKI (RFC 8410, 4). */
const SPKI_PREFIX = fromHex("302a300506032b656e032100", "prefix");

/** Formats a recipient: base64 of the SPKI. */
export function recipientText(publicKey: Uint8Array): string {
  return base64(concat(SPKI_PREFIX, publicKey));
}

/**
 * Reads a recipient.
 *
 * @param text Base64 of the SPKI of an X25519 key, as {@linkcode recipientText} writes it.
 * @param what Where the text comes from, for errors.
 * @returns The public key, 32 bytes.
 * @throws {BootstrapError} `usage/backup-recipient`.
 */
export function readRecipient(text: string, what: string): Bytes {
  const spki = decoded(text.trim(), what);
  const hasForm = spki?.length === SPKI_PREFIX.length + SEALING_KEY_BYTES &&
    equalBytes(spki.subarray(0, SPKI_PREFIX.length), SPKI_PREFIX);
  if (spki !== undefined && hasForm) return spki.slice(SPKI_PREFIX.length);
  throw wrongRecipient(what, "it is not the line that `bootstrapper keygen --backup` prints");
}

/**
 * Reads a file of recipients: one on each line; empty lines, and lines that begin with `#`, are comments.
 *
 * @param what The file's name, for errors.
 * @returns The public keys, without repetitions, at least one.
 * @throws {BootstrapError} `usage/backup-recipient` with the number of the line.
 */
export function readRecipients(text: string, what: string): readonly Bytes[] {
  const found = new Map<string, Bytes>();
  text.split("\n").forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return;
    found.set(trimmed, readRecipient(trimmed, `${what}, line ${index + 1}`));
  });
  if (found.size === 0) throw wrongRecipient(what, "it names no recipient");
  if (found.size > MAXIMUM_RECIPIENTS) {
    throw wrongRecipient(what, `it names more than ${MAXIMUM_RECIPIENTS} recipients`);
  }
  return [...found.values()];
}

/** Makes a recipient's key pair, which can be exported. */
export async function createRecipientKeys(): Promise<SealingKeyPair> {
  return (await createSealingKey()).keys;
}

/** Formats a recipient's private key as PKCS#8 PEM, encrypted if there is a passphrase. */
export function recipientKeyPem({ privateKey }: SealingKeyPair, passphrase?: string): Promise<string> {
  return pkcs8Pem(privateKey, passphrase);
}

/**
 * Reads a recipient's private key.
 *
 * @param what The file's name, for errors.
 * @throws {BootstrapError} `malformed/sealing-key` for a key of another type, `usage/passphrase`, `malformed/…`.
 */
export async function readRecipientKeyPem(pem: string, what: string, passphrase?: string): Promise<SealingKeyPair> {
  return await sealingKeyOf(await readPkcs8Pem(pem, what, passphrase), what);
}

function decoded(text: string, what: string): Bytes | undefined {
  try {
    return fromBase64(text, what);
  } catch {
    // Reported by the caller, with what is expected.
    return undefined;
  }
}

function wrongRecipient(what: string, problem: string): BootstrapError {
  return new BootstrapError("usage/backup-recipient", `Cannot use ${what} as ${problem}`, { details: { what } });
}
