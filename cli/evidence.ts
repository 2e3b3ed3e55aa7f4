/**
 * `bootstrapper evidence`: what this machine's evidence says, in a form that a policy can be made from.
 *
 * @module
 */
import type { Command } from "commander";
import { Option } from "commander";
import { stringify } from "yaml";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import { decodePayload } from "../attestation/tpm/payload.ts";
import { readPublicArea, spkiOf } from "../attestation/tpm/public_area.ts";
import { readQuoteInfo } from "../attestation/tpm/quote_info.ts";
import type { EkType } from "../attestation/tpm/templates.ts";
import { EK_TYPES } from "../attestation/tpm/templates.ts";
import { writePem } from "../certificate/pem.ts";
import { loadNodeConfiguration } from "../node/configuration_source.ts";
import { hex, randomBytes, sha256 } from "../platform/bytes.ts";
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
  /** How to print; text is YAML. */
  readonly output: OutputForm;
}

const STATEMENT_BYTES = 32;
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
      ),
  ).action((_options: unknown, command: Command) => {
    const ekType = EK_TYPES.find((type) => type === optionalText(command, "ekType"));
    const config = optionalText(command, "config");
    return evidence(
      { ...present("config", config), ...present("ekType", ekType), output: outputForm(command) },
      context,
    );
  });
}

/**
 * Prints what this machine's evidence says. As text it is a policy for exactly this machine as it is now, with the rest as
 * comments; as JSON it is one object with all of it.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `usage/…` for the configuration, `system/…`.
 */
export async function evidence(options: EvidenceOptions, context: CliContext): Promise<void> {
  const machine = await openMachine(context);
  await dropPermissions("evidence", context.permissions);
  const ekType = options.ekType ?? await configuredEkType(options.config, context);
  const described = await describeEvidence(tpmIssuerOf(machine, ekType, context.clock), ekType);
  printResult(context, options.output, { ...described }, policyText(described));
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
  const issued = await issuer.issue(randomBytes(STATEMENT_BYTES));
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
