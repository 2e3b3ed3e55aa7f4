/**
 * `bootstrapper evidence`: prints the facts in this machine's evidence as a policy, or writes the evidence into a file.
 *
 * @module
 */
import { join } from "node:path";
import { combinedName } from "../../attestation/combined.ts";
import type { EvidenceFile } from "../../attestation/evidence_file.ts";
import { issueEvidenceFile, MAXIMUM_CC_LOG_BYTES, writeEvidenceFile } from "../../attestation/evidence_file.ts";
import { MAXIMUM_LOG_BYTES } from "../../attestation/eventlog/event_log.ts";
import { draftPolicy } from "../../attestation/policy/policy_make.ts";
import type { EkType } from "../../attestation/kinds/tpm/templates.ts";
import type { EvidenceConfiguration } from "../../node/configuration.ts";
import { isInsecure } from "../../node/configuration.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createFileExclusive, readFileIfExists } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { defaultKind, insecureNames, kindNamed } from "../../attestation/kind.ts";
import type { Machine } from "../machine.ts";
import { openMachine } from "../machine.ts";
import { openKinds } from "../machine_evidence.ts";
import { printResult } from "../output.ts";

/** The options of `evidence`. */
export interface EvidenceOptions {
  /** The file of the node's configuration, which names the kinds of evidence and the type of the endorsement key. */
  readonly config?: string;
  /** The type of the endorsement key. With it, the evidence is of the TPM only, and no configuration is needed. */
  readonly ekType?: EkType;
  /** The file to write the evidence to, for `policy` and `verify` on another machine. */
  readonly outFile?: string;
  /** The form of the output; text is YAML. */
  readonly output: OutputForm;
}

/** The resources that `evidence` opens while it has all permissions. */
export interface OpenedEvidence {
  readonly machine: Machine;
  /** The log of the firmware's measurements, from the kernel. */
  readonly eventLog?: Bytes;
  /** The log of a confidential VM's registers, from its ACPI tables. */
  readonly ccEventLog?: Bytes;
  /** Why there is a log that cannot be read. */
  readonly logProblem?: string;
}

const FILE_MODE = 0o644;
/** The path of the firmware's log in securityfs. */
const EVENT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements";
/** The path of the log of a confidential VM's registers: the area that the ACPI table CCEL names. */
const CC_EVENT_LOG = "sys/firmware/acpi/tables/data/CCEL";
const THIS_MACHINE = "this machine";

/** Opens the machine. If the evidence is written into a file, it also reads the event log. */
export async function openEvidence(options: EvidenceOptions, context: CliContext): Promise<OpenedEvidence> {
  const machine = await openMachine(context);
  if (options.outFile === undefined) return { machine };
  const ccEventLog = await readLog(join(context.paths.root, CC_EVENT_LOG), MAXIMUM_CC_LOG_BYTES);
  const eventLog = await readLog(join(context.paths.root, EVENT_LOG), MAXIMUM_LOG_BYTES);
  return {
    machine,
    ...present("eventLog", eventLog.log),
    ...present("ccEventLog", ccEventLog.log),
    ...present("logProblem", eventLog.problem ?? ccEventLog.problem),
  };
}

/** Reads an event log. Evidence proves the same without it, so a log that cannot be read is left out, and said. */
async function readLog(
  path: string,
  maximumBytes: number,
): Promise<{ readonly log?: Bytes; readonly problem?: string }> {
  try {
    return present("log", await readFileIfExists(path, maximumBytes));
  } catch (error) {
    if (error instanceof BootstrapError) return { problem: error.message };
    throw error;
  }
}

/**
 * Prints the facts in this machine's evidence, or writes the evidence into a file. The text output is a policy for
 * exactly this machine in its current state, with further facts as comments. The JSON output is one object with all
 * facts.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/no-device`, `precondition/no-evidence`,
 *   `precondition/file-exists`, `refused/snp-…` for a signing key that the policy cannot be made for, `usage/…` for the
 *   configuration, `system/…`.
 */
export async function evidence(
  options: EvidenceOptions,
  context: CliContext,
  { machine, eventLog, ccEventLog, logProblem }: OpenedEvidence,
): Promise<void> {
  const configured = await evidenceConfiguration(options, context, machine);
  const opened = await openKinds(machine, configured, context);
  const file = await issueEvidenceFile(opened.map(({ issuer }) => issuer), eventLog, ccEventLog);
  if (options.outFile !== undefined) return await writeFile(options, options.outFile, file, logProblem, context);
  await printEvidence(file, configured, options.output, context);
}

