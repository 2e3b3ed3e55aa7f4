/**
 * `bootstrapper policy explain`, `policy make` and `verify`.
 *
 * @module
 */
import type { EvidenceFile } from "../../attestation/evidence_file.ts";
import { MAXIMUM_EVIDENCE_FILE_BYTES, readEvidenceFile } from "../../attestation/evidence_file.ts";
import type { Explanation } from "../../attestation/explain/explain.ts";
import { explainEvidence } from "../../attestation/explain/explain.ts";
import type { CollateralPlaces, Policy } from "../../attestation/policy/policy.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { makePolicy } from "../../attestation/policy/policy_make.ts";
import type { EkType } from "../../attestation/kinds/tpm/templates.ts";
import { ukiRegisters } from "../../attestation/uki/measurements.ts";
import { MAXIMUM_IMAGE_BYTES } from "../../attestation/uki/pe.ts";
import { fromUtf8 } from "../../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { fileSize, readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { collateralOf } from "../collateral.ts";
import { explanationJson, explanationText } from "./_explanation.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { FreshNodeOptions } from "../fresh_node_options.ts";
import { printResult } from "../output.ts";
import { expectationOf } from "./policy_registers.ts";

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
  readonly output: OutputForm;
}

/** The options of `policy make`. */
export interface PolicyMakeOptions {
  /** Evidence files. */
  readonly evidenceFiles: readonly string[];
  /** A fresh node to ask, in addition to the files. */
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
  readonly output: OutputForm;
}

/** The options of `verify` with a fresh node. */
export interface VerifyNodeOptions {
  /** The node. */
  readonly freshNode: FreshNodeOptions;
  /** The policy. */
  readonly policyFile: string;
  readonly output: OutputForm;
}

/** Prints the verdict on evidence, check by check. Its exit code says nothing of the verdict. */
export async function policyExplain(options: PolicyExplainOptions, context: CliContext): Promise<void> {
  const explanation = await explainFile(options, context);
  printResult(context, options.output, explanationJson(explanation), explanationText(explanation));
}

/** Prints every check, and throws what a service would refuse the evidence with. */
export async function verify(options: PolicyExplainOptions | VerifyNodeOptions, context: CliContext): Promise<void> {
  const explanation = "freshNode" in options
    ? await explainNode(options, context)
    : await explainFile(options, context);
  const { refusal } = explanation;
  const text = explanationText(explanation);
  if (refusal === null) return printResult(context, options.output, explanationJson(explanation), text);
  // As JSON the error is the one object.
  if (options.output === "text") context.print(text);
  throw refusal;
}

/** Without `--online` the network is not used. */
function withoutCache({ collateral: { folder } }: Policy): CollateralPlaces {
  return { folder };
}

/** Prints a policy. */
export async function policyMake(options: PolicyMakeOptions, context: CliContext): Promise<void> {
  const files = await Promise.all(
    options.evidenceFiles.map(async (name) => ({ name, file: await readEvidence(name) })),
  );
  const images = [];
  for (const name of options.imageFiles) {
    images.push({ name, registers: await ukiRegisters(await readImage(name), name, options.phases) });
  }
  const { clock } = context;
  const made = { collateral: collateralOf(options, clock), now: () => clock.now(), kinds: kindsOf(context) };
  const sources = { ...options, files, images };
  const { text, remarks } = options.freshNode === undefined
    ? await makePolicy(sources, made)
    : await (await freshNodes()).makePolicyOfFreshNode(options.freshNode, sources, made, context);
  const measurements = images.map(({ name, registers }) => ({ name, measurements: registers.measurements }));
  printResult(context, options.output, { policy: text, remarks, images: measurements }, text);
}

/** Loaded where there is a node to speak to. */
function freshNodes() {
  return import("./fresh_node.ts");
}

async function explainNode({ freshNode, policyFile }: VerifyNodeOptions, context: CliContext): Promise<Explanation> {
  const policy = readPolicy(await readText(policyFile), policyFile, kindsOf(context));
  return await (await freshNodes()).explainFreshNode(freshNode, policy, context);
}

async function explainFile(options: PolicyExplainOptions, context: CliContext): Promise<Explanation> {
  const { evidenceFile, policyFile, referenceFile, configurationFile } = options;
  const file = await readEvidence(evidenceFile);
  const policy = readPolicy(await readText(policyFile), policyFile, kindsOf(context));
  const reference = referenceFile === undefined ? undefined : await readEvidence(referenceFile);
  const expectation = configurationFile === undefined
    ? undefined
    : await expectationOf(configurationFile, kindsOf(context));
  return await explainEvidence({
    file,
    policy,
    ...present("expectation", expectation),
    ...present("reference", reference),
    collateral: collateralOf(
      { collateral: options.isOnline ? policy.collateral : withoutCache(policy) },
      context.clock,
    ),
    now: () => context.clock.now(),
  });
}

async function readEvidence(file: string): Promise<EvidenceFile> {
  return readEvidenceFile(await readFile(file, MAXIMUM_EVIDENCE_FILE_BYTES), file);
}

async function readText(file: string): Promise<string> {
  return fromUtf8(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file);
}

async function readImage(file: string): Promise<Uint8Array> {
  const size = await fileSize(file);
  if (size > MAXIMUM_IMAGE_BYTES) {
    throw new BootstrapError("malformed/size", `Cannot read ${file} as it is larger than ${MAXIMUM_IMAGE_BYTES} bytes`);
  }
  return await readFile(file, size);
}
