/**
 * `bootstrapper keygen`: generates an operator's key, or that of a recipient of backups.
 *
 * @module
 */
import { generateKeyPair, privateKeyPem } from "../../certificate/keys.ts";
import { operatorKeyLine } from "../../certificate/operator_key.ts";
import { createRecipientKeys, recipientKeyPem, recipientText } from "../../backup/recipient.ts";
import { utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createFileExclusive, exists } from "../../platform/files.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";
import { askNewPassphrase, passphraseOfFile } from "../passphrase.ts";

/** The options of `keygen`. */
export interface KeygenOptions {
  /** The path for the private key. */
  readonly file: string;
  /** The comment in the public key's line, printable ASCII. */
  readonly comment: string;
  /** Whether the key is a recipient's of backups, and not an operator's. */
  readonly isForBackups: boolean;
  /** Whether to write the key without encryption. */
  readonly isUnencrypted: boolean;
  /** The file with the passphrase. Default: it is asked at the terminal. */
  readonly passphraseFile?: string;
  readonly output: OutputForm;
}

const SECRET_MODE = 0o600;

/** A key that was made, before it is written. */
interface NewKey {
  /** The private key, PEM. */
  readonly pem: string;
  /** The name of the public key in the result, and its line. */
  readonly field: "operatorKey" | "recipient";
  readonly line: string;
  /** What to do with the line. */
  readonly advice: string;
}

/**
 * Generates an Ed25519 key pair, or an X25519 one for backups, writes the private key, and prints the public key.
 *
 * @throws {BootstrapError} `precondition/file-exists`, `usage/passphrase`, `usage/key-comment`, `usage/no-terminal`,
 *   `aborted/prompt`, `system/file`.
 */
export async function keygen(options: KeygenOptions, context: CliContext): Promise<void> {
  const { file, output } = options;
  if (await exists(file)) throw existsError(file);
  const passphrase = await passphraseOf(options, context);
  const { pem: text, field, line, advice } = await (options.isForBackups ? recipientKey : operatorKey)(
    options,
    passphrase,
  );
  const pem = utf8(text);
  try {
    if (!await createFileExclusive(file, pem, { mode: SECRET_MODE })) throw existsError(file);
  } finally {
    pem.fill(0);
  }
  const isEncrypted = passphrase !== undefined;
  printResult(context, output, { file, isEncrypted, [field]: line }, line);
  if (output === "text") {
    context.printError(`Wrote the ${isEncrypted ? "encrypted" : "unencrypted"} private key to ${file}.\n${advice}\n`);
  }
}

async function operatorKey({ comment }: KeygenOptions, passphrase: string | undefined): Promise<NewKey> {
  const keys = await generateKeyPair("ed25519");
  return {
    line: operatorKeyLine(keys.spki, comment),
    pem: await privateKeyPem(keys, passphrase),
    field: "operatorKey",
    advice: "Put the line above into trust.operatorKeys of the nodes' configuration. Use the key for nothing else.",
  };
}

async function recipientKey(_: KeygenOptions, passphrase: string | undefined): Promise<NewKey> {
  const keys = await createRecipientKeys();
  return {
    line: recipientText(keys.publicKey),
    pem: await recipientKeyPem(keys, passphrase),
    field: "recipient",
    advice:
      "Put the line above into the file of recipients on each control plane: see `bootstrapper backup --help`.\n" +
      "Keep the key away from the cluster: it opens every backup, and with it the keys of the cluster.",
  };
}

async function passphraseOf(options: KeygenOptions, context: CliContext): Promise<string | undefined> {
  const { isUnencrypted, passphraseFile } = options;
  if (isUnencrypted && passphraseFile !== undefined) {
    throw new BootstrapError("usage/passphrase", "Cannot use both --no-passphrase and --passphrase-file", {
      next: "Leave out one of the two",
    });
  }
  if (isUnencrypted) return undefined;
  return passphraseFile === undefined
    ? await askNewPassphrase(context.terminal)
    : await passphraseOfFile(passphraseFile);
}

function existsError(file: string): BootstrapError {
  return new BootstrapError("precondition/file-exists", `Cannot write a key to ${file} as it exists`, {
    next: "Choose another name: a key is never overwritten",
    details: { path: file },
  });
}
