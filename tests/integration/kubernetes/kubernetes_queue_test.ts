import assert from "node:assert/strict";
import * as v from "valibot";
import { ControlPlaneQueue, type QueuedNode } from "../../../service/control_plane_queue.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import type { EtcdMember } from "../../../kubernetes/etcd_health.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { TestCluster } from "./cluster.ts";

const SERVICES = 4;
const NODES = 24;
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/bootstrapper-system/leases/control-plane-join";

const nodes: readonly QueuedNode[] = Array.from({ length: NODES }, (_, index) => ({
  identity: index.toString(16).padStart(64, "a"),
  nodeName: `cp-${index + 2}`,
  address: `192.0.2.${index + 2}`,
}));
const [first = assert.fail(), second = assert.fail()] = nodes;

const lease = v.object({
  spec: v.object({
    holderIdentity: v.optional(v.string()),
    leaseDurationSeconds: v.optional(v.number()),
    acquireTime: v.optional(v.string()),
    renewTime: v.optional(v.string()),
    leaseTransitions: v.number(),
  }),
});

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

function voter(name: string, id: string, address: string): EtcdMember {
  const urls = { peerUrls: [`https://${address}:2380`], clientUrls: [`https://${address}:2379`] };
  return { id, name, isLearner: false, ...urls };
}

Deno.test("the queue of control planes, of several join services against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  const founder = voter("cp-1", "1", cluster.controlPlane.ip);
  let members: readonly EtcdMember[] = [founder];
  let time = 0;
  const clock = { ...systemClock, monotonicMs: () => performance.now() + time };
  const apis: KubernetesApi[] = [];
  await using stack = new AsyncDisposableStack();
  const service = async (): Promise<ControlPlaneQueue> => {
    const api = stack.use(new KubernetesApi(await cluster.joinService()));
    apis.push(api);
    return new ControlPlaneQueue({
      api,
      clock,
      etcd: () => Promise.resolve({ members, healthy: new Set(members.map(({ id }) => id)), leaderless: false }),
      removeMember: (id) => Promise.resolve(members = members.filter((member) => member.id !== id)),
      records: new AdmissionRecords(api),
    });
  };
  const services: ControlPlaneQueue[] = [];
  for (let count = 0; count < SERVICES; count++) services.push(await service());
  const [one = assert.fail(), two = assert.fail()] = services;
  /** All ask at once, each at a different service. Returns the node that holds the slot. */
  const askAll = async (asking: readonly QueuedNode[]) => {
    const outcomes = await Promise.allSettled(asking.map((node, index) => services[index % SERVICES]?.enter(node)));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const { reason } = outcome;
      const isWaiting = codeIs("unavailable/control-plane-queue")(reason);
      assert.ok(isWaiting || codeIs("unavailable/control-plane-queue-changed")(reason), String(reason));
    }
    return asking.filter((_, index) => outcomes[index]?.status === "fulfilled");
  };

  await t.step(
    "enter() takes the slot in a Lease as Kubernetes writes them, with the join service's own rights",
    async () => {
      await one.enter(first);
      const { spec } = await cluster.admin.get(LEASE, lease);
      assert.equal(spec.holderIdentity, first.identity);
      assert.equal(spec.leaseDurationSeconds, 1800);
      assert.match(spec.acquireTime ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      assert.equal(spec.renewTime, spec.acquireTime);
      assert.equal(spec.leaseTransitions, 1);
    },
  );

  await t.step("enter() tells another node its place at any service, and lets the holder through", async () => {
    await assert.rejects(two.enter(second), codeIs("unavailable/control-plane-queue"));
    await services[2]?.enter(first);
    assert.equal((await cluster.admin.get(LEASE, lease)).spec.leaseTransitions, 1);
  });

  await t.step("release() frees the slot, and the next one takes it", async () => {
    assert.equal(await two.release(first.identity), true);
    assert.equal((await cluster.admin.get(LEASE, lease)).spec.holderIdentity, undefined);
    await one.enter(second);
    assert.equal(await two.release(second.identity), true);
  });

  await t.step(
    "when many nodes ask many services at once, each gets its turn when the previous one votes in etcd",
    async () => {
      const waiting = new Set(nodes);
      while (waiting.size > 0) {
        const holders = await askAll([...waiting]);
        assert.ok(holders.length <= 1, `${holders.map(({ nodeName }) => nodeName)} have the slot`);
        for (const { nodeName, identity, address } of holders) {
          assert.equal((await cluster.admin.get(LEASE, lease)).spec.holderIdentity, identity);
          waiting.delete(nodes.find((node) => node.identity === identity) ?? assert.fail());
          members = [...members, voter(nodeName, identity.slice(-16), address)];
          const freed = await Promise.all(services.map((service) => service.releaseIfPromoted()));
          assert.equal(freed.filter(Boolean).length, 1);
        }
      }
      assert.equal(members.length, NODES + 1);
    },
  );

  await t.step(
    "when many services find a dead holder's time expired, one of them cleans up and starts the next join",
    async () => {
      members = [founder];
      await one.enter(first);
      members = [founder, { ...voter("", "2", first.address), isLearner: true }];
      for (const service of services) {
        await assert.rejects(service.enter(second), codeIs("unavailable/control-plane-queue"));
      }
      time = 1_800_000;
      const outcomes = await Promise.allSettled(services.map((service) => service.enter(second)));
      assert.ok(outcomes.some(({ status }) => status === "fulfilled"), JSON.stringify(outcomes));
      assert.deepEqual(members, [founder]);
      assert.equal((await cluster.admin.get(LEASE, lease)).spec.holderIdentity, second.identity);
      await assert.rejects(one.enter(first), codeIs("unavailable/control-plane-queue"));
    },
  );

  await t.step("the join service cannot touch any other Lease", async () => {
    const [api = assert.fail()] = apis;
    const other = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    await assert.rejects(api.get(`${other}/kube-scheduler`, v.unknown()), codeIs("unauthorized/kubernetes-api"));
    await assert.rejects(api.get(other, v.unknown()), codeIs("unauthorized/kubernetes-api"));
  });
});
