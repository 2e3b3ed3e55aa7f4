/**
 * One process of the contention test. It takes part in every round, in lockstep with the other processes.
 *
 * Arguments: the folder of the rounds, the number of rounds, the number of contenders, this contender's number. Prints
 * one character for each round: `W` if it won, else the number of the contender that holds the lock.
 *
 * @module
 */
import { join } from "node:path";
import { openNodeLock } from "../../../nodelock/lock.ts";
import { systemClock } from "../../../platform/clock.ts";

const BARRIER_DEADLINE_MS = 30_000;
const POLL_MS = 0.05;

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Returns when all contenders have reached this place. It is synchronous, so that nothing happens between it and the
 * lock.
 */
function meet(place: string, contender: number, contenders: number): void {
  Deno.writeTextFileSync(place, String(contender), { append: true });
  const end = performance.now() + BARRIER_DEADLINE_MS;
  while (Deno.statSync(place).size < contenders) {
    if (performance.now() > end) throw new Error(`Contender ${contender} is alone at ${place}`);
    Atomics.wait(pause, 0, 0, POLL_MS);
  }
}

async function contend(folder: string, round: number, contender: number, contenders: number): Promise<string> {
  const meetHere = () => meet(join(folder, "barrier"), contender, contenders);
  // In even rounds all contenders link at the same moment. In odd rounds they start together, so that some find a
  // half-taken lock.
  const meetAtLink = round % 2 === 0;
  if (!meetAtLink) meetHere();
  const nodeLock = await openNodeLock({ folder, clock: systemClock });
  const won = await nodeLock.take({
    owner: contender % 2 === 0 ? "init" : "join",
    clusterId: new Uint8Array(32).fill(contender),
    confirm: () => {
      if (meetAtLink) meetHere();
      return true;
    },
  });
  const state = nodeLock.state();
  if (state.name !== "locked") throw new Error(`Contender ${contender} left round ${round} ${state.name}`);
  return won ? "W" : String(state.lock.clusterId[0]);
}

if (import.meta.main) {
  const [root, ...numbers] = Deno.args;
  const [rounds = 0, contenders = 0, contender = 0] = numbers.map(Number);
  let results = "";
  for (let round = 0; round < rounds; round++) {
    results += await contend(join(root ?? "", String(round)), round, contender, contenders);
  }
  await Deno.stdout.write(new TextEncoder().encode(results));
}
