/**
 * Passphrases of operators' keys. They come from a file or from the terminal, never from an argument or the
 * environment, where other processes can see them.
 *
 * @module
 */
import { fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile } from "../platform/files.ts";
import type { Terminal } from "./context.ts";

const MAXIMUM_FILE_BYTES = 1026;

/**
 * Reads a passphrase from a file, whose only line it must be.
 *
 * @throws {BootstrapError} `usage/passphrase` if the file is empty or has more lines, `malformed/…`, `system/file`.
 */
export async function passphraseOfFile(path: string): Promise<string> {
  const passphrase = fromUtf8(await readFile(path, MAXIMUM_FILE_BYTES), path).replace(/\r?\n$/, "");
  if (passphrase !== "" && !/[\r\n]/.test(passphrase)) return passphrase;
  throw new BootstrapError("usage/passphrase", `Cannot use ${path} as it must hold a passphrase on one line`, {
    details: { path },
    next: "Write the passphrase into the file, as its only line",
  });
}

/**
 * Asks twice for a new passphrase.
 *
 * @throws {BootstrapError} `usage/passphrase` if the passphrase is empty or the answers differ; the errors of
 *   {@linkcode Terminal.askSecret}.
 */
export async function askNewPassphrase(terminal: Terminal): Promise<string> {
  const passphrase = await terminal.askSecret("Passphrase for the new key: ");
  if (passphrase === "") {
    throw new BootstrapError("usage/passphrase", "Cannot use an empty passphrase", {
      next: "Run the command again, and type a passphrase; or give --no-passphrase",
    });
  }
  if (await terminal.askSecret("The same passphrase again: ") === passphrase) return passphrase;
  throw new BootstrapError("usage/passphrase", "The two passphrases differ", {
    next: "Run the command again, and type the same passphrase twice",
  });
}
