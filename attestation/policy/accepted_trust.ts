/**
 * The trust parts that a policy accepts: which kinds of evidence a node must be configured for, and which switches that
 * weaken a check it may have on.
 *
 * The policy decides all of it. Nothing of it comes from the peer.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { hex } from "../../platform/bytes.ts";
import { present } from "../../platform/present.ts";
import type { ClusterTrust, EvidenceSettings, InsecureSwitch, TrustPart } from "../../protocol/transcript.ts";
import { INSECURE_SWITCHES, trustDigest } from "../../protocol/transcript.ts";
import type { Expectation, KnownTrust } from "../evidence.ts";
import type { EvidenceKind } from "../kind.ts";
import type { PeerKind, Policy } from "./policy.ts";

/** What a verifier accepts of a node's configuration, besides its cluster and its operators. */
export interface AcceptedTrust {
  /** The kinds of evidence that the node must be configured for. */
  readonly variants: readonly string[];
  /** The switches that every such node has on: a kind that proves nothing must be allowed explicitly. */
  readonly impliedSwitches: readonly InsecureSwitch[];
  /** The switches that the node may have on. */
  readonly allowedSwitches: readonly InsecureSwitch[];
  /** All kinds of evidence, to recognise the register values of other configurations. */
  readonly kinds: readonly EvidenceKind[];
}

/** A trust part and its digest D12. */
export interface MeasuredTrust {
  readonly trust: TrustPart;
  /** D12, 32 bytes. */
  readonly digest: Bytes;
}

/** Returns what a policy accepts of the configuration of a kind of peer. */
export function acceptedTrust(policy: Policy, peer: PeerKind): AcceptedTrust {
  const { required, allowedSwitches, kinds } = policy;
  return acceptedTrustOf(required[peer], allowedSwitches, kinds);
}

/** Like {@linkcode acceptedTrust}, for kinds and switches that no policy names yet. */
export function acceptedTrustOf(
  required: readonly EvidenceKind[],
  allowedSwitches: readonly InsecureSwitch[],
  kinds: readonly EvidenceKind[],
): AcceptedTrust {
  return { variants: required.map(({ name }) => name), impliedSwitches: impliedBy(required), allowedSwitches, kinds };
}

/** Returns the switches of a configuration that are neither implied by its kinds of evidence nor allowed. */
export function switchesNotAllowed(
  { impliedSwitches, allowedSwitches }: AcceptedTrust,
  switches: readonly InsecureSwitch[],
): readonly InsecureSwitch[] {
  return switches.filter((one) => !impliedSwitches.includes(one) && !allowedSwitches.includes(one));
}

/** Returns every trust part of a cluster that is accepted, with its D12: one for each cluster ID and set of switches. */
export async function acceptedDigests(
  { variants, impliedSwitches, allowedSwitches }: AcceptedTrust,
  cluster: Omit<ClusterTrust, "clusterId">,
  clusterIds: readonly Uint8Array[],
): Promise<readonly MeasuredTrust[]> {
  const settings = subsetsOf(allowedSwitches.filter((one) => !impliedSwitches.includes(one)))
    .map((more) => ({ variants, switches: [...impliedSwitches, ...more] }));
  return await measured(cluster, clusterIds, settings);
}

/**
 * Returns the part of an expectation that is about D12.
 *
 * @param clusterIds The cluster IDs that the node may have in its configuration; an empty one stands for none.
 */
export async function trustExpectation(
  accepted: AcceptedTrust,
  cluster: Omit<ClusterTrust, "clusterId">,
  clusterIds: readonly Uint8Array[],
): Promise<Pick<Expectation, "trust" | "otherTrust">> {
  const allowed = await acceptedDigests(accepted, cluster, clusterIds);
  return {
    trust: allowed.map(({ digest }) => digest),
    otherTrust: () => otherTrust(accepted, cluster, clusterIds),
  };
}

/**
 * Returns what registers show of the same cluster's nodes whose configurations are not accepted. Only refusals need it,
 * to name what is wrong.
 */
async function otherTrust(
  accepted: AcceptedTrust,
  cluster: Omit<ClusterTrust, "clusterId">,
  clusterIds: readonly Uint8Array[],
): Promise<readonly KnownTrust[]> {
  const { variants, kinds } = accepted;
  const lists = [variants, ...kinds.map(({ name }) => [name])];
  const settings = lists.flatMap((list) =>
    subsetsOf(INSECURE_SWITCHES).map((switches) => ({ variants: list, switches }))
  );
  const allowed = new Set((await acceptedDigests(accepted, cluster, clusterIds)).map(({ digest }) => hex(digest)));
  const others = (await measured(cluster, clusterIds, settings)).filter(({ digest }) => !allowed.has(hex(digest)));
  return await Promise.all(others.map(async ({ trust, digest }) => ({
    values: await Promise.all(
      kinds.flatMap(({ registers }) => registers === undefined ? [] : [registers.trust.valueOf(digest).then(hex)]),
    ),
    meaning: settingsText(trust),
    expected: expectedText(accepted),
  })));
}

/** Describes the settings of a configuration: `evidence.variant tpm, with allowUnmeasuredImage: true`. */
export function settingsText({ variants, switches }: EvidenceSettings): string {
  const kinds = `evidence.variant ${variants.join(", ")}`;
  return switches.length === 0
    ? `${kinds}, without switches that weaken a check`
    : `${kinds}, with ${switches.map((one) => `${one}: true`).join(" and ")}`;
}

function expectedText({ variants, impliedSwitches, allowedSwitches }: AcceptedTrust): string {
  const may = allowedSwitches.filter((one) => !impliedSwitches.includes(one));
  const text = settingsText({ variants, switches: impliedSwitches });
  return may.length === 0 ? text : `${text}, and perhaps ${may.map((one) => `${one}: true`).join(" and ")}`;
}

function impliedBy(kinds: readonly EvidenceKind[]): readonly InsecureSwitch[] {
  return kinds.some(({ isInsecure }) => isInsecure === true) ? ["allowInsecure"] : [];
}

function measured(
  { clusterName, operatorKeys, founding }: Omit<ClusterTrust, "clusterId">,
  clusterIds: readonly Uint8Array[],
  settings: readonly EvidenceSettings[],
): Promise<readonly MeasuredTrust[]> {
  const cluster = { clusterName, operatorKeys, ...present("founding", founding) };
  const parts = clusterIds.flatMap((clusterId) =>
    settings.map((one): TrustPart => ({ ...cluster, clusterId, ...one }))
  );
  return Promise.all(parts.map(async (trust) => ({ trust, digest: await trustDigest(trust) })));
}

/** Returns all subsets of a list, the empty one first. */
function subsetsOf<T>(list: readonly T[]): readonly (readonly T[])[] {
  return list.reduce<readonly (readonly T[])[]>((sets, one) => [...sets, ...sets.map((set) => [...set, one])], [[]]);
}
