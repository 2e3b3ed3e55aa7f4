/**
 * `bootstrapper policy`: policies made from what is known to be good, and verdicts explained.
 *
 * @module
 */
import { resolve } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import type { CollateralPlaces } from "../../attestation/policy/policy.ts";
import type { EkType } from "../../attestation/kinds/tpm/templates.ts";
import { EK_TYPES } from "../../attestation/kinds/tpm/templates.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { FreshNodeOptions } from "../operator_options.ts";
import { freshNodeOptions, withFreshNode } from "../operator_options.ts";
import { isSet, optionalText, outputForm, present, requiredText, textList, withOutput } from "../options.ts";
import { dropPermissions, ONLINE_PERMISSIONS } from "../permissions.ts";

/** The options of `policy explain`. */
export interface PolicyExplainOptions {
  /** The evidence file. */
  readonly evidenceFile: string;
  /** The policy. */
  readonly policyFile: string;
  /** Evidence of a machine that is known to be good. */
  readonly referenceFile?: string;
  /** A node's configuration, to judge PCR 12 and PCR 15 by. */
  readonly configurationFile?: string;
  /** Whether the policy's cache of collateral may be asked. */
  readonly isOnline: boolean;
  /** How to print. */
  readonly output: OutputForm;
}

/** The options of `policy make`. */
export interface PolicyMakeOptions {
  /** Evidence files. */
  readonly evidenceFiles: readonly string[];
  /** A fresh node besides. */
  readonly freshNode?: FreshNodeOptions;
  /** Unified kernel images. */
  readonly imageFiles: readonly string[];
  /** Phases of boot that are measured before evidence is made. */
  readonly phases: readonly string[];
  /** Further identities, lower-case hexadecimal. */
  readonly identities: readonly string[];
  /** Identities of control planes, lower-case hexadecimal. */
  readonly controlPlanes: readonly string[];
  /** PCRs to leave out. */
  readonly withoutPcrs: readonly number[];
  /** The kind of endorsement key, where there is no evidence. */
  readonly ekType: EkType;
  /** Where the policy has collateral looked for. */
  readonly collateral: CollateralPlaces;
  /** How to print. */
  readonly output: OutputForm;
}

/** The options of `policy registers`. */
export interface PolicyRegistersOptions {
  /** A node's configuration. */
  readonly configurationFile: string;
  /** How to print. */
  readonly output: OutputForm;
}

/** Explains a verdict. */
export type PolicyExplainHandler = (options: PolicyExplainOptions, context: CliContext) => Promise<void>;
/** Makes a policy. */
export type PolicyMakeHandler = (options: PolicyMakeOptions, context: CliContext) => Promise<void>;

/** Prints what machines of a configuration show. */
export type PolicyRegistersHandler = (options: PolicyRegistersOptions, context: CliContext) => Promise<void>;

/** What `policy` needs. */
export interface PolicyHandlers {
  /** Of `policy explain`. */
  readonly policyExplain: PolicyExplainHandler;
  /** Of `policy make`. */
  readonly policyMake: PolicyMakeHandler;
  /** Of `policy registers`. */
  readonly policyRegisters: PolicyRegistersHandler;
}

const MAXIMUM_PCR = 15;

/**
 * Declares `policy` with `explain`, `make` and `registers`.
 *
 * @internal
 */
export function declarePolicy(program: Command, context: CliContext, handlers: PolicyHandlers): void {
  const policy = program.command("policy").helpCommand(false)
    .description("make, explain, registers: make a policy, read its verdicts");
  withExplainOptions(
    policy.command("explain").argument("<file>", "evidence, made by `bootstrapper evidence --out`")
      .description("show the verdict on evidence, check by check"),
  ).option("--reference <file>", "evidence of a machine that is known to be good: where do the events differ?")
    .action(async (evidenceFile: string, _options: unknown, command: Command) => {
      const options = explainOptions(evidenceFile, command);
      await dropPermissions("policy", context.permissions, options.isOnline ? ONLINE_PERMISSIONS : []);
      const referenceFile = optionalText(command, "reference");
      await handlers.policyExplain(
        { ...options, ...present("referenceFile", referenceFile) },
        context,
      );
    });
  declareMake(policy, context, handlers.policyMake);
  declareRegisters(policy, context, handlers.policyRegisters);
}

