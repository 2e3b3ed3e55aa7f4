/**
 * The commands `bootstrapper policy explain`, `policy make` and `verify`.
 *
 * @module
 */
import type { EvidenceFile } from "../../attestation/evidence_file.ts";
import { MAXIMUM_EVIDENCE_FILE_BYTES, readEvidenceFile } from "../../attestation/evidence_file.ts";
import type { Explanation } from "../../attestation/explain/explain.ts";
import { explainEvidence } from "../../attestation/explain/explain.ts";
import type { CollateralPlaces, Policy } from "../../attestation/policy/policy.ts";
import type { AcceptedTrust } from "../../attestation/policy/accepted_trust.ts";
import {
  acceptedDigests,
  acceptedTrust,
  settingsText,
  switchesNotAllowed,
} from "../../attestation/policy/accepted_trust.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { launchValues } from "../../attestation/launch_values.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { policyRemarks } from "../../attestation/policy/policy_remarks.ts";
import type { PolicySources } from "../../attestation/policy/policy_make.ts";
import { makePolicy } from "../../attestation/policy/policy_make.ts";
import type { EkType } from "../../attestation/kinds/tpm/templates.ts";
import type { InsecureSwitch, TrustPart } from "../../protocol/transcript.ts";
import { sourcesError } from "../../attestation/policy/policy_section.ts";
import { readBootLoader, readShim } from "../../attestation/uki/boot_chain.ts";
import type { UkiRegisters } from "../../attestation/uki/measurements.ts";
import { ukiRegisters } from "../../attestation/uki/measurements.ts";
import { MAXIMUM_IMAGE_BYTES } from "../../attestation/uki/pe.ts";
import { hex } from "../../platform/bytes.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { BootstrapError, exitCodeOf } from "../../platform/errors.ts";
import { fileSize, readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { collateralOf } from "../collateral.ts";
import { explanationJson, explanationText } from "./_explanation.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { FreshNodeOptions } from "../fresh_node_options.ts";
import { printResult } from "../output.ts";
import { clusterIdsOf, configuredTrust, expectationOf } from "./policy_registers.ts";

/** The options of `policy explain`. */
export interface PolicyExplainOptions {
  readonly evidenceFile: string;
  readonly policyFile: string;
  /** Evidence of a known good machine. */
  readonly referenceFile?: string;
  /** The node's configuration, which determines the expected values of PCR 12 and PCR 15. */
  readonly configurationFile?: string;
  /** Whether the policy's collateral cache may be used. */
  readonly isOnline: boolean;
  readonly output: OutputForm;
}

/** The options of `policy make`. */
export interface PolicyMakeOptions {
  readonly evidenceFiles: readonly string[];
  /** A fresh node whose evidence is used in addition to the files. */
  readonly freshNode?: FreshNodeOptions;
  readonly imageFiles: readonly string[];
  /** The shim, which starts the images or the boot loader. */
  readonly shimFile?: string;
  /** systemd-boot, which starts the images. */
  readonly bootLoaderFile?: string;
  /** The phases of boot that are measured before evidence is made. */
  readonly phases: readonly string[];
  /** Further trusted identities, lower-case hexadecimal. */
  readonly identities: readonly string[];
  /** The identities of control planes, lower-case hexadecimal. */
  readonly controlPlanes: readonly string[];
  /** The PCRs to pin besides those that say what boots. */
  readonly withPcrs: readonly number[];
  /** The PCRs to leave out. */
  readonly withoutPcrs: readonly number[];
  /** The type of the endorsement key, if there is no evidence to take it from. */
  readonly ekType: EkType;
  /** The places of collateral that the policy names. */
  readonly collateral: CollateralPlaces;
  /** Node names by identity, and patterns of those of all other machines. */
  readonly names: Required<PolicySources>["names"];
  /** The switches that weaken a check and that the policy allows. */
  readonly allowedSwitches: readonly InsecureSwitch[];
  readonly output: OutputForm;
}

/** The options of `verify` with a fresh node. */
export interface VerifyNodeOptions {
  readonly freshNode: FreshNodeOptions;
  readonly policyFile: string;
  readonly output: OutputForm;
}

/** Prints the verdict on evidence, check by check, and returns the exit code that stands for the verdict. */
export async function policyExplain(options: PolicyExplainOptions, context: CliContext): Promise<number> {
  const explanation = await explainFile(options, context);
  printResult(context, options.output, explanationJson(explanation), explanationText(explanation));
  return explanation.refusal === null ? 0 : exitCodeOf(explanation.refusal);
}

/** Prints every check, and throws the error with which a service would refuse the evidence. */
export async function verify(options: PolicyExplainOptions | VerifyNodeOptions, context: CliContext): Promise<void> {
  const explanation = "freshNode" in options
    ? await explainNode(options, context)
    : await explainFile(options, context);
  const { refusal } = explanation;
  const text = explanationText(explanation);
  if (refusal === null) return printResult(context, options.output, explanationJson(explanation), text);
  // With JSON output, the error is the only object.
  if (options.output === "text") context.print(text);
  throw refusal;
}

/** Returns a policy's places of collateral without the cache: without `--online` the network is not used. */
function withoutCache({ collateral: { folder } }: Policy): CollateralPlaces {
  return { folder };
}

/** Makes a policy and prints it. */
export async function policyMake(options: PolicyMakeOptions, context: CliContext): Promise<void> {
  const files = await Promise.all(
    options.evidenceFiles.map(async (name) => ({ name, file: await readEvidence(name) })),
  );
  const programs = await bootPrograms(options);
  const images = [];
  for (const name of options.imageFiles) {
    const registers = await ukiRegisters(await readImage(name), name, { phases: options.phases, programs });
    images.push({ name, registers });
  }
  const { clock } = context;
  const made = { collateral: collateralOf(options, clock), now: () => clock.now(), kinds: kindsOf(context) };
  const sources = { ...options, files, images };
  const { text, remarks } = options.freshNode === undefined
    ? await makePolicy(sources, made)
    : await (await freshNodes()).makePolicyOfFreshNode(options.freshNode, sources, made, context);
  printResult(context, options.output, { policy: text, remarks, images: images.map(imageJson) }, text);
}

/** Reads the programs that start the images, in the order in which they run. */
async function bootPrograms({ imageFiles, shimFile, bootLoaderFile }: PolicyMakeOptions) {
  if (imageFiles.length === 0 && (shimFile ?? bootLoaderFile) !== undefined) {
    throw sourcesError("--shim and --boot-loader say what starts an image, and there is none", "Give it with --uki");
  }
  return [
    ...(shimFile === undefined ? [] : [readShim(await readImage(shimFile), shimFile)]),
    ...(bootLoaderFile === undefined ? [] : [readBootLoader(await readImage(bootLoaderFile), bootLoaderFile)]),
  ];
}

/** The measurements of an image: of its start, and of the first way of starting it; then the other ways. */
function imageJson({ name, registers }: { readonly name: string; readonly registers: UkiRegisters }) {
  const [first] = registers.kernelImages;
  return {
    name,
    measurements: [...registers.started, ...first?.measurements ?? []],
    pcr4: registers.bootLoader.map(hex),
    pcr11: registers.kernelImages.map(({ name, value, measurements }) => ({ name, value: hex(value), measurements })),
  };
}

/** Loads the code for fresh nodes, which is needed only with a node to connect to. */
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
  const trust = configurationFile === undefined
    ? undefined
    : await configuredTrust(configurationFile, kindsOf(context));
  const accepted = acceptedTrust(policy, "node");
  const expectation = trust === undefined ? undefined : await expectationOf(trust, accepted);
  const explanation = await explainEvidence({
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
  return {
    ...explanation,
    remarks: [
      ...policyRemarks(policy),
      ...(trust === undefined ? [] : await trustRemarks(trust, accepted, policy.kinds)),
      ...explanation.remarks,
    ],
  };
}

/**
 * Says which values of the trust part are expected, by the names that `policy registers` has for them, and what in the
 * configuration itself the policy does not accept.
 */
async function trustRemarks(
  trust: TrustPart,
  accepted: AcceptedTrust,
  kinds: readonly EvidenceKind[],
): Promise<readonly string[]> {
  const digests = await acceptedDigests(accepted, trust, clusterIdsOf(trust));
  const switches = switchesNotAllowed(accepted, trust.switches);
  const [wanted, configured] = [accepted.variants, trust.variants].map((names) => [...names].sort().join(", "));
  const shownBy = kinds.filter(({ name }) => accepted.variants.includes(name));
  const expected = digests.map(async ({ trust: expected }) => {
    const values = await launchValues(expected, shownBy);
    if (values.length === 0) return [];
    const which = `${expected.clusterId.length === 0 ? "without" : "with"} a cluster ID, for ${settingsText(expected)}`;
    return [`Expected ${which}: ${values.map(({ key, value }) => `${key} ${hex(value)}`).join(", ")}`];
  });
  return [
    ...(await Promise.all(expected)).flat(),
    ...switches.map((name) => `The configuration has ${name}: true, which the policy does not allow`),
    ...(wanted === configured
      ? []
      : [`The configuration has evidence.variant ${configured}, and the policy wants ${wanted}`]),
  ];
}

async function readEvidence(file: string): Promise<EvidenceFile> {
  return readEvidenceFile(await readFile(file, MAXIMUM_EVIDENCE_FILE_BYTES), file);
}

async function readText(file: string): Promise<string> {
  return documentText(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file);
}

async function readImage(file: string): Promise<Uint8Array> {
  const size = await fileSize(file);
  if (size > MAXIMUM_IMAGE_BYTES) {
    throw new BootstrapError("malformed/size", `Cannot read ${file} as it is larger than ${MAXIMUM_IMAGE_BYTES} bytes`);
  }
  return await readFile(file, size);
}
