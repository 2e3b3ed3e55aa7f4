/**
 * `bootstrapper evidence`: what this machine's evidence says, in a form that a policy can be made from.
 *
 * @module
 */
import { join } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { stringify } from "yaml";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import { issueEvidenceFile, writeEvidenceFile } from "../attestation/evidence_file.ts";
import { MAXIMUM_LOG_BYTES } from "../attestation/eventlog/event_log.ts";
import { decodePayload } from "../attestation/tpm/payload.ts";
import { readPublicArea, spkiOf } from "../attestation/tpm/public_area.ts";
import { readQuoteInfo } from "../attestation/tpm/quote_info.ts";
import type { EkType } from "../attestation/tpm/templates.ts";
import { EK_TYPES } from "../attestation/tpm/templates.ts";
import { fileStatement } from "../attestation/transcript.ts";
import { writePem } from "../certificate/pem.ts";
import { loadNodeConfiguration } from "../node/configuration_source.ts";
import type { Bytes } from "../platform/bytes.ts";
import { hex, randomBytes, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createFileExclusive, readFileIfExists } from "../platform/files.ts";
import type { CliContext, OutputForm } from "./context.ts";
import { openMachine, tpmIssuerOf } from "./machine.ts";
import { optionalText, outputForm, present, withConfig, withOutput } from "./options.ts";
import { printResult } from "./output.ts";
import { dropPermissions } from "./permissions.ts";

/** The options of `evidence`. */
export interface EvidenceOptions {
  /** The file with the node's configuration, which names the kind of the endorsement key. */
  readonly config?: string;
  /** The kind of the endorsement key; no configuration is needed then. */
  readonly ekType?: EkType;
  /** Where to write the evidence itself, for `policy` and `verify` on another machine. */
  readonly outFile?: string;
  /** How to print; text is YAML. */
  readonly output: OutputForm;
}

const NONCE_BYTES = 32;
const FILE_MODE = 0o644;
/** securityfs: the log that the firmware handed over, as the kernel keeps it. */
const EVENT_LOG = "sys/kernel/security/tpm0/binary_bios_measurements";
const PROTOCOL_REGISTERS: readonly number[] = [TRUST_REGISTER, LOCK_REGISTER];

/**
 * Declares `evidence`.
 *
 * @internal
 */
export function declareEvidence(program: Command, context: CliContext): void {
  withOutput(
    withConfig(program.command("evidence").description("print what this node's TPM says, as a policy"))
      .addOption(
        new Option("--ek-type <type>", `${EK_TYPES.join(", ")} (default: as configured)`).choices(EK_TYPES),
      )
      .option("--out <file>", "write the evidence itself, with the event log, for policy and verify"),
  ).action((_options: unknown, command: Command) => {
    const ekType = EK_TYPES.find((type) => type === optionalText(command, "ekType"));
    const [config, outFile] = [optionalText(command, "config"), optionalText(command, "out")];
    return evidence(
      {
        ...{ ...present("config", config), ...present("ekType", ekType), ...present("outFile", outFile) },
        output: outputForm(command),
      },
      context,
    );
  });
}

/**
 * Prints what this machine's evidence says, or writes the evidence into a file. As text it is a policy for exactly this machine
 * as it is now, with the rest as comments; as JSON it is one object with all of it.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `precondition/file-exists`, `usage/…` for the configuration, `system/…`.
 */
export async function evidence(options: EvidenceOptions, context: CliContext): Promise<void> {
  const machine = await openMachine(context);
  const eventLog = options.outFile === undefined
    ? undefined
    : await readFileIfExists(join(context.paths.root, EVENT_LOG), MAXIMUM_LOG_BYTES);
  await dropPermissions("evidence", context.permissions);
  const ekType = options.ekType ?? await configuredEkType(options.config, context);
  const issuer = tpmIssuerOf(machine, ekType, context.clock);
  if (options.outFile !== undefined) return await writeFile(options.outFile, issuer, eventLog, options.output, context);
  const described = await describeEvidence(issuer, ekType);
  printResult(context, options.output, { ...described }, policyText(described));
}

async function writeFile(
  file: string,
  issuer: EvidenceIssuer,
  eventLog: Bytes | undefined,
  output: OutputForm,
  context: CliContext,
): Promise<void> {
  const made = writeEvidenceFile(await issueEvidenceFile([issuer], eventLog));
  if (!await createFileExclusive(file, made, { mode: FILE_MODE })) {
    throw new BootstrapError("precondition/file-exists", `Cannot write evidence to ${file} as it exists`, {
      next: "Choose another name",
      details: { path: file },
    });
  }
  const events = eventLog === undefined ? "without an event log, as this machine has none" : "with the event log";
  printResult(context, output, { file, eventLog: eventLog !== undefined }, `Wrote ${file}, ${events}.`);
}

async function configuredEkType(file: string | undefined, context: CliContext): Promise<EkType> {
  const { configuration } = await loadNodeConfiguration({
    ...present("file", file),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    paths: context.paths,
  });
  return configuration.evidence.ekType;
}

/** What evidence says, by nobody verified. */
interface DescribedEvidence {
  readonly variant: string;
  readonly identity: string;
  readonly ekType: EkType;
  readonly pcrs: Readonly<Record<string, string>>;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly ekCertificate: string | null;
}

async function describeEvidence(issuer: EvidenceIssuer, ekType: EkType): Promise<DescribedEvidence> {
  const issued = await issuer.issue(await fileStatement(randomBytes(NONCE_BYTES)));
  const payload = decodePayload(issued.payload);
  const { resetCount, restartCount } = readQuoteInfo(payload.attest);
  const spki = spkiOf(readPublicArea(payload.endorsementKey, "endorsement key").key);
  return {
    variant: issued.variant,
    identity: hex(await sha256(spki)),
    ekType,
    pcrs: Object.fromEntries(payload.pcrs.map((value, index) => [String(index), hex(value)])),
    resetCount,
    restartCount,
    ekCertificate: payload.certificate.length === 0 ? null : writePem("CERTIFICATE", payload.certificate),
  };
}

function policyText({ identity, ekType, pcrs, resetCount, restartCount, ekCertificate }: DescribedEvidence): string {
  const own = Object.entries(pcrs).filter(([index]) => !PROTOCOL_REGISTERS.includes(Number(index)));
  const policy = {
    version: 1,
    variant: "tpm",
    tpm: {
      ekType,
      pcrs: Object.fromEntries(own.map(([index, value]) => [index, [value]])),
      trust: { identities: [identity] },
    },
    roles: { controlPlanes: [identity] },
  };
  const remarks = [
    "A policy for exactly this machine as it is now. Nobody has verified it: use it only if you trust this machine.",
    "Remove registers that differ from boot to boot, and control planes that are to be workers.",
    "",
    ...PROTOCOL_REGISTERS.map((index) => `PCR ${index}, which no policy names: ${pcrs[index] ?? ""}`),
    `The TPM was reset ${resetCount} times, and restarted ${restartCount} times since.`,
    ekCertificate === null ? "The TPM has no EK certificate." : `The EK certificate:\n${ekCertificate.trimEnd()}`,
  ].join("\n").split("\n").map((line) => `# ${line}`.trimEnd()).join("\n");
  return `${remarks}\n${
    stringify(policy, { lineWidth: 0, defaultStringType: "PLAIN", defaultKeyType: "QUOTE_DOUBLE" })
  }`;
}
