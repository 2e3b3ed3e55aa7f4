/**
 * `bootstrapper run`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import { createInsecureIdentity, createInsecureIssuer } from "../../attestation/kinds/none/issuer.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../../attestation/evidence.ts";
import { isInsecure } from "../../node/configuration.ts";
import { resolveNodeSelf } from "../../node/configuration_defaults.ts";
import type { RunDependencies } from "../../node/run.ts";
import { runNode } from "../../node/run.ts";
import { createFileExclusive, ensureFolder, readFile } from "../../platform/files.ts";
import type { CliContext } from "../context.ts";
import { evidenceOf } from "../machine_evidence.ts";
import type { RunHandler, RunRequest } from "../commands/run.ts";
import { terminationSignal } from "../termination.ts";

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
    ...await evidenceFor(request, context),
    unmeasured: machine.unmeasured,
    log: context.log.with({
      node: self.name,
      ...(isInsecure(configuration.evidence) ? { insecure: "evidence of the kind none proves nothing" } : {}),
    }),
  };
}

async function evidenceFor(
  { configuration, machine }: RunRequest,
  { paths, clock }: CliContext,
): Promise<{ readonly issuer: EvidenceIssuer; readonly registers?: MeasurementRegisters }> {
  if (!isInsecure(configuration.evidence)) return await evidenceOf(machine, configuration.evidence, clock);
  await ensureFolder(paths.state);
  const path = `${paths.state}/insecure-identity`;
  await createFileExclusive(path, createInsecureIdentity(), { mode: 0o600 });
  return { issuer: createInsecureIssuer(await readFile(path, IDENTITY_BYTES)) };
}
