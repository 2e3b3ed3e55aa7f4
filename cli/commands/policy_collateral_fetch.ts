/**
 * `bootstrapper policy collateral fetch`: gets the certificates, lists and statements that a policy needs from AMD and
 * Intel.
 *
 * @module
 */
import { BootstrapError } from "../../platform/errors.ts";
import { documentUrlProblem } from "../../platform/fetch_document.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand } from "../command.ts";
import { optionalText, outputForm, textList } from "../options.ts";
import type { PolicyCollateralOptions } from "../programs/policy_collateral.ts";

/** Gets collateral. */
export const policyCollateralFetch: CliCommand<PolicyCollateralOptions> = {
  name: "policy collateral fetch",
  group: "For operators:",
  description: "get collateral from AMD and Intel, verify it, and put it into a folder",
  examples: [
    "bootstrapper policy collateral fetch node-1.json --policy policy.yaml",
    "bootstrapper policy collateral fetch --platform genoa --collateral docs",
  ],
  keeps: ["env", "net", "read", "write"],
  declare(command) {
    command.argument("[files...]")
      .option("--platform <name...>", "an AMD line (milan, genoa, turin) or Intel FMSPC")
      .option("--collateral <folder>", "the folder (default: that of the policy)")
      .option("--policy <file>", "the policy whose collateral folder is filled")
      .option("--address <name=url...>", "other services: amd, intel, intel-root-crl")
      .option("--ca <file>", "PEM of the services' CA (default: public CAs)");
  },
  read: (parsed) => ({
    evidenceFiles: parsed.args,
    platforms: textList(parsed, "platform").map((name) => name.toLowerCase()),
    ...present("folder", optionalText(parsed, "collateral")),
    ...present("policyFile", optionalText(parsed, "policy")),
    addresses: Object.fromEntries(textList(parsed, "address").map(readAddress)),
    ...present("caFile", optionalText(parsed, "ca")),
    output: outputForm(parsed),
  }),
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    await (await import("../programs/policy_collateral.ts")).policyCollateralFetch(options, context);
  },
};

function readAddress(text: string): readonly [string, string] {
  const [name = "", url = ""] = text.split(/=(.*)/s, 2);
  const problem = documentUrlProblem(url);
  if (problem === undefined) return [name, url.replace(/\/+$/, "")];
  throw new BootstrapError("usage/collateral-url", `Cannot use the address ${JSON.stringify(name)}: ${problem}`, {
    next: "Write it as NAME=https://HOST/PATH",
  });
}
