import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { join } from "node:path";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandResult, CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { binaryLauncher, containerLauncher, type EtcdLauncher } from "./etcd_launchers.ts";
import { etcdArguments, EtcdProcess } from "./etcd_process.ts";
import { makePledge } from "./pledge.ts";
import { founderFolder } from "./testing/folder.ts";
import { makeFounder } from "./testing/founder.ts";

async function rosterIn(folder: string, address: string) {
  const { keys, entry } = await makeFounder("n1", address);
  const pledge = await makePledge([entry], { folder, keys, trustDigest: new Uint8Array(32), size: 1 });
  return { ...pledge, digest: pledge.roster };
}

/** A test that waits for ever fails instead. */
function bounded(clock: Clock): Clock {
  let sleeps = 0;
  return {
    ...clock,
    sleep: (ms, signal) => ++sleeps > 20 ? Promise.reject(new Error("20 pauses")) : clock.sleep(ms, signal),
  };
}

/** A launcher that does what the test says, and counts. */
function launcherOf(run: EtcdLauncher["run"], check: EtcdLauncher["check"] = () => Promise.resolve()) {
  const calls: string[] = [];
  const launcher: EtcdLauncher = {
    check: () => (calls.push("check"), check()),
    cleanUp: () => (calls.push("cleanUp"), Promise.resolve()),
    run: (args, options) => (calls.push("run"), run(args, options)),
  };
  return { launcher, calls };
}

/** An address of this machine with a port that was free a moment ago. */
function freeAddress(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${listener.addr.port}`;
}

async function processIn(folder: string, launcher: EtcdLauncher, address = freeAddress()): Promise<EtcdProcess> {
  const { clock } = sleepingClock();
  const roster = await rosterIn(folder, address);
  return new EtcdProcess({ folder, roster, launcher, clock: bounded(clock), log: silentLog, random: () => 0.5 });
}

Deno.test("EtcdProcess.run() syncs `started` before the first start, and never starts again without a log", async () => {
  await using folder = await founderFolder();
  const { launcher, calls } = launcherOf(async () => {
    ok((await Deno.stat(join(folder.path, "started"))).isFile);
    return 1;
  });
  const process = await processIn(folder.path, launcher);
  equal(await process.run(new AbortController().signal), "data-lost");
  deepEqual(calls, ["cleanUp", "check", "run"]);
  equal(process.lastError?.code, "unavailable/founding-etcd");
  equal(await (await processIn2(folder.path, launcher)).run(new AbortController().signal), "data-lost");
  deepEqual(calls.length, 3);
});

/** Another process of the same founder. */
async function processIn2(folder: string, launcher: EtcdLauncher): Promise<EtcdProcess> {
  await Deno.remove(join(folder, "pledge"));
  return await processIn(folder, launcher);
}

Deno.test("EtcdProcess.run() starts etcd again, with pauses, while its log is there", async () => {
  await using folder = await founderFolder();
  const stop = new AbortController();
  let runs = 0;
  const { launcher } = launcherOf(async () => {
    await Deno.mkdir(join(folder.path, "etcd/member/wal"), { recursive: true });
    await Deno.writeTextFile(join(folder.path, "etcd/member/wal/0-0.wal"), "");
    if (++runs === 5) stop.abort(new Error("enough"));
    return 1;
  });
  const process = await processIn(folder.path, launcher);
  await rejects(process.run(stop.signal), /enough/);
  equal(runs, 5);
  equal(process.endpoint, undefined);
});

Deno.test("EtcdProcess.run() writes no `started` while the image is missing or the peer port is taken", async () => {
  await using folder = await founderFolder();
  for (const isTaken of [false, true]) {
    const stop = new AbortController();
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let checks = 0;
    const { launcher } = launcherOf(() => Promise.resolve(1), () => {
      if (++checks === 3) stop.abort(new Error("enough"));
      return isTaken ? Promise.resolve() : Promise.reject(new BootstrapError("unavailable/founding-etcd", "no image"));
    });
    await Deno.remove(join(folder.path, "pledge")).catch(() => {});
    const process = await processIn(folder.path, launcher, isTaken ? `127.0.0.1:${listener.addr.port}` : freeAddress());
    await rejects(process.run(stop.signal), /enough/);
    match(process.lastError?.message ?? "", isTaken ? /another program listens there/ : /no image/);
    await rejects(Deno.stat(join(folder.path, "started")), Deno.errors.NotFound);
  }
});

Deno.test("etcdArguments() are those of founding.md", async () => {
  await using folder = await founderFolder();
  const founders = await Promise.all(["n1", "n2"].map((name, index) => makeFounder(name, `10.0.0.${index + 1}:9444`)));
  const [self] = founders;
  ok(self !== undefined);
  const entries = founders.map(({ entry }) => entry);
  const parts = { folder: folder.path, keys: self.keys, trustDigest: new Uint8Array(32), size: 2 };
  const pledge = await makePledge(entries, parts);
  const roster = { ...pledge, digest: pledge.roster };
  const args = etcdArguments(roster, "/f", 12345, { heartbeatMs: 500, electionMs: 5_000 });
  const cluster = pledge.founders.map(({ name, address }) => `${name}=https://${address}`).join(",");
  for (
    const arg of [
      "--initial-cluster-state=new",
      `--initial-cluster=${cluster}`,
      `--initial-cluster-token=${pledge.roster.toHex()}`,
      "--data-dir=/f/etcd",
      "--listen-peer-urls=https://10.0.0.1:9444",
      "--listen-client-urls=https://127.0.0.1:12345",
      "--client-cert-auth",
      "--peer-client-cert-auth",
      "--trusted-ca-file=/f/trusted.pem",
      "--peer-trusted-ca-file=/f/trusted.pem",
      "--peer-skip-client-san-verification",
      "--heartbeat-interval=500",
      "--election-timeout=5000",
    ]
  ) ok(args.includes(arg), arg);
  const named = { ...roster, self: { ...pledge.self, address: "n1.example:9444" } };
  ok(etcdArguments(named, "/f", 1, { heartbeatMs: 1, electionMs: 1 }).includes("--listen-peer-urls=https://[::]:9444"));
});

