/** A change of an event log shows, or is in data that no digest covers. */
import assert from "node:assert/strict";
import { hex } from "../../platform/bytes.ts";
import { sliceOfFlips, takeSlice } from "../../tests/full/slice.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { describeEvent } from "./describe.ts";
import { readEventLog } from "./event_log.ts";
import { replay } from "./replay.ts";
import { logOracleTest } from "./testing/event_logs.ts";

const slice = sliceOfFlips();

logOracleTest(
  "a flipped byte of a log changes a PCR, is refused, or is in data that no digest covers",
  async (read) => {
    const name = "cos-101-amd-sev.bin";
    const bytes = await read(name);
    const before = replayText(bytes);
    const outcomes = { refused: 0, changed: 0, same: 0 };
    const indexes = [...bytes.keys()].filter((index) => index < 1024 || (index - 1024) % 13 === 0);
    for (const index of takeSlice(indexes, slice)) {
      const changed = flipped(bytes, index, 1 << index % 8);
      try {
        const { events, behind } = readEventLog(changed);
        for (const event of events) describeEvent(event);
        if (behind !== "") outcomes.refused++;
        else outcomes[replayText(changed) === before ? "same" : "changed"]++;
      } catch (error) {
        assert.equal((await errorOf(() => Promise.reject(error))).code, "malformed/event-log");
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.refused > 100 / slice.of && outcomes.changed > 200 / slice.of, JSON.stringify(outcomes));
  },
);

function replayText(bytes: Uint8Array): string {
  const log = readEventLog(bytes);
  return log.banks.flatMap((bank) => [...replay(log, bank)].map(([pcr, value]) => `${bank} ${pcr} ${hex(value)}`))
    .join();
}
