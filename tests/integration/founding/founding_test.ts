/** Founders with a real etcd, and stand-ins for all else: they become one cluster, whatever is killed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { waitUntil } from "../../e2e/wait_until.ts";
import { type FounderMachine, Founders, SHORT } from "./_founders.ts";

const WAIT_MS = 60_000;
const HELD = { ready: false };

/** Starts all, of which the first is the only one that would found. */
async function startFirst(founders: Founders, more: Parameters<FounderMachine["start"]>[0] = {}): Promise<void> {
  for (const machine of founders.machines) machine.start(machine === founders.at(0) ? more : HELD);
  for (const machine of founders.machines) await machine.event("founding-decision", isOfEpoch(1));
}

function isOfEpoch(epoch: number) {
  return (event: Record<string, unknown>) => event.epoch === epoch;
}

/** Waits until a machine has taken the lock for its own cluster. */
function locked(machine: FounderMachine): Promise<void> {
  return machine.event("founding-lock", ({ owner }) => owner === "init");
}

/** Lets a founder found that was held back. */
async function release(machine: FounderMachine, more: Parameters<FounderMachine["start"]>[0] = {}): Promise<void> {
  await machine.kill();
  machine.start(more);
}

async function servedBy(founders: Founders): Promise<string> {
  const lines = (await founders.history()).filter((line) => line.includes(" serves "));
  return [...new Set(lines.map((line) => line.split(" ")[0]))].join();
}

for (const size of [1, 2, 3, 5]) {
  Deno.test(`${size} founders become one cluster, and leave nothing but who completed it`, async () => {
    await using founders = await Founders.create(size);
    founders.startAll();
    await founders.settled();
    for (const machine of founders.machines) {
      await waitUntil(
        { what: `end of ${machine.name}`, deadlineMs: WAIT_MS },
        async () => await machine.file("end") === "left",
      );
      const left = (await Array.fromAsync(Deno.readDir(join(machine.folder, "founding")))).map(({ name }) => name);
      assert.deepEqual(left, await servedBy(founders) === machine.name ? ["complete"] : []);
    }
  });
}

Deno.test("a founder that is killed before its lock has no keys, and resigns; it may lead again", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { hangs: "stage" });
  await release(founders.at(0));
  await founders.at(1).event("founding-decision", ({ resigned }) => /no longer has the keys/.test(String(resigned)));
  await founders.settled();
  await founders.at(0).event("founding-decision", isOfEpoch(2));
});

Deno.test("a founder that is killed after its lock founds on, in the same epoch", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { hangs: "found" });
  await locked(founders.at(0));
  await founders.at(0).kill();
  assert.equal(founders.at(0).etcd(), undefined);
  founders.at(0).start();
  await founders.settled();
  assert.deepEqual((await founders.at(1).events("founding-decision")).map(({ epoch }) => epoch), [1, 1]);
});

Deno.test("etcd is started again wherever it is killed, and ends with its founder", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { foundMs: 4_000 });
  for (const machine of founders.machines) assert.ok(machine.killEtcd(), machine.name);
  await founders.at(1).event("founding-etcd-ended");
  const pid = await waitUntil({ what: "etcd", deadlineMs: WAIT_MS }, () => Promise.resolve(founders.at(1).etcd()));
  await founders.at(1).kill();
  await waitUntil({ what: "end of etcd", deadlineMs: WAIT_MS }, async () => {
    const status = await Deno.readTextFile(`/proc/${pid}/comm`).catch(() => "");
    return status.trim() !== "etcd";
  });
  founders.at(1).start(HELD);
  await founders.settled();
});

Deno.test("a minority waits and names who is missing; a founder that comes back joins", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { hangs: "found" });
  await locked(founders.at(0));
  const [first, second, third] = [founders.at(0), founders.at(1), founders.at(2)];
  await Promise.all([second.kill(), third.kill()]);
  await release(first);
  await first.event("waiting", ({ line }) => /the founders' etcd.*from n2, n3/.test(String(line)));
  assert.deepEqual(await founders.history(), []);
  second.start(HELD);
  await founders.settled(["member"], [first, second]);
  third.start(HELD);
  await founders.settled();
});

Deno.test("another founder takes over when one is gone for good, and the first one is superseded when it returns", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { hangs: "found" });
  await locked(founders.at(0));
  await founders.at(0).kill();
  await release(founders.at(1));
  await founders.settled(["member"], [founders.at(1), founders.at(2)]);
  assert.equal(await servedBy(founders), "n2");
  founders.at(0).start();
  await founders.settled(["member", "superseded"]);
  assert.equal(await founders.at(0).outcome(), "superseded");
});

Deno.test("a founder whose etcd lost its log never votes again, and joins", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { hangs: "found" });
  await founders.at(2).kill();
  await Deno.remove(join(founders.at(2).folder, "founding/etcd"), { recursive: true });
  founders.at(2).start(HELD);
  await founders.at(2).event("founding-ended", ({ kind }) => kind === "no-founder");
  assert.equal(founders.at(2).etcd(), undefined);
  assert.equal(await founders.at(2).file("founding/key.pem"), undefined);
  await release(founders.at(0));
  await founders.settled();
});

Deno.test("a founder whose preflight fails resigns, says why, and another founds", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { fails: "stage", times: { ...SHORT.times, restMs: 60_000 } });
  await founders.at(1).event("founding-decision", ({ resigned }) => /preflight fails/.test(String(resigned)));
  await release(founders.at(1));
  await founders.settled();
  assert.equal(await servedBy(founders), "n2");
});

for (
  const [what, more, reason] of [
    ["fails", { fails: "found" }, /kubeadm fails/],
    ["hangs", { hangs: "found", times: { ...SHORT.times, foundMs: 1_000 } }, /did not end within 1 s/],
  ] as const
) {
  Deno.test(`a founder whose kubeadm ${what} resigns, ends all that answers, and another founds`, async () => {
    await using founders = await Founders.create(3);
    await startFirst(founders, more);
    await founders.at(1).event("founding-decision", ({ resigned }) => reason.test(String(resigned)));
    await release(founders.at(1));
    await founders.settled(["member", "superseded"]);
    assert.equal(await founders.at(0).outcome(), "superseded");
    assert.equal(await servedBy(founders), "n2");
  });
}

Deno.test("a founder whose JoinClient wins the lock resigns", async () => {
  await using founders = await Founders.create(3);
  await startFirst(founders, { joinWins: `sha256:${"ab".repeat(32)}` });
  await founders.at(1).event("founding-decision", ({ resigned }) => /its JoinClient/.test(String(resigned)));
  await release(founders.at(1));
  await founders.settled(["member"], [founders.at(1), founders.at(2)]);
});
