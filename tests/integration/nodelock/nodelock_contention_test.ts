import { deepEqual, equal, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { exists } from "../../../platform/files.ts";
import { LockFile } from "../../../nodelock/file.ts";

const ROUNDS = 10_000;
const CONTENDERS = 4;

/** Runs a program of this folder to its end. */
async function run(program: string, args: readonly (string | number)[], signal: AbortSignal): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // All permissions, as Deno requires them for any path below /dev.
    args: ["run", "--allow-all", fileURLToPath(import.meta.resolve(program)), ...args.map(String)],
    signal,
  }).output();
  const decoder = new TextDecoder();
  equal(code, 0, `${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

Deno.test(`NodeLock.take() returns true to exactly one when ${CONTENDERS} processes contend ${ROUNDS} times`, async () => {
  // In memory if there is such a folder: the test is about the order of events, and syncing to a disk takes long.
  const parent = await exists("/dev/shm") ? "/dev/shm" : undefined;
  const root = await Deno.makeTempDir({ prefix: "nodelock-", ...(parent === undefined ? {} : { dir: parent }) });
  const stop = new AbortController();
  const running: Promise<string>[] = [];
  try {
    for (let round = 0; round < ROUNDS; round++) await Deno.mkdir(join(root, String(round)));
    const contenders = Array.from(
      { length: CONTENDERS },
      (_, contender) => run("./_contender.ts", [root, ROUNDS, CONTENDERS, contender], stop.signal),
    );
    const reader = run("./_lock_reader.ts", [root, ROUNDS], stop.signal);
    running.push(reader, ...contenders);
    const [seen, ...results] = await Promise.all([reader, ...contenders]);

    const winners = new Set<number>();
    for (let round = 0; round < ROUNDS; round++) {
      const inRound = results.map((result) => result.charAt(round));
      const winner = inRound.indexOf("W");
      const expected = inRound.map((_, contender) => contender === winner ? "W" : String(winner));
      deepEqual(inRound, expected, `round ${round}`);
      const lock = await new LockFile(join(root, String(round))).read();
      deepEqual(lock?.clusterId, new Uint8Array(32).fill(winner), `round ${round}`);
      winners.add(winner);
    }
    equal(winners.size, CONTENDERS, "every contender wins some rounds, or they do not contend");
    const { reads, locks } = JSON.parse(seen) as { readonly reads: number; readonly locks: number };
    ok(reads - locks > ROUNDS / 2, `the reader reads before there is a lock, but saw ${locks} locks in ${reads} reads`);
  } finally {
    stop.abort();
    await Promise.allSettled(running);
    await Deno.remove(root, { recursive: true });
  }
});
