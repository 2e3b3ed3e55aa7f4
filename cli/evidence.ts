/**
 * `bootstrapper evidence`: what this machine's evidence says, in a form that a policy can be made from.
 *
 * @module
 */
import type { Command } from "commander";
import { Option } from "commander";
import { stringify } from "yaml";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
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
const HEAD = `# What this machine's TPM says now, checked by nobody: use it for a policy only if you trust this machine.
# PCR 12 holds the trust part of the configuration and PCR 15 the lock; no policy names those two.
`;

/** Declares `evidence`. */
export function declareEvidence(program: Command, context: CliContext): void {
  withOutput(
    withConfig(program.command("evidence").description("print what this node's TPM says, as a policy"))
      .addOption(
        new Option("--ek-type <type>", "the endorsement key (default: the configuration's)").choices(EK_TYPES),
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
 * Prints what this machine's evidence says: identity, endorsement key, certificate, PCRs, counters.
 *
 * @throws {BootstrapError} `precondition/no-tpm`, `usage/…` for the configuration, `system/…`.
 */
export async function evidence(options: EvidenceOptions, context: CliContext): Promise<void> {
  const machine = await openMachine(context);
  await dropPermissions("evidence", context.permissions);
  const ekType = options.ekType ?? await configuredEkType(options.config, context);
  const result = await describeEvidence(tpmIssuerOf(machine, ekType, context.clock), ekType);
  printResult(context, options.output, result, HEAD + stringify(result, { lineWidth: 0 }));
}

async function configuredEkType(file: string | undefined, context: CliContext): Promise<EkType> {
  const { configuration } = await loadNodeConfiguration({
    ...present("file", file),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    paths: context.paths,
  });
  return configuration.evidence.ekType;
}

async function describeEvidence(issuer: EvidenceIssuer, ekType: EkType): Promise<Readonly<Record<string, unknown>>> {
  const issued = await issuer.issue(randomBytes(STATEMENT_BYTES));
  const payload = decodePayload(issued.payload);
  const { resetCount, restartCount } = readQuoteInfo(payload.attest);
  const spki = spkiOf(readPublicArea(payload.endorsementKey, "endorsement key").key);
  return {
    variant: issued.variant,
    identity: hex(await sha256(spki)),
    ekType,
    pcrs: Object.fromEntries(payload.pcrs.map((value, index) => [String(index), hex(value)])),
    counters: { resetCount, restartCount },
    ekCertificate: payload.certificate.length === 0 ? null : writePem("CERTIFICATE", payload.certificate),
  };
}
