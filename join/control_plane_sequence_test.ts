import assert from "node:assert/strict";
import { clusterKeyNames } from "../kubernetes/cluster_keys.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { newKit } from "../protocol/testing/kit.ts";
import { TestCluster } from "../tests/exchanges/join_world.ts";
import { TestMachine } from "../tests/exchanges/join_machine.ts";
import type { ControlPlaneMaker } from "./joining.ts";
import { sealKit } from "../protocol/sealed_kit.ts";
import type { Ticket } from "./ticket.ts";

const hasKeyIn = ({ kit }: Ticket) => kit !== undefined && clusterKeyNames().some((name) => !isZero(kit.keys[name]));
const isZero = (bytes: Uint8Array) => bytes.every((byte) => byte === 0);

/**
 * A cluster that makes every node a control plane, and a machine that is to be one. `tickets` are the tickets that the
 * machine was given.
 */
async function world() {
  const { kit, ca } = await newKit();
  const cluster = await TestCluster.create({
    ca,
    service: {
      roleOf: () => "control-plane",
      controlPlanes: {
        enter: () => Promise.resolve(),
        release: () => Promise.resolve(),
        seal: (sealingKey, a2) => sealKit(sealingKey, a2, kit),
      },
    },
  });
  const machine = await TestMachine.create("control-plane");
  const tickets: Ticket[] = [];
  const note = (ticket: Ticket) => {
    assert.ok(hasKeyIn(ticket));
    tickets.push(ticket);
  };
  const controlPlane: ControlPlaneMaker = {
    preflight: (ticket) => Promise.resolve(note(ticket)).then(() => []),
    hasKeys: () => Promise.resolve(machine.calls.includes("keys")),
    installKeys: (ticket) => {
      machine.calls.push("keys");
      return Promise.resolve(note(ticket));
    },
    isVoter: () => Promise.resolve(false),
    resume: () => Promise.resolve(void machine.calls.push("resume")),
    run: (phase) => Promise.resolve(void machine.calls.push(`kubeadm ${phase}`)),
    keepCutList: (work) => work(),
    startJoinService: () => Promise.resolve(),
  };
  return { cluster, machine, tickets, controlPlane, clock: { ...systemClock, sleep: () => Promise.resolve() } };
}

Deno.test("CONTROL_PLANE_SEQUENCE enables and restarts the kubelet before it asks for the ticket that kubeadm needs", async () => {
  const { cluster, machine, controlPlane, clock } = await world();
  await using _ = cluster;
  await using node = machine;
  let fails = true;
  const run: ControlPlaneMaker["run"] = (phase, ...rest) => {
    if (phase !== "etcd" || !fails) return controlPlane.run(phase, ...rest);
    fails = false;
    throw new BootstrapError("system/kubeadm", "the power goes");
  };
  await node.run(cluster.trust, [cluster.port], { clock, controlPlane: { ...controlPlane, run } });
  // The second run is that of a node whose etcd member may already vote.
  const again = node.calls.lastIndexOf("(kubeadm-prepare)");
  assert.ok(again > node.calls.indexOf("(kubeadm-etcd)"));
  assert.deepEqual(node.calls.slice(again, again + 6), [
    ...["(kubeadm-prepare)", "enable", "resume", "(join-ticket)", "certificates", "kubeadm prepare"],
  ]);
});

for (const isVoter of [false, true]) {
  const what = isVoter
    ? "asks for no ticket where this node votes"
    : "asks for a ticket before it changes etcd's members";
  Deno.test(`CONTROL_PLANE_SEQUENCE ${what}, when the kubelet has joined`, async () => {
    const { cluster, machine, controlPlane, clock } = await world();
    await using _ = cluster;
    await using node = machine;
    const run: ControlPlaneMaker["run"] = (phase, ...rest) => {
      if (phase !== "etcd" || node.joined) return controlPlane.run(phase, ...rest);
      node.joined = true;
      throw new BootstrapError("system/kubeadm", "the power goes");
    };
    const maker = { ...controlPlane, run, isVoter: () => Promise.resolve(isVoter) };
    await node.run(cluster.trust, [cluster.port], { clock, controlPlane: maker });
    assert.deepEqual(
      node.calls.slice(node.calls.lastIndexOf("(kubeadm-etcd)")).slice(0, 4),
      [
        "(kubeadm-etcd)",
        ...(isVoter ? [] : ["(join-ticket)", "certificates"]),
        ...["kubeadm etcd", "(kubeadm-finish)", "registered", "kubeadm finish"],
      ].slice(0, 4),
    );
  });
}

