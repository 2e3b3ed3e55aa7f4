/**
 * `bootstrapper run`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import { createInsecureIdentity, createInsecureIssuer } from "../attestation/none/issuer.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import { resolveNodeSelf } from "../node/configuration_defaults.ts";
import type { RunDependencies } from "../node/run.ts";
import { runNode } from "../node/run.ts";
import { createFileExclusive, ensureFolder, readFile } from "../platform/files.ts";
import type { CliContext } from "./context.ts";
import { tpmIssuerOf } from "./machine.ts";
import type { RunHandler, RunRequest } from "./run.ts";
import { terminationSignal } from "./termination.ts";

const IDENTITY_BYTES = 32;

/** Bootstraps this node. */
export const run: RunHandler = async (request, context): Promise<void> => {
  using termination = terminationSignal();
  await runNode(await runDependencies(request, context), termination.signal);
};

/** What {@linkcode run} bootstraps this node with. */
export async function runDependencies(request: RunRequest, context: CliContext): Promise<RunDependencies> {
  const { configuration, machine } = request;
  const self = resolveNodeSelf(configuration, machine.facts);
  const { paths, commands, clock } = context;
  return {
    ...{ configuration, self, paths, commands, clock },
    ...await evidenceOf(request, context),
    unmeasured: machine.unmeasured,
    log: context.log.with({
      node: self.name,
      ...(configuration.evidence.variant === "none" ? { insecure: "evidence of the kind none proves nothing" } : {}),
    }),
  };
}

async function evidenceOf(
  { configuration, machine }: RunRequest,
  { paths, clock }: CliContext,
): Promise<{ readonly issuer: EvidenceIssuer; readonly registers?: MeasurementRegisters }> {
  const { variant, ekType } = configuration.evidence;
  if (variant === "tpm") {
    const issuer = tpmIssuerOf(machine, ekType, clock);
    return { issuer, registers: issuer };
  }
  await ensureFolder(paths.state);
  const path = `${paths.state}/insecure-identity`;
  await createFileExclusive(path, createInsecureIdentity(), { mode: 0o600 });
  return { issuer: createInsecureIssuer(await readFile(path, IDENTITY_BYTES)) };
}
