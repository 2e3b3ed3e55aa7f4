/**
 * `bootstrapper keygen`: generates an operator's key, or that of a recipient of backups.
 *
 * @module
 */
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm, requiredText } from "../options.ts";
import type { KeygenOptions } from "../programs/keygen.ts";

/** Generates an operator's key, or that of a recipient of backups. */
export const keygen: CliCommand<KeygenOptions> = {
  name: "keygen",
  group: "For operators:",
  description: "generate an operator's key, or one that opens backups",
  examples: ["bootstrapper keygen --out operator.key", "bootstrapper keygen --backup --out backup.key"],
  keeps: ["read", "write"],
  declare(command) {
    command.requiredOption("--out <file>", "private key file to write (PKCS#8 PEM, mode 0600)")
      .option("--backup", "generate a key that opens backups (X25519), and nothing else")
      .option("--comment <text>", "comment of the public key (default: bootstrapper operator)", "bootstrapper operator")
      .option("--passphrase-file <file>", "encrypt with the passphrase in this file (default: asked at the terminal)")
      .option("--no-passphrase", "write the key unencrypted");
  },
  read: (parsed) => ({
    file: requiredText(parsed, "out"),
    comment: requiredText(parsed, "comment"),
    isForBackups: isSet(parsed, "backup"),
    isUnencrypted: parsed.getOptionValue("passphrase") === false,
    ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/keygen.ts")).keygen(options, context);
  },
};
