/**
 * *World × moment*, continued: the node's own API server, clocks that jump, and addresses that move, before the lock and
 * after it. kubeadm, etcd and the API server are the real ones. The clock is that of our own process: it jumps by a seam
 * (`CliContext.clock`), so what kubeadm makes has the machine's time.
 */
import assert from "node:assert/strict";
import { waitUntil } from "../../e2e/wait_until.ts";
import { GO_FILE } from "../crash/crash_points.ts";
import { LoadBalancer } from "./_balancer.ts";
import { assertRow, until } from "./_world_table.ts";
import { RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";
import { type BootstrapperProcess, PATIENCE_MS } from "./run_process.ts";

const AHEAD_FILE = "/run/hours-ahead";
const clock = { aheadFile: AHEAD_FILE, rate: 1 };
/** An hour takes a quarter of a minute. */
const fastClock = { ...clock, rate: 240 };

Deno.test("a locked node outlasts its API server, jumps of its clock and another address, and says what it waits for", async (t) => {
  await using world = await RunWorld.create();
  const step = async (title: string, work: () => Promise<void>) => {
    if (!await t.step(title, work)) throw new Error(`Cannot go on after "${title}"; logs are in ${world.world.logs}`);
  };
  const operator = await RunOperator.create(world);
  const balancer = await LoadBalancer.create(await world.world.node("balancer"));
  const first = await world.machine("cp-1", operator.publicKey, { init: true });
  const { ip } = first.node;
  const toApi = `OUTPUT --protocol tcp --destination ${ip} --dport 6443`;

  await first.shell(`echo 3 >${AHEAD_FILE}`);
  let running = first.start(undefined, { clock, heldBefore: "access" });
  await running.event({ event: "init-server-listening" });
  const init = operator.init(first, ["--wait", "10m"]);
  await step("the founder's clock is ahead before the lock: nothing is signed until it is set", async () => {
    const { reason } = await init.event({ event: "reconnecting", code: "precondition/clock-skew" });
    await assertRow(first.node, "clock hours ahead", "init, fresh", String(reason));
    assert.equal(await first.file("/var/lib/bootstrapper/node.lock"), undefined);
    await first.shell(`echo 0 >${AHEAD_FILE}`);
  });

  await step("the founder's own API server says that etcd timed out", async () => {
    await init.event({ event: "progress", phase: "kubeadm-init", state: "done" });
    await balancer.certify(first);
    await balancer.set("errors");
    balancer.start();
    await first.shell(`iptables -t nat -A ${toApi} -j DNAT --to-destination ${balancer.ip}:6443; touch ${GO_FILE}`);
    await assertRow(first.node, "API server answers with 500", "init, locked", await waitLike(init, /etcdserver/));
  });

  await step("the founder's own API server takes 30 s for each answer", async () => {
    await balancer.set(`slow ${ip}`);
    await until("a slow answer", () => balancer.wasSlow());
    await assertRow(first.node, "API server slow (30 s)", "init, locked", await waitLike(init, /no answer within/));
  });

  await step("the founder's own API server is down for an hour", async () => {
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    await first.shell(`iptables -t nat -F; iptables -A ${toApi} -j REJECT --reject-with tcp-reset`);
    running = first.start(undefined, { clock: fastClock });
    await running.event({ event: "still-waiting", hours: 1 });
    const waits = (await running.events()).filter(({ event }) => event === "init-step-not-done");
    assert.ok(waits.length > 5 && waits.every(({ pauseMs }) => Number(pauseMs) <= 12_000), `${waits.length} tries`);
    const heard = await waitLike(init, /Cannot reach [^]* refused/);
    await assertRow(first.node, "API server down for an hour", "init, locked", heard);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
  });

  await step("the founder's clock is ahead after the lock", async () => {
    await first.shell(`iptables -F; echo 3 >${AHEAD_FILE}`);
    running = first.start(undefined, { clock });
    const skews = async () =>
      (await init.events()).filter(({ code }) => code === "precondition/clock-skew").map(({ reason }) =>
        String(reason)
      );
    const before = (await skews()).length;
    await until("another comparison of the clocks", async () => (await skews()).length > before);
    await until("a founder that has done all", async () => {
      const done = { event: "phase-ended", phase: "kubelet", outcome: "succeeded" };
      return (await running.events()).some((one) => Object.entries(done).every(([key, value]) => one[key] === value));
    });
    await assertRow(first.node, "clock hours ahead", "init, locked", (await skews()).at(-1));
    await first.shell(`echo 0 >${AHEAD_FILE}`);
    assert.equal(await init.exitCode(), 0, await init.output());
    assert.equal(await running.exitCode(), 0, await running.output());
  });

  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinAt: ["cp-1"] });
  await worker.shell(`echo -3 >${AHEAD_FILE}`);
  const joining = worker.start(undefined, { clock, heldBefore: "kubeadm-join" });
  await step("the worker's clock is behind before the lock", async () => {
    // The service's certificate is not valid yet. Later in a cluster's life, the service compares the clocks.
    const { message } = await joining.event({ event: "join-endpoint-refused", code: "refused/certificate-validity" });
    await assertRow(worker.node, "clock hours behind", "join, ticket", String(message));
    assert.equal(await worker.file("/var/lib/bootstrapper/node.lock"), undefined);
    await worker.shell(`echo 0 >${AHEAD_FILE}`);
  });

  const moved = worker.node.ip.replace(/\d+$/, "200");
  await step("the worker's clock jumps and its address moves after the lock: it joins all the same", async () => {
    await waitUntil(
      { what: "the lock", deadlineMs: PATIENCE_MS },
      async () => await worker.file("/var/lib/bootstrapper/node.lock") !== undefined || undefined,
    );
    await worker.shell(
      `echo 3 >${AHEAD_FILE}; ip addr del ${worker.node.ip}/24 dev eth0; ip addr add ${moved}/24 dev eth0; ` +
        `ip route replace default dev eth0; touch ${GO_FILE}`,
    );
    assert.equal(await joining.exitCode(), 0, await joining.output());
    await assertRow(worker.node, "clock hours ahead", "join, locked");
    await assertRow(worker.node, "address moved", "join, locked");
    assert.deepEqual(await operator.nodes(), ["node/cp-1", "node/worker-1"]);
  });

  await step("a member's clock jumps back and forth", async () => {
    for (const hours of [-3, 3]) {
      await worker.shell(`echo ${hours} >${AHEAD_FILE}`);
      const again = worker.start(undefined, { clock });
      assert.equal(await again.exitCode(), 0, await again.output());
      await assertRow(worker.node, `clock hours ${hours < 0 ? "behind" : "ahead"}`, "member");
    }
  });
});

/** The reason for another try of the step that gives access, which is awaited. */
async function waitLike(init: BootstrapperProcess, reason: RegExp): Promise<string> {
  return await waitUntil({ what: `another try for ${reason}`, deadlineMs: PATIENCE_MS }, async () => {
    const waits = (await init.events()).filter(({ phase, state }) => phase === "access" && state === "waiting");
    return waits.map(({ detail }) => String(detail)).findLast((detail) => reason.test(detail));
  });
}
