/**
 * `bootstrapper policy registers`: prints the values that a machine with a configuration must show, and with which it
 * must be launched.
 *
 * @module
 */
import type { Expectation } from "../../attestation/evidence.ts";
import { FRESH, NO_IDENTITY } from "../../attestation/evidence.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import type { LaunchValue } from "../../attestation/launch_values.ts";
import { launchValues } from "../../attestation/launch_values.ts";
import { lockDigest, trustDigest } from "../../protocol/transcript.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { base64, fromUtf8, hex } from "../../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
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
  const trust = await trustOf(configurationFile, kindsOf(context));
  const { unknown, known } = await valuesOf(trust, kindsOf(context));
  const clusterId = known === undefined ? null : clusterIdText(trust.clusterId);
  const result = {
    configuration: configurationFile,
    clusterName: trust.clusterName,
    clusterId,
    clusterIdUnknown: shown(unknown),
    clusterIdKnown: known === undefined ? null : shown(known),
  };
  const lines = [
    ...(known === undefined ? [] : [`With the cluster ID ${clusterId}, as it is configured:`, ...textOf(known), ""]),
    "Without a cluster ID, as on the machine that the cluster is founded on:",
    ...textOf(unknown),
  ];
  printResult(context, output, result, lines.join("\n"));
}

/**
 * Returns the register values that a node with a configuration may show: with the cluster ID measured or not yet known,
 * and locked or fresh.
 *
 * @param file The path of the node's configuration.
 * @param kinds The known kinds of evidence.
 */
export async function expectationOf(file: string, kinds: readonly EvidenceKind[]): Promise<Expectation> {
  const trust = await trustOf(file, kinds);
  const isKnown = trust.clusterId.length > 0;
  return {
    trust: [
      await trustDigest({ ...trust, clusterId: new Uint8Array() }),
      ...(isKnown ? [await trustDigest(trust)] : []),
    ],
    lock: [FRESH, ...(isKnown ? [await lockDigest(trust.clusterId)] : [])],
    // A file has no connection and no key, so nothing in it can be bound to a machine's key.
    identity: NO_IDENTITY,
  };
}

async function trustOf(file: string, kinds: readonly EvidenceKind[]): Promise<TrustPart> {
  return readNodeConfiguration(fromUtf8(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file), file, kinds).trust;
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
