/**
 * `bootstrapper policy make`: makes a policy from known-good machines and images.
 *
 * @module
 */
import { resolve } from "node:path";
import { Option } from "commander";
import { EK_TYPES } from "../../attestation/kinds/tpm/templates.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../attestation/evidence.ts";
import { namePatternProblem } from "../../attestation/policy/name_pattern.ts";
import type { CollateralPlaces } from "../../attestation/policy/policy.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { shown } from "../../platform/label.ts";
import { present } from "../../platform/present.ts";
import type { CliCommand, ParsedCommand } from "../command.ts";
import { freshNodeOptions, withFreshNode } from "../fresh_node_options.ts";
import { isSet, optionalText, outputForm, textList } from "../options.ts";
import type { PolicyMakeOptions } from "../programs/policy.ts";

const MAXIMUM_PCR = 15;

/** Makes a policy. */
export const policyMake: CliCommand<PolicyMakeOptions> = {
  name: "policy make",
  group: "For operators:",
  description: "print a policy that accepts machines (by evidence files) and images",
  examples: ["bootstrapper policy make node-1.json --uki node.efi > policy.yaml"],
  keeps: ["env", "read"],
  declare(command) {
    withFreshNode(
      command.argument("[evidence-files...]")
        .option("--uki <file...>", "unified kernel images, to compute PCR 4 and PCR 11")
        .option("--boot-loader <file>", "systemd-boot that starts the images, for PCR 4")
        .option("--shim <file>", "shim that starts these, for PCR 4")
        .option("--phases <words>", "phases in PCR 11, e.g. enter-initrd:leave-initrd")
        .option("--identity <hex...>", "further identities to trust")
        .option("--control-plane <hex...>", "identities that may be control planes")
        .option("--name-of <who=name...>", "node names: IDENTITY=NAME; *=PATTERN for all others")
        .option("--with-pcr <number...>", "PCRs to pin besides those that say what boots")
        .option("--without-pcr <number...>", "PCRs to leave out of the policy")
        // For tests only: an operator must not come across it.
        .addOption(new Option("--allow-unmeasured-image", "allow that switch to nodes").hideHelp())
        .option("--collateral <folder>", "AMD and Intel collateral, also for the policy")
        .option("--collateral-cache <url>", "collateral cache (https: URL), also for the policy")
        .addOption(
          new Option("--ek-type <type>", "EK type if there is no evidence (default: rsa2048)").choices(EK_TYPES),
        ),
    );
  },
  read: (parsed) => ({
    evidenceFiles: parsed.args,
    ...present("freshNode", freshNodeOptions(parsed)),
    imageFiles: textList(parsed, "uki"),
    ...present("shimFile", optionalText(parsed, "shim")),
    ...present("bootLoaderFile", optionalText(parsed, "bootLoader")),
    phases: (optionalText(parsed, "phases") ?? "").split(":").filter((word) => word !== ""),
    identities: textList(parsed, "identity").map(identityReader("--identity")),
    controlPlanes: textList(parsed, "controlPlane").map(identityReader("--control-plane")),
    names: readNames(textList(parsed, "nameOf")),
    withPcrs: textList(parsed, "withPcr").map(readPinnedPcr),
    withoutPcrs: textList(parsed, "withoutPcr").map(readPcr),
    ekType: EK_TYPES.find((type) => type === optionalText(parsed, "ekType")) ?? "rsa2048",
    collateral: collateralPlaces(parsed),
    allowedSwitches: isSet(parsed, "allowUnmeasuredImage") ? ["allowUnmeasuredImage"] : [],
    output: outputForm(parsed),
  }),
  alsoKeeps: ({ freshNode, collateral }) => freshNode !== undefined || collateral.cache !== undefined ? ["net"] : [],
  async open() {
    (await import("../../platform/public_cas.ts")).keepPublicCas();
  },
  async action(options, context) {
    await (await import("../programs/policy.ts")).policyMake(options, context);
  },
};

/** Makes the folder's path absolute, because the policy is used in other working folders. */
function collateralPlaces(parsed: ParsedCommand): CollateralPlaces {
  const folder = optionalText(parsed, "collateral");
  return {
    ...present("folder", folder === undefined ? undefined : resolve(folder)),
    ...present("cache", optionalText(parsed, "collateralCache")),
  };
}

const IDENTITY = /^[0-9a-fA-F]{64}$/;

function identityReader(option: string): (text: string) => string {
  return (text) => {
    if (IDENTITY.test(text)) return text.toLowerCase();
    throw new BootstrapError("usage/identity", `Cannot use ${option} ${shown(text)} as it is no identity`, {
      next: "Give 64 hexadecimal digits, as `bootstrapper evidence` prints them",
    });
  };
}

function wrongName(text: string, problem: string | undefined): BootstrapError {
  const reason = problem || "it must be IDENTITY=NAME or *=PATTERN, with an identity of 64 hexadecimal digits";
  return new BootstrapError("usage/identity", `Cannot use --name-of ${shown(text)}: ${reason}`, {
    next: "Write IDENTITY=NAME, with the identity that `bootstrapper evidence` prints, or *=PATTERN",
  });
}

/** Reads `IDENTITY=NAME` and `*=PATTERN`. An identity may have several names. */
function readNames(texts: readonly string[]): PolicyMakeOptions["names"] {
  const others: string[] = [];
  const byIdentity: Record<string, readonly string[]> = {};
  for (const text of texts) {
    const [, who = "", name = ""] = /^([^=]*)=(.*)$/.exec(text) ?? [];
    const problem = who === "" ? "" : namePatternProblem(name);
    if (problem !== undefined || (who !== "*" && !IDENTITY.test(who))) throw wrongName(text, problem);
    if (who === "*") others.push(name);
    else {
      const identity = who.toLowerCase();
      byIdentity[identity] = [...byIdentity[identity] ?? [], name];
    }
  }
  return { byIdentity, ...(others.length === 0 ? {} : { default: others }) };
}

function readPinnedPcr(text: string): number {
  const pcr = readPcr(text);
  if (pcr !== TRUST_REGISTER && pcr !== LOCK_REGISTER) return pcr;
  throw new BootstrapError("usage/pcr", `Cannot pin PCR ${pcr} in a policy, as the protocol itself always checks it`, {
    next: "Leave it out: its values come from the node's configuration and from the lock",
  });
}

function readPcr(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) <= MAXIMUM_PCR) return Number(text);
  throw new BootstrapError("usage/pcr", `Cannot use ${JSON.stringify(text)} as the number of a PCR`, {
    next: `Give a number from 0 to ${MAXIMUM_PCR}`,
  });
}
