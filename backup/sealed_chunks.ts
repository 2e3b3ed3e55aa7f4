/**
 * A long content, encrypted in chunks, so that neither side holds all of it (the STREAM construction: Hoang, Reyhanitabar,
 * Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015; as in age).
 *
 * Each chunk is AES-256-GCM with the nonce {number of the chunk, 11 bytes, big-endian; 1 if it is the last one, else 0}.
 * All but the last have 1 MiB of content. So a chunk that was changed, moved or left out does not open, and neither does
 * what is before a cut. The key is for one content only.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { concat } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The content of a chunk that is not the last one. */
export const CHUNK_BYTES = 1 << 20;
/** The tag of AES-GCM, which follows the content of a chunk. */
export const TAG_BYTES = 16;

const NONCE_BYTES = 12;
const COUNTER_OFFSET = 3;

/**
 * Encrypts a content.
 *
 * @param key AES-256-GCM, used for nothing else.
 * @param context What each chunk is bound to.
 */
export async function* sealChunks(
  key: CryptoKey,
  context: Uint8Array,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Bytes, void> {
  for await (const { bytes, number, isLast } of inChunks(content, CHUNK_BYTES)) {
    yield new Uint8Array(await crypto.subtle.encrypt(algorithm(number, isLast, context), key, bytes));
  }
}

/**
 * Decrypts what {@linkcode sealChunks} made. A chunk is yielded when it has been checked; that nothing is missing at the
 * end is known when the generator has ended.
 *
 * @throws {BootstrapError} `refused/backup` with `chunk`, for the first chunk that was changed, or before which or after
 *   which something is missing.
 */
export async function* openChunks(
  key: CryptoKey,
  context: Uint8Array,
  sealed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Bytes, void> {
  for await (const { bytes, number, isLast } of inChunks(sealed, CHUNK_BYTES + TAG_BYTES)) {
    let opened: ArrayBuffer;
    try {
      opened = await crypto.subtle.decrypt(algorithm(number, isLast, context), key, bytes);
    } catch (cause) {
      const details = { chunk: String(number), offset: String(number * CHUNK_BYTES) };
      throw new BootstrapError(
        "refused/backup",
        `Cannot open the backup: it was changed or cut in its chunk ${number}`,
        { cause, details },
      );
    }
    yield new Uint8Array(opened);
  }
}

function algorithm(number: number, isLast: boolean, additionalData: Uint8Array): AesGcmParams {
  const iv = new Uint8Array(NONCE_BYTES);
  new DataView(iv.buffer).setBigUint64(COUNTER_OFFSET, BigInt(number));
  iv[NONCE_BYTES - 1] = isLast ? 1 : 0;
  return { name: "AES-GCM", iv, additionalData: new Uint8Array(additionalData) };
}

/** Cuts bytes into chunks of one length. There is at least one chunk, and only the last one is shorter. */
async function* inChunks(
  source: AsyncIterable<Uint8Array>,
  length: number,
): AsyncGenerator<{ readonly bytes: Bytes; readonly number: number; readonly isLast: boolean }, void> {
  let parts: Uint8Array[] = [];
  let held = 0;
  let number = 0;
  for await (let part of source) {
    // A full chunk is held until it is known whether another byte follows.
    while (held + part.length > length) {
      const wanted = length - held;
      yield { bytes: concat(...parts, part.subarray(0, wanted)), number: number++, isLast: false };
      part = part.subarray(wanted);
      parts = [];
      held = 0;
    }
    if (part.length > 0) parts.push(part);
    held += part.length;
  }
  yield { bytes: concat(...parts), number, isLast: true };
}
