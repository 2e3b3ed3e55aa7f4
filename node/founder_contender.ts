/**
 * Founds a cluster among equals, with the real effects: meets the other founders, and takes part in their ceremony.
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import { FoundingCeremony, readSuperseded } from "../founding/ceremony.ts";
import type { CeremonyEnd, FoundersSeen, PledgeState } from "../founding/ceremony_parts.ts";
import { CEREMONY_TIMES } from "../founding/ceremony_parts.ts";
import { containerLauncher } from "../founding/etcd_launchers.ts";
import type { FounderKey } from "../founding/founder_key.ts";
import { FOUNDER_FILES, readOrCreateFounderKey } from "../founding/founder_key.ts";
import { finishLeaving, removeFounder } from "../founding/leaving.ts";
import type { MeetingState } from "../founding/meeting.ts";
import { FounderMeeting } from "../founding/meeting.ts";
import { PLEDGE_FILE, readPledge } from "../founding/pledge.ts";
import { StagedKeys } from "../founding/staged_keys.ts";
import { documentsOf } from "../init/found_cluster.ts";
import type { ClusterPlan } from "../init/found_cluster.ts";
import { preflight } from "../init/preflight.ts";
import type { FounderPolicy } from "../join/founder_evidence.ts";
import { copyOf, fromHex, hex } from "../platform/bytes.ts";
import { endpointText } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import type { FoundingTrust, TrustPart } from "../protocol/transcript.ts";
import { refusal } from "../protocol/refusal.ts";
import { trustDigest } from "../protocol/transcript.ts";
import type { FoundingConfiguration } from "./founding_configuration.ts";
import { FOUNDING_ETCD_PORT } from "./founding_configuration.ts";
import { founderEffects, foundingChecks } from "./founder_effects.ts";
import { Readiness } from "./founder_readiness.ts";
import { foundingStatus } from "./founder_status.ts";
import type { JoinGate } from "./join_gate.ts";
import { kubeletVersion } from "./kubelet.ts";
import type { Contender } from "./run_dependencies.ts";

/** How long kubeadm may take to name the images that it needs. */
const IMAGES_DEADLINE_MS = 120_000;
/** After so long a time a machine whose etcd lost its data meets the founders again, with a new key. */
const AGAIN_MS = 10_000;
/** How often it is looked whether this machine joined without the others. */
const LOOK_MS = 1_000;
/** The Pods' network where the configuration has no settings. */
const POD_SUBNET = "10.244.0.0/16";
const ETCD_IMAGE = /\/etcd:/;

/** A node that founds. */
interface FoundingNode {
  readonly contender: Contender;
  readonly founding: FoundingConfiguration;
  readonly trust: TrustPart & { readonly founding: FoundingTrust };
  readonly plan: ClusterPlan["request"];
  readonly staged: StagedKeys;
}

/**
 * Takes part in a founding, from wherever an earlier start left it. Returns at once if this node founds nothing.
 *
 * @param gate Is opened and held as the ceremony says.
 * @param onServing Called when this node has founded the cluster, and its join service has been started.
 * @throws {BootstrapError} `precondition/superseded`; `system/…`; `malformed/founder-file`; the signal's reason.
 */
export async function runFounder(contender: Contender, gate: JoinGate, onServing: () => Promise<void>): Promise<void> {
  const { deps: { configuration, paths, clock }, signal } = contender;
  const { founding, trust } = configuration;
  const hasLeft = await finishLeaving(paths.founding);
  const reason = await readSuperseded(paths.founding);
  if (reason !== undefined) throw superseded(reason);
  const state = contender.lock.state();
  const isLocked = state.name === "locked";
  // A machine that is locked and has pledged nothing is no founder, and must never become one.
  if (isLocked && (hasLeft || !await exists(join(paths.founding, PLEDGE_FILE)))) {
    return await removeFounder(paths.founding);
  }
  if (founding === undefined || trust.founding === undefined) return;
  const staged = new StagedKeys(paths.founding);
  // Keys that no lock names are of no use any more.
  if (!isLocked || state.lock.owner !== "init") await staged.discard();
  const plan = await planOf(contender);
  const node = { contender, staged, founding, trust: { ...trust, founding: trust.founding }, plan };
  for (;;) {
    const ended = await takePartOnce(node, gate, onServing);
    if (ended.kind === "superseded") throw superseded(ended.reason);
    if (await isOutside(contender)) await removeFounder(paths.founding);
    if (ended.kind === "left" || contender.lock.state().name !== "unlocked") return;
    // It is no founder of that roster any more. If the others are not either, they found with new keys.
    await clock.sleep(AGAIN_MS, signal);
  }
}