async function evidenceConfiguration(
  options: EvidenceOptions,
  context: CliContext,
  { firmware }: Pick<Machine, "firmware">,
): Promise<EvidenceConfiguration> {
  if (options.ekType !== undefined) {
    const kinds = kindsOf(context).filter(({ hasEndorsementKey }) => hasEndorsementKey === true);
    return { kinds, ekType: options.ekType };
  }
  const { configuration, source } = await loadNodeConfiguration({
    ...present("file", options.config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware,
    paths: context.paths,
    kinds: kindsOf(context),
  });
  if (!isInsecure(configuration.evidence)) return configuration.evidence;
  const none = insecureNames(configuration.evidence.kinds).join();
  const message = `The node has no evidence to show as evidence.variant is ${none} in ${source}`;
  throw new BootstrapError("precondition/no-evidence", message, {
    next: "Configure a kind of evidence, or name an endorsement key of the TPM with --ek-type",
  });
}

async function writeFile(
  { output }: EvidenceOptions,
  path: string,
  file: EvidenceFile,
  logProblem: string | undefined,
  context: CliContext,
): Promise<void> {
  if (!await createFileExclusive(path, writeEvidenceFile(file), { mode: FILE_MODE })) {
    throw new BootstrapError("precondition/file-exists", `Cannot write evidence to ${path} as it exists`, {
      next: "Choose another name",
      details: { path },
    });
  }
  const variant = variantOf(file);
  const eventLog = file.eventLog !== undefined || file.ccEventLog !== undefined;
  const reason = logProblem === undefined ? "as this machine has none" : `which cannot be read: ${logProblem}`;
  const events = eventLog ? "with the event log" : `without an event log, ${reason}`;
  const kinds = kindsOf(context);
  const facts = await Promise.all(
    file.evidence.map(({ variant, payload }) => kindNamed(kinds, variant).facts(payload)),
  );
  const warnings = facts.flatMap((one) => one.warnings ?? []);
  const result = {
    file: path,
    variant,
    eventLog,
    ...present("eventLogProblem", logProblem),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
  printResult(context, output, result, [`Wrote ${path}: ${variant}, ${events}.`, ...warnings].join("\n"));
}

async function printEvidence(
  file: EvidenceFile,
  { ekType }: EvidenceConfiguration,
  output: OutputForm,
  context: CliContext,
): Promise<void> {
  const { clock } = context;
  const kinds = kindsOf(context);
  const facts = await Promise.all(
    file.evidence.map(({ variant, payload }) => kindNamed(kinds, variant).facts(payload)),
  );
  const [{ identity = null, isEphemeral = false } = {}] = facts;
  const { text, remarks } = await draftPolicy({
    ...{ files: [{ name: THIS_MACHINE, file }], images: [], identities: [], withoutPcrs: [], ekType },
    // The first kind determines the identity. Only a lasting identity is useful in a policy.
    controlPlanes: identity === null || isEphemeral ? [] : [identity],
    preface: [
      "A policy for exactly this machine as it is now. It is not verified: use it only if you trust this machine.",
      ...facts.flatMap((one) => one.remarks),
    ],
  }, { now: () => clock.now(), kinds });
  const shown = file.evidence.map(({ variant }, index) =>
    [kindNamed(kinds, variant), facts[index]?.facts ?? {}] as const
  );
  // The facts of the default kind are at the top level, those of other kinds under their names.
  const isTop = (name: string) => name === defaultKind(kinds).name;
  const result = {
    variant: variantOf(file),
    ...Object.assign({}, ...shown.filter(([{ name }]) => isTop(name)).map(([, one]) => one)),
    ...(shown.some(([{ hasEndorsementKey }]) => hasEndorsementKey === true) ? { ekType } : {}),
    ...Object.fromEntries(shown.filter(([{ name }]) => !isTop(name)).map(([{ name }, one]) => [name, one])),
    ...{ policy: text, remarks },
  };
  printResult(context, output, { ...result, identity }, text);
}

function variantOf({ evidence }: EvidenceFile): string {
  return combinedName(evidence.map(({ variant }) => variant));
}