Deno.test("CONTROL_PLANE_SEQUENCE changes no member of etcd when the node is refused a ticket", async () => {
  const { cluster, machine, controlPlane, clock } = await world();
  await using _ = cluster;
  await using node = machine;
  let refused = 0;
  const run: ControlPlaneMaker["run"] = (phase, ...rest) => {
    if (phase !== "etcd") return controlPlane.run(phase, ...rest);
    assert.equal(node.joined, false, "it changed etcd's members");
    node.joined = true;
    // The node was removed while it was away, and its name was given to another machine.
    const [record] = cluster.admissions.records;
    assert.ok(record !== undefined);
    cluster.admissions.records.splice(0, 1, { ...record, identity: "99".repeat(32) });
    throw new BootstrapError("system/kubeadm", "the power goes");
  };
  const onEndpointFailure = () => {
    if (++refused === 2) node.stop.abort();
  };
  const asked = node.run(cluster.trust, [cluster.port], { clock, controlPlane: { ...controlPlane, run } }, {
    onEndpointFailure,
  });
  await assert.rejects(asked, { code: "aborted/join" });
  assert.equal(cluster.refusals.at(-1), "conflict/node-name");
});

Deno.test("CONTROL_PLANE_SEQUENCE keeps the cut list from before etcd joins until the join service starts, while it waits too", async () => {
  const { cluster, machine, controlPlane } = await world();
  await using _ = cluster;
  await using node = machine;
  const keepCutList: ControlPlaneMaker["keepCutList"] = async (work) => {
    node.calls.push("kept from here");
    await work();
    node.calls.push("kept to here");
  };
  const startJoinService = () => Promise.resolve(void node.calls.push("join-service"));
  const run: ControlPlaneMaker["run"] = (phase) => Promise.resolve(void node.calls.push(`kubeadm ${phase}`));
  const maker = { ...controlPlane, run, keepCutList, startJoinService };
  await node.run(cluster.trust, [cluster.port], { controlPlane: maker });
  const steps = node.calls.slice(node.calls.indexOf("(kubeadm-etcd)")).filter((call) =>
    !/ticket|certificates/.test(call)
  );
  assert.deepEqual(steps.slice(0, 10), [
    ...["(kubeadm-etcd)", "kept from here", "kubeadm etcd", "kept to here"],
    ...["(kubeadm-finish)", "kept from here", "registered", "kubeadm finish", "kept to here", "(join-service)"],
  ]);
});

Deno.test("CONTROL_PLANE_SEQUENCE keeps no cluster key in memory once the keys are on disk", async () => {
  const { cluster, machine, tickets, controlPlane } = await world();
  await using _ = cluster;
  await using node = machine;
  const run: ControlPlaneMaker["run"] = (phase, ...rest) => {
    assert.deepEqual(tickets.filter(hasKeyIn), [], phase);
    return controlPlane.run(phase, ...rest);
  };
  assert.equal(await node.run(cluster.trust, [cluster.port], { controlPlane: { ...controlPlane, run } }), "joined");
  assert.equal(tickets.length, 2);
});

Deno.test("runJoinClient() wipes the cluster's keys of a ticket that it drops", async (t) => {
  const dropped = new BootstrapError("system/kubeadm", "kubeadm failed");
  await t.step("the checks before the lock fail", async () => {
    const { cluster, machine, tickets, controlPlane, clock } = await world();
    await using _ = cluster;
    await using node = machine;
    const preflight: ControlPlaneMaker["preflight"] = async (ticket, signal) => {
      assert.deepEqual(tickets.filter(hasKeyIn), []);
      // Before it asks for another ticket, the node checks itself by what the wiped one says.
      if (tickets.some((one) => one === ticket)) return [];
      await controlPlane.preflight(ticket, signal);
      if (tickets.length === 1) throw dropped;
      return [];
    };
    await node.run(cluster.trust, [cluster.port], { clock, controlPlane: { ...controlPlane, preflight } });
    assert.deepEqual(tickets.filter(hasKeyIn), []);
  });
  await t.step("the keys cannot be installed", async () => {
    const { cluster, machine, tickets, controlPlane, clock } = await world();
    await using _ = cluster;
    await using node = machine;
    let fails = true;
    const installKeys: ControlPlaneMaker["installKeys"] = async (ticket) => {
      if (!fails) return await controlPlane.installKeys(ticket);
      fails = false;
      throw dropped;
    };
    await node.run(cluster.trust, [cluster.port], { clock, controlPlane: { ...controlPlane, installKeys } });
    assert.deepEqual(tickets.filter(hasKeyIn), []);
  });
  await t.step("the node goes to the InitServer", async () => {
    const { cluster, machine, tickets, controlPlane } = await world();
    await using _ = cluster;
    await using node = machine;
    node.aroundStep = async (name, work) => {
      if (name === "join-lock") await node.lock.take({ owner: "init", clusterId: new Uint8Array(32).fill(7) });
      return await work();
    };
    assert.equal(await node.run(cluster.trust, [cluster.port], { controlPlane }), "lost");
    assert.equal(tickets.length, 1);
    assert.deepEqual(tickets.filter(hasKeyIn), []);
  });
});
