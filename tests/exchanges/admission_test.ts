/**
 * The reasons why a node gets no ticket. Each has its code, is told to the node with advice, and is logged with the
 * node's identity.
 */
import { refusal } from "../../protocol/refusal.ts";
import assert from "node:assert/strict";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import { MemoryApi } from "../../kubernetes/testing/memory_api.ts";
import { AdmissionRecords } from "../../kubernetes/admission_records.ts";
import { checkCanGrow } from "../../kubernetes/etcd_health.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { identityOfKey } from "../../protocol/node_keys.ts";
import { systemClock } from "../../platform/clock.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { clusterNetwork } from "../../service/claims_check.ts";
import { ask, CLUSTER_DOCUMENT, newNode, newNodeKeys, TestCluster } from "./join_world.ts";
import type { ControlPlaneAdmission, JoinExchangeService } from "../../service/exchange_parts.ts";
import type { JoiningNode } from "../../join/exchange_client.ts";
import { notYet, queueFull } from "../../service/_control_plane_refusals.ts";

/** One reason. */
interface Reason {
  readonly code: string;
  readonly retriable: boolean;
  /** What differs at the service. */
  readonly service?: Partial<JoinExchangeService>;
  /** What differs at the node. */
  readonly node?: Partial<JoiningNode>;
  /** The admission that exists before. */
  readonly admitted?: { readonly identity: string; readonly nodeName: string };
  /** The details that the node must be told. */
  readonly details: readonly string[];
}

const keys = await newNodeKeys();
const identity = await identityOfKey(keys.identity.spki);
const other = hex(randomBytes(32));
const asControlPlane = { self: { name: "worker-1", address: "192.0.2.7", role: "control-plane" } } as const;
const tenMinutesAhead = { ...systemClock, now: () => new Date(Date.now() + 600_000) };
const queue = { turns: 1, waiting: [{ identity: identity, nodeName: "worker-1", sinceMs: 0, lastAskedMs: 0 }] };

/** A service that could make control planes, but for `why`. */
function refusing(why: () => void): Partial<JoinExchangeService> {
  const controlPlanes: ControlPlaneAdmission = {
    enter: () => Promise.resolve().then(why),
    release: () => Promise.resolve(),
    seal: () => Promise.reject(new Error("this must not be reached")),
  };
  return { roleOf: () => "control-plane", controlPlanes };
}

/** Admission records in which another machine has the node's address. */
const taken = new AdmissionRecords(new MemoryApi());
await taken.admit({
  ...{
    identity: other,
    nodeName: "worker-2",
    role: "worker",
    nodeKey: "",
    addresses: ["192.0.2.7"],
    evidenceDigest: "",
  },
});
const asWorker = (name: string, address: string) => ({ self: { name, address, role: "worker" } } as const);

