/**
 * The front of an InitServer, as a process: what it may do, and what happens when it dies.
 */
import assert from "node:assert/strict";
import { listenBehindFront } from "../../../node/init_front.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { silentLog } from "../../../platform/log.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { repositoryRoot, World } from "../../world.ts";

const PATIENCE_MS = 60_000;
/** A program on the node that serves behind a front, and answers each hello with a proposal. */
const PROGRAM = `${repositoryRoot}/tests/integration/node/_init_front_server.ts`;

Deno.test("the InitServer's front has no right but its sockets, is started again when it dies, and ends with its parent", async () => {
  await using world = await World.create();
  const node = await world.node("cp-1");
  const server = node.start([...DENO_RUN, PROGRAM, node.ip], { log: "server" });
  const said = () => Deno.readTextFile(server.log).catch(() => "");
  const front = async (after = "") => {
    const found = await node.run(["sh", "-c", "pgrep -f '[i]nit-front --listen' || true"]);
    const pids = found.output.trim().split("\n").filter((pid) => pid !== "" && pid !== after);
    return pids.length === 1 ? pids[0] : undefined;
  };
  const everyMs = 100;
  const listening = async () => /"listening":(\d+)/.exec(await said())?.[1];
  const port = await waitUntil({ what: "port", deadlineMs: PATIENCE_MS, everyMs }, listening);
  const first = await waitUntil({ what: "front", deadlineMs: PATIENCE_MS, everyMs }, () => front());

  const proc = async (path: string) => (await node.run(["cat", `/proc/${first}/${path}`])).output;
  const status = new Map((await proc("status")).split("\n").map((line) => line.split(":\t") as [string, string]));
  for (const ids of ["Uid", "Gid"]) assert.doesNotMatch(status.get(ids) ?? "\t0", /(?:^|\s)0(?:\s|$)/);
  assert.equal(status.get("Groups")?.trim(), "");
  assert.equal(status.get("NoNewPrivs"), "1");
  for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    assert.match(status.get(set) ?? "", /^0+$/, set);
  }
  const environment = (await proc("environ")).split("\0").filter((one) => one !== "");
  // A development run needs to know where its code is; the binary needs nothing.
  assert.deepEqual(environment.filter((one) => !one.startsWith("DENO_DIR=")), []);
  const files = (await node.run(["sh", "-c", `ls -l /proc/${first}/fd | sed 's/.*-> //'`])).output;
  assert.doesNotMatch(files, /server|tpm|tsm/);
  const folder = (await node.run(["stat", "-c", "%a %U:%G", "/run/bootstrapper-init"])).output.trim();
  assert.equal(folder, "750 root:bootstrapper-join");

  const answers = async () => {
    const { output } = await node.run([...DENO_RUN, PROGRAM, node.ip, port ?? ""], { log: "caller" });
    return output.includes("answered");
  };
  assert.ok(await answers());
  await node.run(["kill", "-9", first ?? ""]);
  await waitUntil({ what: "another front", deadlineMs: PATIENCE_MS, everyMs }, () => front(first));
  await waitUntil({ what: "an answer", deadlineMs: PATIENCE_MS, everyMs }, answers);
  await server.kill();
  await server.ended;
  const gone = async () => await front() === undefined;
  await waitUntil({ what: "the front's end", deadlineMs: PATIENCE_MS, everyMs }, gone);
});

Deno.test("listenBehindFront() says which users a machine lacks", async () => {
  const folder = await Deno.makeTempDir();
  const parts = {
    ...{ program: { argv: ["/nowhere"], env: {} } as const, listen: { host: "127.0.0.1", port: 0 } },
    ...{ folder: `${folder}/init`, clock: systemClock, log: silentLog },
    commands: systemCommands,
  };
  // The host has no users of the bootstrapper; only the nodes of a world do.
  await assert.rejects(listenBehindFront(parts, () => Promise.resolve()), { code: "precondition/users" });
  await Deno.remove(folder, { recursive: true });
});
