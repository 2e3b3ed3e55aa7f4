/**
 * Reads operators' keys from files, for the commands of an operator.
 *
 * @module
 */
import { readRecipientKeyPem } from "../backup/recipient.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { readPrivateKeyPem } from "../certificate/keys.ts";
import { readOperatorKey } from "../certificate/operator_key.ts";
import { pemLabel } from "../certificate/pem.ts";
import { equalBytes, fromUtf8 } from "../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { BootstrapError, hasCode } from "../platform/errors.ts";
import { fileMode, readFile } from "../platform/files.ts";
import type { SealingKeyPair } from "../protocol/node_keys.ts";
import type { Terminal } from "./context.ts";
import { passphraseOfFile } from "./passphrase.ts";

const MAXIMUM_KEY_FILE_BYTES = 1 << 14;
/** The permissions of the group and of others. */
const OTHERS = 0o077;

/**
 * Reads an operator's key. The passphrase of an encrypted key comes from `passphraseFile`, or from the terminal.
 *
 * @throws {BootstrapError} `usage/operator-key` if it is not an Ed25519 key, `usage/key-file-mode` if group or others
 *   may access it, `usage/passphrase`, `usage/no-terminal`, `malformed/…`, `system/file`.
 */
export async function readOperatorKeyFile(
  path: string,
  passphraseFile: string | undefined,
  terminal: Terminal,
): Promise<KeyPair> {
  const { pem, passphrase } = await readKeyFile(path, passphraseFile, terminal);
  const keys = await readAnyKey(pem, path, passphrase);
  if (keys.type === "ed25519") return keys;
  throw notEd25519(path, keys.type);
}

/**
 * Like {@linkcode readOperatorKeyFile}, for the key of a recipient of backups.
 *
 * @throws {BootstrapError} `malformed/sealing-key` if it is not an X25519 key, and the others.
 */
export async function readRecipientKeyFile(
  path: string,
  passphraseFile: string | undefined,
  terminal: Terminal,
): Promise<SealingKeyPair> {
  const { pem, passphrase } = await readKeyFile(path, passphraseFile, terminal);
  return await readRecipientKeyPem(pem, path, passphrase);
}

async function readKeyFile(
  path: string,
  passphraseFile: string | undefined,
  terminal: Terminal,
): Promise<{ readonly pem: string; readonly passphrase?: string }> {
  const pem = fromUtf8(await readFile(path, MAXIMUM_KEY_FILE_BYTES), path);
  if (/PRIVATE KEY-----/.test(pem)) await checkMode(path);
  else throw noPrivateKey(path, pem);
  if (passphraseFile !== undefined) return { pem, passphrase: await passphraseOfFile(passphraseFile) };
  if (pemLabel(pem, path) !== "ENCRYPTED PRIVATE KEY") return { pem };
  return { pem, passphrase: await terminal.askSecret(`Passphrase of ${path}: `) };
}

async function readAnyKey(pem: string, path: string, passphrase: string | undefined): Promise<KeyPair> {
  try {
    return await readPrivateKeyPem(pem, path, passphrase);
  } catch (error) {
    throw hasCode(error, "refused/key-type") ? notEd25519(path, "another kind of key", error) : error;
  }
}

function notEd25519(path: string, seen: string, cause?: unknown): BootstrapError {
  return new BootstrapError("usage/operator-key", `Cannot use ${path} as an operator's key must be Ed25519`, {
    next: "Make one with `bootstrapper keygen`",
    details: { path, seen },
    cause,
  });
}

/** Nothing of the file is shown: it may be a damaged key. */
function noPrivateKey(path: string, text: string): BootstrapError {
  const isPublic = /^ssh-|PUBLIC KEY-----/.test(text);
  return new BootstrapError(
    "usage/operator-key",
    `Cannot use ${path} as ${isPublic ? "it is a public key" : "it is no private key"}`,
    {
      next: "Give the file that `bootstrapper keygen --out` wrote",
      details: { path },
    },
  );
}

/** Refuses a private key that others than its owner may read or replace. */
async function checkMode(path: string): Promise<void> {
  const mode = await fileMode(path);
  if (mode === undefined || (mode & OTHERS) === 0) return;
  const seen = mode.toString(8).padStart(4, "0");
  throw new BootstrapError("usage/key-file-mode", `Cannot use ${path} as others may access it: its mode is ${seen}`, {
    next: `Run: chmod 600 '${path.replaceAll("'", "'\\''")}'`,
    details: { path, expected: "0600", seen },
  });
}

/**
 * Returns the SPKIs of all operators in a node's configuration. All are needed, because PCR 12 covers all of them.
 *
 * @param operator The operator whose private key is known.
 * @param otherFiles Files with the public keys of the other operators.
 * @throws {BootstrapError} `usage/…` for a file that is not a public key, `system/file`.
 */
export async function trustedOperators(operator: KeyPair, otherFiles: readonly string[]): Promise<Uint8Array[]> {
  const others = await Promise.all(otherFiles.map(async (path) => {
    const text = fromUtf8(await readFile(path, MAXIMUM_DOCUMENT_BYTES), path);
    if (!/PRIVATE KEY-----/.test(text)) return readOperatorKey(text, path);
    throw new BootstrapError(
      "usage/operator-key",
      `Cannot use ${path} as another operator's key: it is a private key`,
      {
        next: "Give the operator's public key, the line that `bootstrapper keygen` printed",
        details: { path },
      },
    );
  }));
  return [operator.spki, ...others.filter((key) => !equalBytes(key, operator.spki))];
}
