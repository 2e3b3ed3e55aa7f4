/**
 * Reads a secret from a terminal, key by key, without showing it.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

const INTERRUPT = 0x03;
const END_OF_INPUT = 0x04;
const BACKSPACES = [0x08, 0x7f];
const LINE_ENDS = [0x0a, 0x0d];
const ERASE_LINE = 0x15;
const MAXIMUM_SECRET_BYTES = 1024;

/**
 * Reads one line from a terminal in raw mode. Backspace deletes a character, and Ctrl-U the whole line.
 *
 * @param read Returns typed bytes as they arrive, and `null` at the end of the input. Bytes after the end of the line
 *   are dropped.
 * @throws {BootstrapError} `aborted/prompt` for Ctrl-C, Ctrl-D and the end of the input; `malformed/utf8`;
 *   `usage/passphrase` if the line is longer than 1024 bytes.
 */
export async function readSecretLine(read: () => Promise<Uint8Array | null>): Promise<string> {
  let typed: Bytes = new Uint8Array(0);
  try {
    for (;;) {
      const chunk = await read();
      if (chunk === null) throw stopped();
      for (const byte of chunk) {
        if (LINE_ENDS.includes(byte)) return fromUtf8(typed, "passphrase");
        if (byte === INTERRUPT || byte === END_OF_INPUT) throw stopped();
        const longer = BACKSPACES.includes(byte)
          ? withoutLastCharacter(typed)
          : byte === ERASE_LINE
          ? new Uint8Array(0)
          : concat(typed, Uint8Array.of(byte));
        typed.fill(0);
        typed = longer;
        if (typed.length > MAXIMUM_SECRET_BYTES) {
          throw new BootstrapError("usage/passphrase", `A passphrase has at most ${MAXIMUM_SECRET_BYTES} bytes`);
        }
      }
      chunk.fill(0);
    }
  } finally {
    typed.fill(0);
  }
}

/** Removes the last UTF-8 character: continuation bytes (10xxxxxx) belong to the byte that precedes them. */
function withoutLastCharacter(bytes: Uint8Array): Bytes {
  let length = bytes.length - 1;
  while (length > 0 && ((bytes[length] ?? 0) & 0xc0) === 0x80) length--;
  return copyOf(bytes.subarray(0, Math.max(0, length)));
}

function stopped(): BootstrapError {
  return new BootstrapError("aborted/prompt", "No passphrase was given");
}
