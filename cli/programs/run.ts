/**
 * `bootstrapper run`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import { createInsecureIdentity, createInsecureIssuer } from "../../attestation/kinds/none/issuer.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../../attestation/evidence.ts";
import type { NodeConfiguration } from "../../node/configuration.ts";
import { isInsecure } from "../../node/configuration.ts";
import { resolveNodeSelf } from "../../node/configuration_defaults.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import type { RunDependencies } from "../../node/run.ts";
import { runNode } from "../../node/run.ts";
import { createFileExclusive, ensureFolder, readFile } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import type { CliContext } from "../context.ts";
import type { Machine } from "../machine.ts";
import { evidenceOf } from "../machine_evidence.ts";
import { terminationSignal } from "../termination.ts";

const IDENTITY_BYTES = 32;

/** The options of `run`. */
export interface RunOptions {
  /** The file with the node's configuration. */
  readonly config?: string;
}

/** Bootstraps this node; ends when it is a member. */
export async function run(options: RunOptions, context: CliContext, machine: Machine): Promise<void> {
  using termination = terminationSignal();
  await runNode(await runDependencies(options, context, machine), termination.signal);
}

/** What {@linkcode run} bootstraps this node with. */
export async function runDependencies(
  options: RunOptions,
  context: CliContext,
  machine: Machine,
): Promise<RunDependencies> {
  const { configuration } = await loadNodeConfiguration({
    ...present("file", options.config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    paths: context.paths,
  });
  const self = resolveNodeSelf(configuration, machine.facts);
  const { paths, commands, clock } = context;
  return {
    ...{ configuration, self, paths, commands, clock },
    ...await evidenceFor(configuration, machine, context),
    unmeasured: machine.unmeasured,
    log: context.log.with({
      node: self.name,
      ...(isInsecure(configuration.evidence) ? { insecure: "evidence of the kind none proves nothing" } : {}),
    }),
  };
}

async function evidenceFor(
  configuration: NodeConfiguration,
  machine: Machine,
  { paths, clock }: CliContext,
): Promise<{ readonly issuer: EvidenceIssuer; readonly registers?: MeasurementRegisters }> {
  if (!isInsecure(configuration.evidence)) return await evidenceOf(machine, configuration.evidence, clock);
  await ensureFolder(paths.state);
  const path = `${paths.state}/insecure-identity`;
  await createFileExclusive(path, createInsecureIdentity(), { mode: 0o600 });
  return { issuer: createInsecureIssuer(await readFile(path, IDENTITY_BYTES)) };
}
