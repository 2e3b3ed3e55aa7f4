/**
 * `bootstrapper policy registers`: prints the values that a machine with a configuration must show, and with which it
 * must be launched.
 *
 * @module
 */
import type { Expectation } from "../../attestation/evidence.ts";
import { FRESH, NO_IDENTITY } from "../../attestation/evidence.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import type { AcceptedTrust } from "../../attestation/policy/accepted_trust.ts";
import { settingsText, trustExpectation } from "../../attestation/policy/accepted_trust.ts";
import type { LaunchValue } from "../../attestation/launch_values.ts";
import { launchValues } from "../../attestation/launch_values.ts";
import { lockDigest } from "../../protocol/transcript.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { readNewNodeConfiguration } from "../../node/configuration.ts";
import { base64, hex } from "../../platform/bytes.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { readFile } from "../../platform/files.ts";
import { printResult } from "../output.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";

const NAME_WIDTH = 12;

/** The options of `policy registers`. */
export interface PolicyRegistersOptions {
  /** The path of the node's configuration. */
  readonly configurationFile: string;
  readonly output: OutputForm;
}

/** Prints PCR 12, HOST_DATA and MRCONFIGID of a configuration, with and without a cluster ID. */
export async function policyRegisters(
  { configurationFile, output }: PolicyRegistersOptions,
  context: CliContext,
): Promise<void> {
  const trust = await configuredTrust(configurationFile, kindsOf(context));
  const { variants, switches } = trust;
  const { unknown, known } = await valuesOf(trust, kindsOf(context));
  const clusterId = known === undefined ? null : clusterIdText(trust.clusterId);
  const result = {
    configuration: configurationFile,
    clusterName: trust.clusterName,
    clusterId,
    variants,
    switches,
    clusterIdUnknown: shown(unknown),
    clusterIdKnown: known === undefined ? null : shown(known),
  };
  const lines = [
    ...(known === undefined ? [] : [`With the cluster ID ${clusterId}, as it is configured:`, ...textOf(known), ""]),
    "Without a cluster ID, as on the machine that the cluster is founded on:",
    ...textOf(unknown),
    "",
    `These are the values with ${settingsText(trust)}.`,
  ];
  printResult(context, output, result, lines.join("\n"));
}

/**
 * Returns the register values that a policy expects of a node in the cluster of a configuration: with the cluster ID
 * measured or not yet known, and locked or fresh.
 *
 * @param trust The trust part of the node's configuration.
 * @param accepted What the policy accepts of such a configuration.
 */
export async function expectationOf(trust: TrustPart, accepted: AcceptedTrust): Promise<Expectation> {
  const isKnown = trust.clusterId.length > 0;
  return {
    ...await trustExpectation(accepted, trust, clusterIdsOf(trust)),
    lock: [FRESH, ...(isKnown ? [await lockDigest(trust.clusterId)] : [])],
    // A file has no connection and no key, so nothing in it can be bound to a machine's key.
    identity: NO_IDENTITY,
  };
}

/** Returns the cluster IDs that a node with a configuration may have measured. */
export function clusterIdsOf({ clusterId }: TrustPart): readonly Uint8Array[] {
  return [new Uint8Array(), ...(clusterId.length > 0 ? [clusterId] : [])];
}

/** Reads the trust part of a node's configuration. */
export async function configuredTrust(file: string, kinds: readonly EvidenceKind[]): Promise<TrustPart> {
  return readNewNodeConfiguration(documentText(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file), file, kinds).trust;
}

/** The values of machines, for each kind of evidence that shows one. */
type Values = readonly LaunchValue[];

async function valuesOf(
  trust: TrustPart,
  kinds: readonly EvidenceKind[],
): Promise<{ readonly unknown: Values; readonly known?: Values }> {
  const unknown = await launchValues({ ...trust, clusterId: new Uint8Array() }, kinds);
  return trust.clusterId.length === 0 ? { unknown } : { unknown, known: await launchValues(trust, kinds) };
}

/**
 * Formats values in hexadecimal, as in evidence and policies. Values that a machine is launched with are also in
 * base64, as QEMU takes them.
 */
function shown(values: Values): Readonly<Record<string, unknown>> {
  return Object.fromEntries(values.map(({ key, isLaunchValue, value }) => [
    key,
    isLaunchValue ? { hex: hex(value), base64: base64(value) } : hex(value),
  ]));
}

function textOf(values: Values): readonly string[] {
  const line = (name: string, value: string) => `  ${name.padEnd(NAME_WIDTH)}${value}`;
  return values.flatMap(({ key, isLaunchValue, value }) => [
    line(key, hex(value)),
    ...(isLaunchValue ? [line("", `base64 ${base64(value)}`)] : []),
  ]);
}
