/**
 * `bootstrapper keygen`: makes an operator's key.
 *
 * @module
 */
import type { CliCommand } from "../command.ts";
import { isSet, optionalText, outputForm, present, requiredText } from "../options.ts";
import type { KeygenOptions } from "../programs/keygen.ts";

/** Makes an operator's key. */
export const keygen: CliCommand<KeygenOptions> = {
  name: "keygen",
  group: "For operators:",
  description: "make an operator's key",
  examples: ["bootstrapper keygen --out operator.key --passphrase"],
  keeps: ["read", "write"],
  declare(command) {
    command.requiredOption("--out <file>", "to be written: PKCS#8 PEM, mode 0600")
      .option("--comment <text>", "in the public line (default: bootstrapper operator)", "bootstrapper operator")
      .option("--passphrase", "encrypt it with a passphrase, asked for")
      .option("--passphrase-file <file>", "encrypt it with the passphrase in this file");
  },
  read: (parsed) => ({
    file: requiredText(parsed, "out"),
    comment: requiredText(parsed, "comment"),
    asksPassphrase: isSet(parsed, "passphrase"),
    ...present("passphraseFile", optionalText(parsed, "passphraseFile")),
    output: outputForm(parsed),
  }),
  async action(options, context) {
    await (await import("../programs/keygen.ts")).keygen(options, context);
  },
};
