/**
 * A founder of the bench: the real meeting and the real ceremony with a real etcd, up to the decision. It founds no cluster:
 * what comes after the decision never ends.
 *
 *     deno run --allow-all tests/bench/founder_process.ts OPTIONS
 *
 * @module
 */
import * as v from "valibot";
import { FoundingCeremony } from "../../founding/ceremony.ts";
import type { FounderEffects } from "../../founding/ceremony_parts.ts";
import { binaryLauncher } from "../../founding/etcd_launchers.ts";
import { readOrCreateFounderKey } from "../../founding/founder_key.ts";
import { FounderMeeting } from "../../founding/meeting.ts";
import { publish, seenOf } from "../../node/founder_contender.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { systemCommands } from "../../platform/command.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import { createLog } from "../../platform/log.ts";
import { deriveToken } from "../../protocol/founding_token.ts";
import { trustDigest } from "../../protocol/transcript.ts";
import { tell } from "./line_process.ts";

const CLUSTER_NAME = "bench";

const optionsSchema = v.object({
  name: v.string(),
  /** Where it listens for other founders, and where its etcd does for theirs: `host:port`. */
  listen: v.string(),
  address: v.string(),
  peers: v.array(v.string()),
  token: v.string(),
  folder: v.string(),
  etcd: v.string(),
});

/** How a founder of the bench is started. */
export type FounderProcessOptions = v.InferOutput<typeof optionsSchema>;

const never = new Promise<never>(() => {});

/** A fresh node, on which nothing is ever done. */
const effects: FounderEffects = {
  lock: () => Promise.resolve(undefined),
  prepare: () => Promise.resolve(`sha256:${hex(randomBytes(32))}`),
  discard: () => Promise.resolve(),
  stage: () => never,
  takeLock: () => never,
  found: () => never,
  serve: () => never,
  supersede: () => never,
  openJoin: () => {},
  isMember: () => Promise.resolve(false),
};

async function found({ name, listen, address, peers, token, folder, etcd }: FounderProcessOptions): Promise<void> {
  const endpoints = peers.map((peer) => readEndpoint(peer, "peer"));
  const log = createLog(systemClock, (line) => {
    const { event, founder } = JSON.parse(line);
    if (event === "founding-decision") tell({ event: "decided", founder, atMs: nowMs() });
    else if (event === "founding-pledged" || event === "founding-roster-fixed") tell({ event, atMs: nowMs() });
  });
  const keys = await deriveToken(token, CLUSTER_NAME, "the bench");
  const founding = { size: peers.length, policyDigest: new Uint8Array(), tokenKey: keys.spki };
  const none = { clusterId: new Uint8Array(), operatorKeys: [], variants: ["none"], switches: [] };
  const trust = { clusterName: CLUSTER_NAME, ...none, founding };
  const key = await readOrCreateFounderKey(folder, readEndpoint(address, "address"));
  const meeting = await FounderMeeting.create({
    ...{ listen: readEndpoint(listen, "listen"), self: { name, address }, key, trust, token: keys, peers: endpoints },
    ...{ clock: systemClock, log },
  });
  const ceremony = new FoundingCeremony({
    ...{ keys: key.keys, certificatePem: key.certificatePem, keyPem: key.keyPem, folder, size: founding.size },
    trustDigest: await trustDigest(trust),
    seen: () => seenOf(meeting.state, []),
    publish: (state) => publish(meeting, state),
    ready: () => Promise.resolve(true),
    ...{ effects, launcher: binaryLauncher(systemCommands, etcd), clock: systemClock, log, random: Math.random },
  });
  const { signal } = new AbortController();
  const met = meeting.run(signal);
  while (meeting.state.port === undefined) await systemClock.sleep(1, signal);
  tell({ event: "listening", atMs: nowMs() });
  await Promise.race([met, ceremony.run(signal)]);
}

/** Milliseconds since 1970, with fractions. */
function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

if (import.meta.main) await found(v.parse(optionsSchema, JSON.parse(Deno.args[0] ?? "{}")));
