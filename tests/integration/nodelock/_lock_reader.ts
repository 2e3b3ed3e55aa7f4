/**
 * The reader of the contention test. It continuously reads the lock file of each round, starting before the file
 * exists, and the one of the previous round.
 *
 * Arguments: the folder of the rounds, the number of rounds. Prints how often it read and how often it saw a lock. It
 * ends with an error at once if any file is not a complete lock, or if a lock changes.
 *
 * @module
 */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LockFile } from "../../../nodelock/file.ts";
import type { LockRecord } from "../../../nodelock/record.ts";

const DEADLINE_MS = 540_000;

if (import.meta.main) {
  const [root = "", rounds = "0"] = Deno.args;
  const end = performance.now() + DEADLINE_MS;
  let reads = 0;
  let locks = 0;
  const read = async (round: number): Promise<LockRecord | undefined> => {
    if (performance.now() > end) throw new Error(`Round ${round} never ended`);
    const lock = await new LockFile(join(root, String(round))).read();
    reads++;
    if (lock !== undefined) locks++;
    return lock;
  };
  let before: LockRecord | undefined;
  for (let round = 0; round < Number(rounds); round++) {
    let lock: LockRecord | undefined;
    while (lock === undefined) {
      lock = await read(round);
      if (round > 0 && !isDeepStrictEqual(await read(round - 1), before)) {
        throw new Error(`The lock of round ${round - 1} changed`);
      }
    }
    before = lock;
  }
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify({ reads, locks })));
}
