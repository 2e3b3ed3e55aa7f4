import assert from "node:assert/strict";
import { concat, hex, utf8 } from "../../platform/bytes.ts";
import { CC_LOG, readEventLog } from "../eventlog/event_log.ts";
import { EVENT_TYPE } from "../eventlog/event_types.ts";
import { replay } from "../eventlog/replay.ts";
import { CC_BANKS, writeLog } from "../eventlog/testing/event_logs.ts";
import { readEvidenceFile, writeEvidenceFile } from "../evidence_file.ts";
import { KINDS } from "../kinds.ts";
import { encodeTdxPayload } from "../kinds/tdx/payload.ts";
import { createSoftwareIntel } from "../kinds/tdx/testing/intel.ts";
import { createSoftwareMachine, filled } from "../kinds/tpm/testing/tpm.ts";
import { explainRegisters, type ShownMachine } from "./explained_registers.ts";

const intel = createSoftwareIntel();
const failing = (...checks: readonly string[]) =>
  checks.map((check) => ({ check, passed: false, expected: "", seen: "", message: "" }));
const image = (content: string) => ({ pcr: 2, type: EVENT_TYPE.efiAction, data: utf8(content) });
const loaded = { pcr: 3, type: EVENT_TYPE.eventTag, data: concat(new Uint8Array(8), utf8("initrd")) };
/** Firmware of confidential VMs names another register than 0 in the header. */
const logOf = (content: string) =>
  concat(writeLog([image("firmware"), image(content), loaded], CC_BANKS).with(0, 1), new Uint8Array(512));

async function td(log: Uint8Array<ArrayBuffer>, change = 0): Promise<ShownMachine> {
  const values = replay(readEventLog(log, CC_LOG), "sha384");
  const rtmrs = [0, 1, 2, 3].map((index) => values.get(index + 1) ?? new Uint8Array(48));
  const quote = await intel.quote({ rtmrs: change === 0 ? rtmrs : rtmrs.with(1, new Uint8Array(48).fill(change)) });
  const payload = encodeTdxPayload({ quote, collateral: {} });
  return { evidence: [{ variant: "tdx", payload }], ccEventLog: log };
}

Deno.test("explainRegisters() explains the RTMRs of a TD by its own log, and names the first other event", async () => {
  const [machine, reference] = [await td(logOf("other kernel")), await td(logOf("kernel"))];
  const { registers, problems } = await explainRegisters(
    machine,
    reference,
    failing("tdx-rtmr-2", "tdx-rtmr-1"),
    KINDS,
  );
  assert.deepEqual(registers.map(({ name, pcr, log, events }) => [name, pcr, log, events.length]), [
    ["RTMR 2", null, "replays", 1],
    ["RTMR 1", null, "replays", 2],
  ]);
  const [, rtmr1] = registers;
  assert.deepEqual([rtmr1?.firstDifference?.same, rtmr1?.events[1]?.description, rtmr1?.events[1]?.confirmed], [
    1,
    "other kernel",
    true,
  ]);
  assert.equal(rtmr1?.events[1]?.digest.length, 96);
  assert.match(problems.join("; "), /The 512 bytes behind the 3 events/);
});

Deno.test("explainRegisters() uses no log that does not replay to the RTMR, and says where there is none", async () => {
  const wrong = await explainRegisters(await td(logOf("kernel"), 7), undefined, failing("tdx-rtmr-1"), KINDS);
  assert.deepEqual([wrong.registers[0]?.log, wrong.registers[0]?.events], ["differs", []]);
  const { ccEventLog: _log, ...bare } = await td(logOf("kernel"));
  const none = await explainRegisters(bare, undefined, failing("tdx-rtmr-1"), KINDS);
  assert.deepEqual([none.registers[0]?.log, none.problems], ["absent", [
    "The file has no log of the VM's registers (CCEL)",
  ]]);
});

Deno.test("explainRegisters() explains the registers of both kinds of a machine, each by its own log", async () => {
  const { evidence, ccEventLog } = await td(logOf("kernel"));
  const tpm = await createSoftwareMachine();
  const issued = await tpm.issue(filled(1), Array.from({ length: 16 }, () => new Uint8Array(32)));
  const file = { nonce: filled(1), evidence: [issued, ...evidence], ccEventLog: ccEventLog ?? new Uint8Array() };
  const read = readEvidenceFile(writeEvidenceFile(file), "it");
  assert.deepEqual(hex(read.ccEventLog ?? new Uint8Array()), hex(file.ccEventLog));
  const { registers, problems } = await explainRegisters(read, undefined, failing("pcr-4", "tdx-rtmr-1"), KINDS);
  assert.deepEqual(registers.map(({ name, pcr, log }) => [name, pcr, log]), [
    ["PCR 4", 4, "absent"],
    ["RTMR 1", null, "replays"],
  ]);
  assert.match(problems.join("; "), /The file has no event log/);
});