async function takePartOnce(
  node: FoundingNode,
  gate: JoinGate,
  onServing: () => Promise<void>,
): Promise<CeremonyEnd> {
  const { contender } = node;
  const { signal } = contender;
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const met = await meet(node);
  const parts = [met.meeting.run(end), takePart(node, met, gate, onServing, end), untilOutside(contender, end)];
  try {
    const ended = await Promise.race(parts);
    gate.open();
    return ended;
  } finally {
    over.abort(signal.aborted ? signal.reason : new BootstrapError("aborted/run", "The founding is over"));
    await Promise.allSettled(parts);
    contender.status.update({ founding: undefined });
  }
}

/**
 * Whether this machine has joined a cluster and never pledged: it came late, is no founder, and nobody waits for it.
 */
async function isOutside({ deps: { paths }, lock }: Contender): Promise<boolean> {
  const state = lock.state();
  if (state.name !== "locked" || state.lock.owner !== "join") return false;
  return !await exists(join(paths.founding, FOUNDER_FILES.pledge));
}

async function untilOutside(contender: Contender, signal: AbortSignal): Promise<CeremonyEnd> {
  while (!await isOutside(contender)) await contender.deps.clock.sleep(LOOK_MS, signal);
  return { kind: "no-founder", reason: "this machine joined a cluster that there was" };
}

async function planOf({ deps: { configuration, commands } }: Contender): Promise<ClusterPlan["request"]> {
  const { trust: { clusterName, switches, variants }, founding, foundingPolicy } = configuration;
  // Without a policy there is no evidence, and machines show the token instead.
  const allowUnmeasuredImage = switches.includes("allowUnmeasuredImage");
  const byToken = JSON.stringify({ version: 1, variant: variants, allowUnmeasuredImage });
  return {
    clusterName,
    clusterDocument: founding?.clusterDocument ??
      `kubernetesVersion: ${await kubeletVersion(commands)}\npodSubnet: ${POD_SUBNET}\n`,
    policyDocument: foundingPolicy?.document ?? byToken,
  };
}

/** What this machine meets the others with. */
interface Meeting {
  readonly meeting: FounderMeeting;
  readonly key: FounderKey;
}

async function meet({ contender, founding, trust }: FoundingNode): Promise<Meeting> {
  const { deps, issuer } = contender;
  const { self, paths, clock, log, founders, foundingToken } = deps;
  const address = founding.address ?? { host: self.address, port: FOUNDING_ETCD_PORT };
  const key = await readOrCreateFounderKey(paths.founding, address);
  const { discovery } = founding;
  const own = {
    folder: paths.founding,
    keys: key.keys,
    trustDigest: await trustDigest(trust),
    size: trust.founding.size,
  };
  const meeting = await FounderMeeting.create({
    ...{ listen: founding.listen, key, trust, clock, log },
    self: { name: self.name, address: endpointText(address) },
    peers: discovery.by === "dns" ? [discovery.name] : discovery.peers,
    ...present("attestation", founders && { issuer, verifier: controlPlanesOnly(founders) }),
    ...present("token", foundingToken),
    // From its first moment on it meets only those to which it has pledged: they may have got a lock since.
    ...present("pledged", (await readPledge(own))?.founders),
  });
  // Before the first exchange: evidence of a lock counts only beside a card that names it.
  meeting.setCard(lockOf(contender));
  return { meeting, key };
}

