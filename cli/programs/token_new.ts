/**
 * `bootstrapper token new`: makes a founding token.
 *
 * @module
 */
import { createFoundingToken, deriveToken, tokenKeyText } from "../../protocol/founding_token.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";

/** The options of `token new`. */
export interface TokenNewOptions {
  /** The cluster that the token is for, an RFC 1123 label. */
  readonly clusterName: string;
  readonly output: OutputForm;
}

/** Makes a founding token, and prints it and its token key. The token goes to standard output and nowhere else. */
export async function tokenNew({ clusterName, output }: TokenNewOptions, context: CliContext): Promise<void> {
  const token = createFoundingToken();
  const tokenKey = tokenKeyText((await deriveToken(token, clusterName)).spki);
  printResult(context, output, { clusterName, token, tokenKey }, `token      ${token}\ntoken key  ${tokenKey}`);
  if (output === "text") context.printError(storageAdvice(clusterName));
}

function storageAdvice(clusterName: string): string {
  return "The token is a secret: its holders found the cluster, and make control planes of machines. Nothing can show it again.\n" +
    "Give it to founders and control planes only, as the credential bootstrapper.token: in /etc/credstore (mode 0600), or from\n" +
    "the machine's host. Never put it into an image, a command line or a configuration.\n" +
    `Put the token key into trust.founding.tokenKey of all nodes of the cluster ${clusterName}. It is no secret.\n`;
}
