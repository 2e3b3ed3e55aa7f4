/**
 * *World × moment* of a fresh machine: what is found out before the lock. The machine stays fresh, and the same call works
 * when it is mended. What the operator hears, what `status` says, and how it ends is in `docs/troubles.md`. kubeadm and
 * containerd are the real ones.
 */
import assert from "node:assert/strict";
import { proxied, settle } from "./_surroundings.ts";
import { assertRow, statusOf } from "./_world_table.ts";
import { type RunMachine, RunWorld } from "./run_machine.ts";
import { RunOperator } from "./run_operator.ts";

const LOCK = "/var/lib/bootstrapper/node.lock";
/** Nothing listens there: the discard port of the machine itself. */
const NO_SERVICE = "127.0.0.1:9";
const SWAP_ON = "printf 'Filename Type Size Used Priority\\n/swap.img file 4194300 0 -2\\n' >/run/swaps; " +
  "mount --bind /run/swaps /proc/swaps";
const SWAP_OFF = "umount /proc/swaps";
const OTHER_PAUSE = "mkdir -p /etc/containerd; mount -t tmpfs none /etc/containerd; " +
  "printf \"version = 3\\n[plugins.'io.containerd.cri.v1.images'.pinned_images]\\nsandbox = 'example.internal/pause:1'\\n\" " +
  ">/etc/containerd/config.toml";
/** Takes a port. */
const take = (port: number) =>
  `setsid python3 -m http.server ${port} >/dev/null 2>&1 & echo $! >/run/taken; ` +
  `until (exec 3<>/dev/tcp/127.0.0.1/${port}) 2>/dev/null; do sleep 0.1; done`;
const GIVE_BACK = "kill $(cat /run/taken)";
/** Puts a small file system over `/var/lib`, with the node's own folders in it. */
const SMALL_DISK =
  "for one in bootstrapper kubelet etcd; do mkdir -p /run/kept/$one; mount --bind /var/lib/$one /run/kept/$one; done; " +
  "mount -t tmpfs -o size=64m small /var/lib; " +
  "for one in bootstrapper kubelet etcd; do mkdir /var/lib/$one; mount --bind /run/kept/$one /var/lib/$one; done";
const LARGE_DISK =
  "for one in bootstrapper kubelet etcd; do umount /var/lib/$one /run/kept/$one; done; umount /var/lib";

/** A thing that is wrong with a machine, and how it is mended: shell scripts. */
interface Trouble {
  readonly world: string;
  readonly heard: RegExp;
  readonly spoil: string;
  readonly mend: string;
}

const OF_A_FOUNDER: readonly Trouble[] = [
  { world: "swap is on", heard: /swap is on \(\/swap\.img\)/, spoil: SWAP_ON, mend: SWAP_OFF },
  {
    ...{ world: "another pause image", spoil: OTHER_PAUSE, mend: "umount /etc/containerd" },
    heard: /containerd starts each Pod with the image example\.internal\/pause:1/,
  },
  {
    ...{ world: "port 6443 taken", spoil: take(6443), mend: GIVE_BACK },
    heard: /port 6443 is in use by another program/,
  },
  {
    ...{ world: "disk full", spoil: SMALL_DISK, mend: LARGE_DISK },
    heard: /\/var\/lib has \d+ MiB free, and 2048 MiB are needed/,
  },
];

const OF_A_WORKER: readonly Trouble[] = [
  { world: "swap is on", heard: /swap is on \(\/swap\.img\)/, spoil: SWAP_ON, mend: SWAP_OFF },
  {
    ...{ world: "another pause image", spoil: OTHER_PAUSE, mend: "umount /etc/containerd" },
    heard: /containerd starts each Pod with the image example\.internal\/pause:1/,
  },
  {
    ...{ world: "port 10250 taken", spoil: take(10250), mend: GIVE_BACK },
    heard: /port 10250 is in use by another program/,
  },
];

/** What makes the name or the addresses of a machine such that `run` ends, and is started again. */
const OF_NAME_AND_ADDRESSES: readonly (Omit<Trouble, "heard"> & { readonly code: string })[] = [
  {
    ...{ world: "host name localhost", code: "unavailable/host-name" },
    ...{ spoil: "hostname localhost", mend: "hostname cp-1" },
  },
  {
    ...{ world: "two addresses, as good as each other", code: "unavailable/address" },
    ...{ spoil: "ip addr add 10.99.0.7/24 dev eth0", mend: "ip addr del 10.99.0.7/24 dev eth0" },
  },
  {
    ...{ world: "no address yet", code: "unavailable/address" },
    ...{ spoil: "ip addr show dev eth0 | awk '/inet /{print $2}' >/run/own; ip addr flush dev eth0" },
    mend: "ip addr add $(cat /run/own) dev eth0",
  },
];