/** Commands that answer as the test says. */
function commandsOf(answer: (line: string) => Partial<CommandResult>) {
  const lines: string[] = [];
  const commands: CommandRunner = {
    run(argv) {
      lines.push(argv.join(" "));
      return Promise.resolve({ code: 0, stdout: "", stderr: "", ...answer(argv.join(" ")) });
    },
  };
  return { commands, lines };
}

Deno.test("containerLauncher() runs the image in the machine's network, and leaves no container", async () => {
  const image = "registry.k8s.io/etcd:3.6.8-0";
  const { commands, lines } = commandsOf((line) =>
    line.startsWith("crictl") ? { stdout: JSON.stringify({ images: [{ repoTags: [image] }] }) } : {}
  );
  const launcher = containerLauncher({ commands, image, folder: "/var/lib/bootstrapper/founding" });
  await launcher.check();
  const { signal } = new AbortController();
  equal(await launcher.run(["--name=n1"], { signal, onLine: () => {} }), 0);
  const run = lines.find((line) => line.includes(" run ") && !line.endsWith("--version"));
  equal(
    run,
    "setpriv --pdeathsig KILL -- ctr --namespace k8s.io run --rm --net-host --mount type=bind," +
      "src=/var/lib/bootstrapper/founding,dst=/var/lib/bootstrapper/founding,options=rbind:rw " +
      `${image} bootstrapper-founding-etcd etcd --name=n1`,
  );
  match(lines.at(-1) ?? "", /containers list/);
  const missing = containerLauncher({ commands, image: "registry.k8s.io/etcd:9", folder: "/f" });
  await rejects(missing.check(), { code: "unavailable/founding-etcd" });
});

Deno.test("containerLauncher() and binaryLauncher() say why etcd cannot be started", async () => {
  const { commands } = commandsOf((line) =>
    line.includes("list") ? { stdout: "bootstrapper-founding-etcd\n" } : { code: line.includes("--version") ? 127 : 0 }
  );
  const launcher = containerLauncher({ commands, image: "x", folder: "/f" });
  await rejects(launcher.cleanUp(), { code: "unavailable/founding-etcd" });
  await rejects(binaryLauncher(commands).check(), { code: "unavailable/founding-etcd" });
});
