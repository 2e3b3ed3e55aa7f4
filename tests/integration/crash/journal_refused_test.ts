/** A locked node reports a journal that is torn, foreign or missing, and does not guess how to go on. */
import assert from "node:assert/strict";
import { decodeJournal, encodeJournal } from "../../../journal/_journal_file.ts";
import { utf8 } from "../../../platform/bytes.ts";
import { marksOf } from "./crash_cluster.ts";
import { WorkerLane } from "./crash_lanes.ts";
import { RunWorld } from "../node/run_machine.ts";
import { RunOperator } from "../node/run_operator.ts";

const JOURNAL = "/var/lib/bootstrapper/journal/join";

Deno.test("run refuses an invalid journal, changes nothing, and goes on with the right one", async (t) => {
  await using world = await RunWorld.create();
  using lane = await WorkerLane.create(world, await RunOperator.create(world));
  const life = await lane.life("worker");
  const { machine } = life;
  await life.crash({ step: "kubeadm-join", moment: "before", harm: { kind: "kill" } });
  const marks = await marksOf(machine);
  const right = utf8(await machine.text(JOURNAL));
  const content = await decodeJournal(right, JOURNAL);
  const otherHead = (change: Partial<typeof content.head>) =>
    encodeJournal({ ...content, head: { ...content.head, ...change } });
  const cases: readonly (readonly [what: string, code: string, message: RegExp, bytes: Uint8Array | undefined])[] = [
    ["torn", "malformed/journal", /does not begin and end/, right.subarray(0, right.length - 20)],
    ["empty", "malformed/journal", /does not begin and end/, new Uint8Array()],
    [
      "changed",
      "malformed/journal",
      /checksum/,
      utf8(await machine.text(JOURNAL).then((text) => text.replace("worker", "w0rker"))),
    ],
    [
      "of another version",
      "malformed/journal",
      /version is 2/,
      utf8((await machine.text(JOURNAL)).replace(" 1 ", " 2 ")),
    ],
    ["of another cluster", "precondition/journal", /another cluster/, await otherHead({ clusterId: "00".repeat(32) })],
    ["of another node", "precondition/journal", /another node name/, await otherHead({ nodeName: "other" })],
    ["of another role", "precondition/journal", /another role/, await otherHead({ role: "control-plane" })],
    ["gone", "precondition/journal", /is missing/, undefined],
  ];
  for (const [what, code, message, bytes] of cases) {
    await t.step(what, async () => {
      if (bytes === undefined) await Deno.remove(machine.node.path(JOURNAL));
      else await Deno.writeFile(machine.node.path(JOURNAL), bytes);
      const running = await life.start();
      assert.equal(await running.exitCode(), 1, await running.output());
      const failed = await running.event({ event: "run-failed", code });
      assert.match(String(failed["message"]), message);
      assert.match(
        String(failed["next"]),
        what === "of another version" ? /^Use the newer program/ : /bootstrapper reset/,
      );
      const status = JSON.parse(await machine.text("/var/lib/bootstrapper/status.json"));
      assert.deepEqual([status.phase, status.error.code], ["failed", code]);
      assert.deepEqual(await marksOf(machine), marks);
      assert.equal(await machine.file("/etc/kubernetes/kubelet.conf"), undefined);
      const left = await Deno.readFile(machine.node.path(JOURNAL)).catch(() => undefined);
      assert.deepEqual(left, bytes && new Uint8Array(bytes));
    });
  }
  await t.step("the right one again", async () => {
    await Deno.writeFile(machine.node.path(JOURNAL), right);
    await life.goOn();
    await lane.assertMember(life, marks);
  });
});