/** Runs a script of bash, which must succeed. */
async function bash({ node }: RunMachine, script: string): Promise<void> {
  const { code, output } = await node.run(["bash", "-euc", script]);
  assert.equal(code, 0, output);
}

Deno.test("what is wrong with a fresh machine is said before its lock, and the machine stays fresh", async (t) => {
  await using world = await RunWorld.create();
  const operator = await RunOperator.create(world);
  await settle(operator);
  const first = await world.machine("cp-1", operator.publicKey, { init: true });
  const step = (title: string, work: () => Promise<void>) => t.step(title, work);
  const { ip } = first.node;

  /** Runs an init that is refused, and returns what it printed. */
  const refusedInit = async (name: string) => {
    const running = proxied(() => first.start());
    await running.event({ event: "init-server-listening" });
    const init = proxied(() => operator.anew(name.replaceAll(/\W+/g, "-")).init(first));
    assert.equal(await init.exitCode(), 1, await init.output());
    assert.equal(await first.file(LOCK), undefined);
    return { running, output: await init.output() };
  };
  const heardIn = (output: string, heard: RegExp) => heard.exec(output)?.[0] ?? `not ${heard} but ${output}`;

  for (const { world, heard, spoil, mend } of OF_A_FOUNDER) {
    await step(`a founder: ${world}`, async () => {
      await bash(first, spoil);
      const { running, output } = await refusedInit(world);
      await assertRow(first.node, world, "init, fresh", heardIn(output, heard));
      assert.equal(await running.kill("SIGTERM"), 0, await running.output());
      await bash(first, mend);
    });
  }

  await step("a founder: node in the Services' network", async () => {
    await settle(operator, { serviceSubnet: `${ip.replace(/\d+\.\d+$/, "0.0")}/16` });
    const { running, output } = await refusedInit("services");
    const heard = heardIn(output, /the node's address \S+ is in serviceSubnet \S+, the network of the Services/);
    await assertRow(first.node, "node in the Services' network", "init, fresh", heard);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    await settle(operator);
  });

  await step("a founder whose default route leads through NAT", async () => {
    await bash(
      first,
      `ip link add nat0 type veth peer name nat1; ip link set nat0 up; ip link set nat1 up; ip addr add 10.0.2.15/24 dev nat0; ` +
        `ip route replace default via 10.0.2.2 dev nat0; ${SWAP_ON}`,
    );
    const { running, output } = await refusedInit("nat");
    const heard = heardIn(output, /[^"]*10\.0\.2\.15[^"]*/);
    await assertRow(first.node, "default route through NAT", "init, fresh", heard);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    await bash(first, `${SWAP_OFF}; ip link del nat0; ip route replace default via ${ip.replace(/\d+$/, "1")}`);
  });

  await step("an InitServer whose port is taken", async () => {
    await bash(first, take(9443));
    const running = first.start();
    assert.equal(await running.exitCode(), 1, await running.output());
    const { message } = await running.event({ event: "run-failed" });
    await assertRow(first.node, "port 9443 taken", "fresh", String(message));
    await bash(first, GIVE_BACK);
  });

  for (const { world, code, spoil, mend } of OF_NAME_AND_ADDRESSES) {
    await step(`a machine with ${world}`, async () => {
      await bash(first, spoil);
      const running = first.start();
      assert.equal(await running.exitCode(), 4, await running.output());
      const { message } = await running.event({ event: "run-failed", code });
      await assertRow(first.node, world, "fresh", String(message));
      await bash(first, mend);
    });
  }

  await step("a virtual address, and a host name with a domain, are the machine's own business", async () => {
    await bash(
      first,
      "ip addr add 10.99.0.100/32 dev eth0; hostname cp-1.example.internal; " +
        `ip route replace default via ${ip.replace(/\d+$/, "1")}`,
    );
    const running = first.start();
    await running.event({ event: "init-server-listening" });
    await assertRow(first.node, "virtual address", "fresh");
    await assertRow(first.node, "host name with a domain", "fresh");
    const { nodeName, address } = await statusOf(first.node);
    assert.deepEqual([nodeName, address], ["cp-1.example.internal", ip]);
    assert.equal(await running.kill("SIGTERM"), 0, await running.output());
  });

  const worker = await world.machine("worker-1", operator.publicKey, { init: false, joinEndpoints: [NO_SERVICE] });
  for (const { world, heard, spoil, mend } of OF_A_WORKER) {
    await step(`a worker: ${world}`, async () => {
      await bash(worker, spoil);
      const running = worker.start();
      const { message } = await running.event({ event: "join-not-prepared" });
      await assertRow(worker.node, world, "join, fresh", heardIn(String(message), heard));
      assert.equal(await worker.file(LOCK), undefined);
      await bash(worker, mend);
      await running.event({ event: "join-endpoint-unreachable" });
      assert.equal(await running.kill("SIGTERM"), 0, await running.output());
    });
  }
});