const REASONS: Readonly<Record<string, Reason>> = {
  "its clock is far off": {
    ...{ code: "precondition/clock-skew", retriable: true, details: ["expected", "seen"] },
    node: { clock: tenMinutesAhead },
  },
  "its kubelet is newer than the API server": {
    ...{ code: "precondition/version-skew", retriable: false, details: ["expected", "seen"] },
    node: { kubeletVersion: "v1.37.0" },
  },
  "its kubelet is too old": {
    ...{ code: "precondition/version-skew", retriable: false, details: ["expected", "seen"] },
    node: { kubeletVersion: "v1.32.0" },
  },
  "its role is not its own to choose": {
    ...{ code: "refused/role", retriable: false, details: ["expected", "seen"] },
    node: asControlPlane,
  },
  "its evidence is refused": {
    ...{ code: "refused/pcr-4", retriable: false, details: ["check", "expected", "seen"] },
    service: {
      verifier: {
        ...createInsecureVerifier(),
        verify: () => Promise.reject(refusal("pcr-4", "PCR 4 differs", "00", "11", "Look at the image")),
      },
    },
  },
  "the service cannot tell yet which policy is in force": {
    ...{ code: "unavailable/policy", retriable: true, details: [] },
    service: { confirmPolicy: () => Promise.reject(new BootstrapError("unavailable/policy", "It is not known")) },
  },
  "its name is another machine's": {
    ...{ code: "conflict/node-name", retriable: false, details: [] },
    admitted: { identity: other, nodeName: "worker-1" },
  },
  "it has another name already": {
    ...{ code: "conflict/identity", retriable: false, details: [] },
    admitted: { identity: identity, nodeName: "worker-2" },
  },
  "its address is another machine's": {
    ...{ code: "conflict/node-address", retriable: false, details: ["node", "address", "expected", "seen"] },
    service: { admissions: taken },
  },
  "its address is a Service's": {
    ...{ code: "refused/node-address", retriable: false, details: ["expected", "seen"] },
    node: asWorker("worker-1", "10.96.0.1"),
  },
  "its address is a Pod's": {
    ...{ code: "refused/node-address", retriable: false, details: ["expected", "seen"] },
    service: { network: clusterNetwork(["127.0.0.1:6443"], `${CLUSTER_DOCUMENT}podSubnet: 10.244.0.0/16\n`) },
    node: asWorker("worker-1", "10.244.3.1"),
  },
  "its address is the API server's": {
    ...{ code: "refused/node-address", retriable: false, details: ["expected", "seen"] },
    service: { network: { apiHosts: ["192.0.2.7"], serviceSubnets: ["10.96.0.0/12"], podSubnets: [], family: 4 } },
  },
  "its address is of the family that the cluster does not have": {
    ...{ code: "refused/node-address", retriable: false, details: ["expected", "seen"] },
    node: asWorker("worker-1", "2001:db8::7"),
  },
  "its name is the API server's": {
    ...{ code: "refused/node-name", retriable: false, details: ["expected", "seen"] },
    node: asWorker("kubernetes", "192.0.2.7"),
  },
  "an operator is removing it": {
    ...{ code: "unavailable/node-removal", retriable: true, details: [] },
    service: {
      checkNotRemoved: () => Promise.reject(new BootstrapError("unavailable/node-removal", "It is being removed")),
    },
  },
  "another control plane is joining": {
    ...{ code: "unavailable/control-plane-queue", retriable: true },
    details: ["position", "waiting", "retryAfterSeconds"],
    node: asControlPlane,
    service: refusing(() => {
      throw notYet(queue, { identity: identity, nodeName: "worker-1", address: "192.0.2.7" }, undefined);
    }),
  },
  "too many control planes wait": {
    ...{ code: "unavailable/queue-full", retriable: true, details: ["waiting", "retryAfterSeconds"] },
    node: asControlPlane,
    service: refusing(() => {
      throw queueFull(32);
    }),
  },
  "etcd could lose its quorum": {
    ...{ code: "unavailable/etcd-quorum", retriable: true, details: ["voters", "healthy", "needed"] },
    node: asControlPlane,
    service: refusing(() => checkCanGrow({ members: [], healthy: new Set(), leaderless: true })),
  },
};

for (const [why, reason] of Object.entries(REASONS)) {
  Deno.test(`a node gets no ticket when ${why}`, async () => {
    await using cluster = await TestCluster.create(reason.service === undefined ? {} : { service: reason.service });
    if (reason.admitted !== undefined) {
      const record = { role: "worker", nodeKey: "", addresses: [], evidenceDigest: "" } as const;
      await cluster.admissions.admit({ ...record, ...reason.admitted });
    }
    const node = await newNode(cluster.trust, { keys, ...reason.node });
    const error = await ask(cluster.port, node).then(() => assert.fail("it got one"), (error: unknown) => error);
    assert.ok(error instanceof BootstrapError, String(error));
    assert.deepEqual([error.code, error.retriable, error.details["saidBy"]], [reason.code, reason.retriable, "peer"]);
    for (const fact of reason.details) assert.ok(error.details[fact], `${fact} is missing`);
    assert.deepEqual(cluster.signed, []);

    const logged = cluster.events.find(({ event }) => event === "join-refused");
    assert.equal(logged?.["code"], reason.code);
    assert.equal(logged["node"], reason.node?.self?.name ?? "worker-1");
    if (reason.code !== "refused/pcr-4") assert.equal(logged["identity"], identity);
  });
}
