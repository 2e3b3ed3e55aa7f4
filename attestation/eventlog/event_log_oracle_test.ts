import assert from "node:assert/strict";
import { hex } from "../../platform/bytes.ts";
import { errorOf } from "../testing/evidence.ts";
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

logOracleTest("readEventLog() reads the events before a cut, and says what is behind the last one", async (read) => {
  for (const name of ORACLE_LOGS) {
    const bytes = await read(name);
    let whole = 0;
    const { events } = readEventLog(bytes);
    const digests = (list: typeof events) => list.map(({ pcr, digests }) => [pcr, ...digests.values()].join()).join();
    for (let length = 0; length < bytes.length; length += length < 4096 ? 1 : 97) {
      const cut = bytes.subarray(0, length);
      try {
        const read = readEventLog(cut);
        assert.ok(read.events.length < events.length);
        if (length % 50 === 0) assert.equal(digests(read.events), digests(events.slice(0, read.events.length)));
        if (read.behind === "") whole++;
        else assert.match(read.behind, /bytes behind the \d+ events of the event log are no event/);
      } catch (error) {
        assert.equal((await errorOf(() => Promise.reject(error))).code, "malformed/event-log");
      }
    }
    assert.ok(whole <= events.length);
    for (const trailing of [[0], [0xff], new Array(8).fill(0xff)]) {
      const longer = readEventLog(Uint8Array.of(...bytes, ...trailing));
      assert.equal(longer.events.length, events.length);
      assert.match(longer.behind, new RegExp(`^the ${trailing.length} bytes behind`));
    }
  }
});