async function takePart(
  node: FoundingNode,
  { meeting, key }: Meeting,
  gate: JoinGate,
  onServing: () => Promise<void>,
  signal: AbortSignal,
): Promise<CeremonyEnd> {
  const { contender, trust, plan, staged } = node;
  const { deps: { paths, commands, clock, log }, status, kubeadm } = contender;
  const documents = documentsOf({ request: plan }, contender.deps.self);
  const images = await kubeadm.requiredImages(documents, { deadlineMs: IMAGES_DEADLINE_MS, signal });
  const image = images.find((name) => ETCD_IMAGE.test(name));
  if (image === undefined) throw new BootstrapError("precondition/preflight", "kubeadm names no image of etcd");
  const readiness = new Readiness({
    clock,
    check: () => preflight(foundingChecks(contender, plan, signal), () => {}, signal),
    onHindrances: (hindrances) => {
      meeting.setCard({ hindrances });
      if (hindrances.length > 0) log.event("warn", "founder-not-ready", { hindrances });
      else log.event("info", "founder-ready");
    },
  });
  const ceremony = new FoundingCeremony({
    ...{ keys: key.keys, certificatePem: key.certificatePem, keyPem: key.keyPem },
    ...{ folder: paths.founding, size: trust.founding.size, trustDigest: await trustDigest(trust) },
    seen: () => seenOf(meeting.state, readiness.hindrances),
    publish: (state) => publish(meeting, state),
    ready: () => contender.lock.state().name === "unlocked" ? readiness.isReady() : Promise.resolve(false),
    effects: founderEffects({ contender, gate, staged, plan, onServing }),
    launcher: containerLauncher({ commands, image, folder: paths.founding }),
    ...{ clock, log, random: Math.random },
    times: { ...CEREMONY_TIMES, ...contender.deps.foundingTimes },
    onWaiting: (line) => log.event("info", "founding-waits", { message: line }),
  });
  const shown = new AbortController();
  const showing = (async () => {
    let last = "";
    while (!shown.signal.aborted) {
      meeting.setCard({ state: ceremony.waiting?.phase ?? "meeting", ...lockOf(contender) });
      const now = foundingStatus(meeting.state, ceremony.waiting, meeting.entry, readiness.hindrances);
      if (JSON.stringify(now) !== last) await status.update({ founding: now });
      last = JSON.stringify(now);
      await clock.sleep(LOOK_MS, shown.signal);
    }
  })();
  try {
    return await ceremony.run(signal);
  } finally {
    shown.abort();
    await Promise.allSettled([showing]);
  }
}

/** A founder is a control plane: a machine that the policy takes for a worker is none. */
function controlPlanesOnly({ verifier, roleOf }: FounderPolicy): EvidenceVerifier {
  return {
    ...verifier,
    async verify(evidence, statement, expectation, report) {
      const verified = await verifier.verify(evidence, statement, expectation, report);
      const { identity, isEphemeral } = verified.claims;
      const role = roleOf(identity);
      // A machine that gets a new identity at each start can be in no list; the policy lets it in by what it is.
      if (role === "control-plane" || isEphemeral === true) return verified;
      const message = `The policy for founders takes the machine ${identity} for a ${role}`;
      throw refusal("role", message, "control-plane", role);
    },
  };
}

function lockOf({ lock }: Contender): { readonly clusterId?: Uint8Array } {
  const state = lock.state();
  return state.name === "locked" ? { clusterId: state.lock.clusterId } : {};
}

/** What the ceremony sees of a meeting. */
export function seenOf({ view }: MeetingState, own: readonly string[]): FoundersSeen {
  return {
    entries: view.entries,
    isAgreed: view.isAgreed,
    hindrances: [
      ...own,
      ...view.conflicts.map(({ message }) => message),
      ...view.present.flatMap(({ entry, card }) => card.hindrances.map((text) => `${entry.name}: ${text}`)),
    ],
    pledges: view.present.flatMap(({ card }) =>
      card.pledges.map(({ keyDigest, signature }) => ({ key: hex(keyDigest), signature: copyOf(signature) }))
    ),
    absent: view.missing.map(({ entry }) => entry.name),
  };
}

/** Shows the own pledge, and all that were heard, on the card. */
export function publish(meeting: FounderMeeting, { entries, pledges }: PledgeState): void {
  meeting.pledge(entries);
  meeting.setCard({
    pledges: pledges.map(({ key, signature }) => ({ keyDigest: fromHex(key, "key"), signature })),
  });
}

function superseded(reason: string): BootstrapError {
  return new BootstrapError(
    "precondition/superseded",
    `The cluster of this founder is not the one that counts: ${reason}`,
  );
}
