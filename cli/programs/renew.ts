/**
 * The command `bootstrapper renew`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import type { NodeConfiguration } from "../../node/configuration.ts";
import { isInsecure } from "../../node/configuration.ts";
import { resolveNodeSelf } from "../../node/configuration_defaults.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import type { RenewalDependencies, RenewalOutcome } from "../../node/renewal.ts";
import { renewCertificates } from "../../node/renewal.ts";
import type { AttestingNode } from "../../node/renewal_ways.ts";
import { attestationWay, ownCaWay } from "../../node/renewal_ways.ts";
import { present } from "../../platform/present.ts";
import { readOrCreateIdentityKey } from "../../protocol/node_keys.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { Machine } from "../machine.ts";
import { evidenceOf } from "../machine_evidence.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

/** The options of `renew`. */
export interface RenewOptions {
  /** The file of the node's configuration. */
  readonly config?: string;
  readonly output: OutputForm;
}

/** What needs permissions that the command does not keep. */
export interface RenewingMachine {
  readonly machine: Machine;
  /** The version of this machine's kubelet, such as `v1.36.3`. */
  readonly kubeletVersion: string;
}

/**
 * Renews this node's certificates if a third of their life is over, and prints until when they are valid.
 *
 * @throws {BootstrapError} As `renewCertificates()`.
 */
export async function renew(options: RenewOptions, context: CliContext, opened: RenewingMachine): Promise<void> {
  using termination = terminationSignal();
  const attesting = () => load(options, context, opened);
  const outcome = await renewCertificates(renewalDependencies(context, attesting), termination.signal);
  const { state, renewableFrom } = outcome;
  const until = endOf(outcome);
  const from = renewableFrom.toISOString();
  const text = state === "renewed"
    ? `The certificates are renewed, and valid until ${until}. The next renewal follows from ${from} on.`
    : `The certificates are valid until ${until}. They are renewed from ${from} on.`;
  printResult(context, options.output, { state, until, renewableFrom: from }, text);
}

/** Returns the dependencies with which a renewal works on this machine. */
export function renewalDependencies(
  { paths, clock, log }: Pick<CliContext, "paths" | "clock" | "log">,
  attesting: () => Promise<AttestingNode>,
): RenewalDependencies {
  const parts = { paths, clock, log };
  return { ...parts, random: Math.random, attest: attestationWay(parts, attesting), issue: ownCaWay(parts) };
}

function endOf(outcome: RenewalOutcome): string {
  if (outcome.state === "early") return outcome.validity.notAfter.toISOString();
  const { client, serving } = outcome.record;
  return client.notAfter < serving.notAfter ? client.notAfter : serving.notAfter;
}

/** Reads the configuration, and opens what makes this machine's evidence. */
async function load(
  { config }: Pick<RenewOptions, "config">,
  context: CliContext,
  { machine, kubeletVersion }: RenewingMachine,
): Promise<AttestingNode> {
  const { configuration } = await loadNodeConfiguration({
    ...present("file", config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware: machine.firmware,
    paths: context.paths,
    kinds: kindsOf(context),
  });
  const { issuer } = await evidenceOf(machine, configuration.evidence, context);
  if (isInsecure(configuration.evidence)) context.log.event("warn", "insecure-evidence-none");
  const self = resolveNodeSelf(configuration, machine.facts);
  return await attestingNode({ configuration, self, issuer, kubeletVersion }, context);
}

/** The parts of {@linkcode attestingNode} that a process makes once. */
export interface ConfiguredNode extends Pick<AttestingNode, "self" | "issuer" | "kubeletVersion"> {
  readonly configuration: NodeConfiguration;
}

/** Returns what a worker needs to be attested anew. */
export async function attestingNode(
  { configuration: { trust, join }, self, issuer, kubeletVersion }: ConfiguredNode,
  { paths }: Pick<CliContext, "paths">,
): Promise<AttestingNode> {
  const identityKey = issuer.identityIsKey === true ? await readOrCreateIdentityKey(paths.state) : undefined;
  return {
    trust,
    self,
    issuer,
    endpoints: join.endpoints,
    ...present("identityKey", identityKey),
    kubeletVersion,
  };
}
