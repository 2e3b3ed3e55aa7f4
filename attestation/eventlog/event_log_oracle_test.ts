import assert from "node:assert/strict";
import { hex } from "../../platform/bytes.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { describeEvent } from "./describe.ts";
import type { BankHash } from "./event_log.ts";
import { readEventLog } from "./event_log.ts";
import { logOracleTest, ORACLE_LOGS } from "./testing/event_logs.ts";
import { replay } from "./replay.ts";

for (const name of ORACLE_LOGS) {
  logOracleTest(`readEventLog() and replay() give the PCRs of ${name}`, async (read) => {
    const log = readEventLog(await read(name));
    const expected: Record<string, Record<string, Record<string, string>>> = JSON.parse(
      new TextDecoder().decode(await read("expected_pcrs.json")),
    );
    const banks = Object.entries(expected[name] ?? {});
    assert.ok(banks.length > 0);
    for (const [bank, pcrs] of banks) {
      const replayed = replay(log, bank.toLowerCase() as BankHash);
      assert.deepEqual(Object.fromEntries([...replayed].map(([pcr, value]) => [String(pcr), hex(value)])), pcrs);
    }
  });
}

logOracleTest("readEventLog() refuses every log that is cut off inside an event", async (read) => {
  for (const name of ORACLE_LOGS) {
    const bytes = await read(name);
    let whole = 0;
    const { events } = readEventLog(bytes);
    for (let length = 0; length < bytes.length; length += length < 4096 ? 1 : 97) {
      const cut = bytes.subarray(0, length);
      try {
        assert.ok(readEventLog(cut).events.length < events.length);
        whole++;
      } catch (error) {
        assert.equal((await errorOf(() => Promise.reject(error))).code, "malformed/event-log");
      }
    }
    assert.ok(whole <= events.length);
    for (const trailing of [[0], [0xff], new Array(8).fill(0xff)]) {
      const longer = Uint8Array.of(...bytes, ...trailing);
      assert.equal((await errorOf(() => readEventLog(longer))).code, "malformed/event-log");
    }
  }
});

logOracleTest(
  "a flipped byte of a log changes a PCR, is refused, or is in data that no digest covers",
  async (read) => {
    const name = "cos-101-amd-sev.bin";
    const bytes = await read(name);
    const before = replayText(bytes);
    const outcomes = { refused: 0, changed: 0, same: 0 };
    for (let index = 0; index < bytes.length; index += index < 1024 ? 1 : 13) {
      const changed = flipped(bytes, index, 1 << index % 8);
      try {
        for (const event of readEventLog(changed).events) describeEvent(event);
        outcomes[replayText(changed) === before ? "same" : "changed"]++;
      } catch (error) {
        assert.equal((await errorOf(() => Promise.reject(error))).code, "malformed/event-log");
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.refused > 100 && outcomes.changed > 200, JSON.stringify(outcomes));
  },
);

function replayText(bytes: Uint8Array): string {
  const log = readEventLog(bytes);
  return log.banks.flatMap((bank) => [...replay(log, bank)].map(([pcr, value]) => `${bank} ${pcr} ${hex(value)}`))
    .join();
}
