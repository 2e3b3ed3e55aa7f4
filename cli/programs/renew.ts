/**
 * The command `bootstrapper renew`, with this machine's TPM, programs and folders.
 *
 * @module
 */
import { kubeletDenial } from "../../kubernetes/kubelet_denial.ts";
import type { NodeConfiguration } from "../../node/configuration.ts";
import { isInsecure } from "../../node/configuration.ts";
import { ownSelf } from "../../node/own_self.ts";
import { keptMetadata, withMetadata } from "../../node/metadata/metadata.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import type { RenewalDependencies, RenewalOutcome } from "../../node/renewal.ts";
import { renewCertificates } from "../../node/renewal.ts";
import type { AttestingNode } from "../../node/renewal_ways.ts";
import { attestationWay, otherServicesOf, ownCaWay } from "../../node/renewal_ways.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import { readOrCreateIdentityKey } from "../../protocol/node_keys.ts";
import type { NodeSelf } from "../../protocol/node_self.ts";
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
  /** Whether to renew in the first third of the certificates' life too. */
  readonly isNow: boolean;
  readonly output: OutputForm;
}

/** What needs permissions that the command does not keep. */
export interface RenewingMachine {
  readonly machine: Machine;
  /** The version of this machine's kubelet, such as `v1.36.3`. */
  readonly kubeletVersion: string;
  /** When this machine booted. */
  readonly bootedAt: Date;
}

/**
 * Renews this node's certificates if a third of their life is over, if the cluster does not accept them any more, or if
 * the caller says so. Prints until when they are valid.
 *
 * @throws {BootstrapError} As `renewCertificates()`.
 */
export async function renew(options: RenewOptions, context: CliContext, opened: RenewingMachine): Promise<void> {
  using termination = terminationSignal();
  const { isNow } = options;
  const { signal } = termination;
  const outcome = await renewCertificates(renewalDependencies(options, context, opened), signal, { isNow })
    .catch((cause) => {
      throw signal.aborted ? new BootstrapError("aborted/run", "The renewal was stopped", { cause }) : cause;
    });
  const { state, renewableFrom } = outcome;
  const until = endOf(outcome);
  const from = renewableFrom.toISOString();
  const text = state === "renewed"
    ? `The certificates are renewed, and valid until ${until}. The next renewal follows from ${from} on.`
    : `The certificates are valid until ${until}. They are renewed from ${from} on, or with --now.`;
  printResult(context, options.output, { state, until, renewableFrom: from }, text);
}

function renewalDependencies(
  options: RenewOptions,
  context: CliContext,
  opened: RenewingMachine,
): RenewalDependencies {
  const { paths, clock, log } = context;
  const parts = { paths, clock, log };
  const node = () => configuredNode(options, context, opened.machine);
  return {
    ...parts,
    random: Math.random,
    bootedAt: opened.bootedAt,
    otherServices: otherServicesOf(paths, async () => (await node()).self),
    denial: (nodeName, signal) => kubeletDenial(paths, nodeName, signal),
    attest: attestationWay(parts, async () => await attestingNode(await node(), context, opened)),
    issue: ownCaWay(parts, async () => (await node()).self),
  };
}

function endOf(outcome: RenewalOutcome): string {
  if (outcome.state === "early") return outcome.validity.notAfter.toISOString();
  const { client, serving } = outcome.record;
  return client.notAfter < serving.notAfter ? client.notAfter : serving.notAfter;
}

/** The node as its configuration describes it. */
interface ConfiguredNode {
  readonly configuration: NodeConfiguration;
  readonly self: NodeSelf;
}

async function configuredNode(
  { config }: RenewOptions,
  context: CliContext,
  { firmware, facts }: Machine,
): Promise<ConfiguredNode> {
  const { configuration: written } = await loadNodeConfiguration({
    ...present("file", config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware,
    paths: context.paths,
    kinds: kindsOf(context),
  });
  // A member asks its metadata nothing.
  const configuration = withMetadata(written, await keptMetadata(context.paths));
  return { configuration, self: await ownSelf({ configuration, machine: facts, paths: context.paths }) };
}

/** Opens what makes this machine's evidence. */
async function attestingNode(
  { configuration: { trust, join, evidence }, self }: ConfiguredNode,
  context: CliContext,
  { machine, kubeletVersion }: RenewingMachine,
): Promise<AttestingNode> {
  const { issuer } = await evidenceOf(machine, evidence, context);
  if (isInsecure(evidence)) context.log.event("warn", "insecure-evidence-none");
  const identityKey = issuer.identityIsKey === true ? await readOrCreateIdentityKey(context.paths.state) : undefined;
  const endpoints = join.endpoints;
  return { trust, self, issuer, endpoints, ...present("identityKey", identityKey), kubeletVersion };
}