function declareRegisters(policy: Command, context: CliContext, handler: PolicyRegistersHandler): void {
  withOutput(
    policy.command("registers").requiredOption("--config <file>", "a node's configuration")
      .description("print PCR 12, HOST_DATA and MRCONFIGID of machines of a configuration"),
  ).action(async (_options: unknown, command: Command) => {
    await dropPermissions("policy", context.permissions);
    await handler({ configurationFile: requiredText(command, "config"), output: outputForm(command) }, context);
  });
}

function declareMake(policy: Command, context: CliContext, handler: PolicyMakeHandler): void {
  withOutput(withFreshNode(
    policy.command("make").argument("[files...]", "evidence of machines that are known to be good")
      .description("print a policy for known-good machines and images")
      .option("--uki <file...>", "unified kernel images: PCR 4 and PCR 11 without a boot")
      .option("--phases <words>", "measured into PCR 11 by then, as enter-initrd:leave-initrd")
      .option("--identity <hex...>", "identities to trust besides those of the files")
      .option("--control-plane <hex...>", "identities that may be control planes")
      .option("--without-pcr <number...>", "registers that tell nothing")
      .option("--collateral <folder>", "what AMD and Intel sign, here and in the policy")
      .option("--collateral-cache <url>", "a cache of it, https:, likewise")
      .addOption(new Option("--ek-type <type>", "without evidence (default: rsa2048)").choices(EK_TYPES)),
  )).action(async (evidenceFiles: string[], _options: unknown, command: Command) => {
    const identities = (key: string) => textList(command, key).map(readIdentity);
    const freshNode = freshNodeOptions(command);
    const options = {
      evidenceFiles,
      ...present("freshNode", freshNode),
      imageFiles: textList(command, "uki"),
      phases: (optionalText(command, "phases") ?? "").split(":").filter((word) => word !== ""),
      identities: identities("identity"),
      controlPlanes: identities("controlPlane"),
      withoutPcrs: textList(command, "withoutPcr").map(readPcr),
      ekType: EK_TYPES.find((type) => type === optionalText(command, "ekType")) ?? "rsa2048",
      collateral: collateralPlaces(command),
      output: outputForm(command),
    };
    const isOnline = freshNode !== undefined || options.collateral.cache !== undefined;
    await dropPermissions("policy", context.permissions, isOnline ? ONLINE_PERMISSIONS : []);
    await handler(options, context);
  });
}

/**
 * Adds what `policy explain` and `verify` have in common.
 *
 * @internal
 */
export function withExplainOptions(command: Command): Command {
  return withOutput(
    command.requiredOption("--policy <file>", "the policy")
      .option("--config <file>", "a node's configuration, to judge PCR 12 and PCR 15 by")
      .option("--online", "ask the policy's cache for certificates and lists that are missing"),
  );
}

/**
 * Reads what `policy explain` and `verify` have in common.
 *
 * @internal
 */
export function explainOptions(evidenceFile: string, command: Command): PolicyExplainOptions {
  return {
    evidenceFile,
    policyFile: requiredText(command, "policy"),
    ...present("configurationFile", optionalText(command, "config")),
    isOnline: isSet(command, "online"),
    output: outputForm(command),
  };
}

/** The policy is used elsewhere than where it is made, so that its folder is absolute. */
function collateralPlaces(command: Command): CollateralPlaces {
  const folder = optionalText(command, "collateral");
  return {
    ...present("folder", folder === undefined ? undefined : resolve(folder)),
    ...present("cache", optionalText(command, "collateralCache")),
  };
}

function readIdentity(text: string): string {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new BootstrapError("usage/identity", `Cannot use ${JSON.stringify(text)} as an identity`, {
    next: "Give 64 hexadecimal digits, as `bootstrapper evidence` prints them",
  });
}

function readPcr(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) <= MAXIMUM_PCR) return Number(text);
  throw new BootstrapError("usage/pcr", `Cannot use ${JSON.stringify(text)} as the number of a PCR`, {
    next: `Give a number from 0 to ${MAXIMUM_PCR}`,
  });
}
