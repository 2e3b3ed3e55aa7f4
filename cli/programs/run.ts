/**
 * The command `bootstrapper run`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import { combinedName } from "../../attestation/combined.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import type { FounderPolicy } from "../../join/founder_evidence.ts";
import { founderPolicy } from "../../join/founder_evidence.ts";
import type { NodeConfiguration } from "../../node/configuration.ts";
import { configurationRemarks, isInsecure } from "../../node/configuration.ts";
import { addressRemarks } from "../../node/configuration_defaults.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import { loadFoundingToken } from "../../node/founding_token.ts";
import { wipeFirmwareData } from "../../node/host_credentials.ts";
import type { FoundMetadata } from "../../node/metadata/metadata.ts";
import { machineMetadata, withMetadata } from "../../node/metadata/metadata.ts";
import { nodeNetworks } from "../../node/own_address.ts";
import { keepSelf, ownSelf } from "../../node/own_self.ts";
import type { RunDependencies } from "../../node/run.ts";
import { runNode } from "../../node/run.ts";
import { LockFile } from "../../nodelock/file.ts";
import { exists } from "../../platform/files.ts";
import { present } from "../../platform/present.ts";
import { collateralOf } from "../collateral.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext } from "../context.ts";
import type { Machine } from "../machine.ts";
import type { RunMachine } from "../run_machine.ts";
import { evidenceOf } from "../machine_evidence.ts";

/** The options of `run`. */
export interface RunOptions {
  /** The file of the node's configuration. */
  readonly config?: string;
}

/** Bootstraps this node. It ends when the node is a member of its cluster. */
export async function run(options: RunOptions, context: CliContext, machine: RunMachine): Promise<void> {
  const { session, termination: { signal } } = machine;
  await runNode(await session.guard(() => runDependencies(options, context, machine), signal), signal);
}

/** Returns the dependencies with which {@linkcode run} bootstraps this node. */
export async function runDependencies(
  options: RunOptions,
  context: CliContext,
  machine: Machine & Partial<Pick<RunMachine, "session" | "termination">>,
): Promise<RunDependencies> {
  const { configuration: written } = await loadNodeConfiguration({
    ...present("file", options.config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware: machine.firmware,
    paths: context.paths,
    kinds: kindsOf(context),
    isFresh: !await exists(new LockFile(context.paths.state).path),
  });
  const { paths, program, commands, clock, log } = context;
  // Before the address, which may be long in coming: a mistyped token is a person's matter.
  const foundingToken = await loadFoundingToken({
    configuration: written,
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware: machine.firmware,
    stateFolder: paths.state,
    foundingFolder: paths.founding,
    log,
  });
  wipeFirmwareData(machine.firmware);
  const metadata = await metadataOf(written, context, machine);
  const configuration = withMetadata(written, metadata);
  const self = await ownSelf({ configuration, machine: machine.facts, paths });
  await keepSelf(paths, self);
  // Those about names and addresses are a member's: a fresh node is refused.
  for (const remark of configurationRemarks(configuration)) context.log.event("warn", "configuration", { remark });
  for (const remark of addressRemarks(configuration, machine.facts, self.address)) {
    context.log.event("warn", "own-address", { address: self.address, remark });
  }
  const names = combinedName(configuration.evidence.kinds.map(({ name }) => name));
  return {
    ...{ configuration, self, paths, program, commands, clock, kinds: kindsOf(context) },
    ...await evidenceOf(machine, configuration.evidence, context),
    unmeasured: machine.unmeasured,
    networks: nodeNetworks(machine.facts, self.address),
    ...present("machineId", machine.machineId),
    ...present("foundingToken", foundingToken),
    ...present("metadata", metadata),
    ...present("founders", foundersOf(configuration, context)),
    ...present("deviceEnd", machine.deviceEnd),
    ...present("session", machine.session),
    log: context.log.with({
      node: self.name,
      ...(isInsecure(configuration.evidence) ? { insecure: `evidence of the kind ${names} proves nothing` } : {}),
    }),
  };
}

/** Returns what the configuration takes from metadata, and says in the status what it waits for. */
async function metadataOf(
  { metadata }: NodeConfiguration,
  { paths, clock, log }: CliContext,
  { session, termination }: Partial<Pick<RunMachine, "session" | "termination">>,
): Promise<FoundMetadata | undefined> {
  if (metadata === undefined) return undefined;
  await session?.status.update({ phase: "detecting", waitsFor: `the machine's metadata (${metadata.source})` });
  const found = await machineMetadata(metadata, { paths, clock, log, ...present("signal", termination?.signal) });
  await session?.status.update({ waitsFor: undefined });
  return found;
}

/** Returns how founders are judged, if the trust part has a policy for them. */
function foundersOf({ foundingPolicy }: NodeConfiguration, context: CliContext): FounderPolicy | undefined {
  if (foundingPolicy === undefined) return undefined;
  const { clock } = context;
  const policy = readPolicy(foundingPolicy.document, "trust.founding.policy", kindsOf(context));
  return founderPolicy(policy, createVerifier(policy, "node", collateralOf(policy, clock), () => clock.now()));
}
