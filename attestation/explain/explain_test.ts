import { PeerError } from "../../protocol/refusal.ts";
import assert from "node:assert/strict";
import { hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { writeLog, type WrittenEvent } from "../eventlog/testing/event_logs.ts";
import { readEventLog } from "../eventlog/event_log.ts";
import { EVENT_TYPE } from "../eventlog/event_types.ts";
import { replay } from "../eventlog/replay.ts";
import { FRESH, NO_IDENTITY } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import { issueEvidenceFile } from "../evidence_file.ts";
import { readPolicy } from "../policy/policy.ts";
import { createSoftwareMachine, filled, type Lies } from "../kinds/tpm/testing/tpm.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { NO_COLLATERAL } from "../collateral.ts";
import { createVerifier } from "../policy/policy_verifier.ts";
import { extendedOnce, fileStatement } from "../../protocol/transcript.ts";
import type { ExplainRequest } from "./explain.ts";
import { explainConnection, explainEvidence } from "./explain.ts";

const machine = await createSoftwareMachine();
const now = () => new Date("2030-01-01");
const zero = new Uint8Array(32);
const D12 = filled(12);
const expectation = { trust: [D12], lock: [FRESH], identity: NO_IDENTITY };
const configured = { 12: await extendedOnce(D12) };
const image = (content: string): WrittenEvent => ({
  pcr: 4,
  type: EVENT_TYPE.bootServicesApplication,
  data: new Uint8Array(32),
  measured: utf8(content),
});
const calling = { pcr: 4, type: EVENT_TYPE.efiAction, data: utf8("Calling EFI Application from Boot Option") };
const kernel = { pcr: 11, type: EVENT_TYPE.ipl, data: utf8(".linux"), measured: utf8(".linux\0") };
const good = writeLog([calling, image("good"), kernel]);
const bad = writeLog([calling, image("bad"), kernel]);

function pcrsOf(log: Uint8Array, more: Readonly<Record<number, Uint8Array>> = {}): Uint8Array[] {
  const replayed = replay(readEventLog(log), "sha256");
  return Array.from({ length: 16 }, (_, pcr) => more[pcr] ?? replayed.get(pcr) ?? zero);
}

async function fileOf(pcrs: readonly Uint8Array[], eventLog?: Uint8Array<ArrayBuffer>): Promise<EvidenceFile> {
  return await issueEvidenceFile([{ issue: (statement) => machine.issue(statement, pcrs) }], eventLog);
}

function policyOf(pcrs: readonly Uint8Array[], identity = machine.identity) {
  const values = [4, 11].map((pcr) => `    "${pcr}": ["${hex(pcrs[pcr] ?? zero)}"]`).join("\n");
  const trust = `  trust: { identities: ["${identity}"] }`;
  return readPolicy(`version: 1\nvariant: tpm\ntpm:\n  ekType: rsa2048\n  pcrs:\n${values}\n${trust}\n`, "p");
}

const policy = policyOf(pcrsOf(good));
const explain = (request: Omit<ExplainRequest, "policy" | "now"> & Partial<ExplainRequest>) =>
  explainEvidence({ policy, now, ...request });

Deno.test("explainEvidence() accepts a good machine, and reports the checks that were not judged", async () => {
  const explanation = await explain({ file: await fileOf(pcrsOf(good), good) });
  assert.deepEqual([explanation.verdict, explanation.refusal, explanation.role], ["accepted", null, "worker"]);
  assert.equal(explanation.claims?.identity, machine.identity);
  const notJudged = explanation.checks.filter(({ verdict }) => verdict === "not judged").map(({ check }) => check);
  assert.deepEqual(notJudged, ["pcr-12", "pcr-15"]);
  assert.deepEqual(explanation.registers, []);
  assert.match(explanation.remarks.join(), /challenge.*--config/);
});

Deno.test("explainEvidence() judges PCR 12 and PCR 15 when an expectation is given", async () => {
  const file = await fileOf(pcrsOf(good, { 12: filled(1) }), good);
  const explanation = await explain({ file, expectation });
  assert.equal(explanation.refusal?.code, "refused/pcr-12");
  assert.deepEqual(explanation.registers.map(({ pcr, log }) => [pcr, log]), [[12, "differs"]]);
});

Deno.test("explainEvidence() shows the events of a refused PCR, and the first that is not in the reference", async () => {
  const file = await fileOf(pcrsOf(bad), bad);
  const explanation = await explain({ file, reference: await fileOf(pcrsOf(good), good) });
  assert.equal(explanation.refusal?.code, "refused/pcr-4");
  const [register, ...more] = explanation.registers;
  assert.ok(register !== undefined && more.length === 0);
  assert.deepEqual([register.pcr, register.log, register.reference, register.events.length], [
    4,
    "replays",
    "replays",
    2,
  ]);
  const { same, here, there } = register.firstDifference ?? {};
  assert.deepEqual([same, here?.number, there?.number], [1, 1, 1]);
  assert.deepEqual([here?.digest, there?.digest], [hex(await sha256(utf8("bad"))), hex(await sha256(utf8("good")))]);
  assert.deepEqual([register.events[0]?.confirmed, here?.confirmed], [true, false]);
});

Deno.test("explainEvidence() reports a log that ends before the other", async () => {
  const shorter = writeLog([calling, kernel]);
  const explanation = await explain({
    file: await fileOf(pcrsOf(shorter), shorter),
    reference: await fileOf(pcrsOf(good), good),
  });
  const difference = explanation.registers[0]?.firstDifference;
  assert.deepEqual([difference?.same, difference?.here, difference?.there?.number], [1, null, 1]);
});

Deno.test("explainEvidence() uses no log that does not replay to the quoted PCR, here or in the reference", async () => {
  const reference = await fileOf(pcrsOf(good), good);
  const lying = await explain({ file: await fileOf(pcrsOf(bad), good), reference });
  assert.deepEqual([lying.registers[0]?.log, lying.registers[0]?.events, lying.registers[0]?.firstDifference], [
    "differs",
    [],
    null,
  ]);
  const lyingReference = await explain({
    file: await fileOf(pcrsOf(bad), bad),
    reference: await fileOf(pcrsOf(good), bad),
  });
  assert.deepEqual([lyingReference.registers[0]?.reference, lyingReference.registers[0]?.firstDifference], [
    "differs",
    null,
  ]);
  const none = await explain({ file: await fileOf(pcrsOf(bad)) });
  assert.equal(none.registers[0]?.log, "absent");
  assert.match(none.remarks.join(), /no event log/);
  const garbage = await explain({ file: await fileOf(pcrsOf(bad), new Uint8Array(9)) });
  assert.match(garbage.remarks.join(), /Cannot read "event log"/);
});

Deno.test("explainEvidence() knows the extensions of PCR 11 by systemd's boot phases after the log", async () => {
  const initrd = await sha256(replay(readEventLog(good), "sha256").get(11) ?? zero, await sha256(utf8("enter-initrd")));
  const left = await sha256(initrd, await sha256(utf8("leave-initrd")));
  const explanation = await explain({ file: await fileOf(pcrsOf(good, { 11: left }), good) });
  const [register] = explanation.registers;
  assert.equal(register?.log, "replays");
  assert.deepEqual(register?.events.map(({ number, type }) => [number, type]), [
    [2, "EV_IPL"],
    [null, "systemd-pcrphase"],
    [null, "systemd-pcrphase"],
  ]);
});

Deno.test("explainEvidence() knows boots that leave out some of systemd's phases, in their order", async () => {
  const after = async (...phases: readonly string[]) => {
    let value: Uint8Array = replay(readEventLog(good), "sha256").get(11) ?? zero;
    for (const phase of phases) value = await sha256(value, await sha256(utf8(phase)));
    const { registers: [register] } = await explain({ file: await fileOf(pcrsOf(good, { 11: value }), good) });
    return [register?.log, register?.events.slice(1).map(({ description }) => /"(.*)"/.exec(description)?.[1]).join()];
  };
  for (const phases of [["sysinit", "ready"], ["ready"], ["enter-initrd", "ready"], ["leave-initrd", "final"]]) {
    assert.deepEqual(await after(...phases), ["replays", phases.join()]);
  }
  assert.deepEqual(await after("ready", "sysinit"), ["differs", ""]);
  assert.deepEqual(await after("sysinit", "sysinit"), ["differs", ""]);
});

Deno.test("explainEvidence() explains what a damaged log replays to, and remarks on the rest", async () => {
  for (const behind of [filled(0), Uint8Array.of(7), filled(0xff), bad.subarray(-20)]) {
    const log = Uint8Array.of(...bad, ...behind);
    const explanation = await explain({ file: await fileOf(pcrsOf(bad), log) });
    assert.deepEqual([explanation.registers[0]?.log, explanation.registers[0]?.events.length], ["replays", 2]);
    assert.match(explanation.remarks.join("; "), new RegExp(`The ${behind.length} bytes behind the 3 events`));
  }
});

Deno.test("explainEvidence() remarks on what it saw of an accepted machine and did not judge", async () => {
  const issue = (statement: Uint8Array) => machine.issue(statement, pcrsOf(good), { certificate: filled(0xff) });
  const explanation = await explain({ file: await issueEvidenceFile([{ issue }], good) });
  assert.equal(explanation.verdict, "accepted");
  assert.match(explanation.remarks.join("; "), /certificate cannot be read: .*by its identity/);
});

Deno.test("explainEvidence() returns the verdict of the services' verifier, whatever byte is flipped", async () => {
  const file = await fileOf(pcrsOf(good, configured), good);
  const [evidence] = file.evidence;
  assert.ok(evidence !== undefined);
  const statement = await fileStatement(file.nonce);
  for (let index = 0; index < evidence.payload.length; index += 7) {
    const changed = { variant: "tpm", payload: flipped(evidence.payload, index) };
    const { code } = await errorOf(() =>
      createVerifier(policy, "node", NO_COLLATERAL, now).verify(changed, statement, expectation)
    );
    const explanation = await explain({ file: { ...file, evidence: [changed] }, expectation });
    assert.deepEqual([explanation.verdict, explanation.refusal?.code], ["refused", code]);
  }
});

Deno.test("explainEvidence() refuses another kind of evidence, another nonce, and another machine", async () => {
  const file = await fileOf(pcrsOf(good), good);
  const codeOf = async (request: Parameters<typeof explain>[0]) => (await explain(request)).refusal?.code;
  assert.equal(await codeOf({ file: { ...file, evidence: [{ variant: "snp", payload: zero }] } }), "refused/variant");
  assert.equal(await codeOf({ file: { ...file, nonce: filled(1) } }), "refused/statement");
  assert.equal(await codeOf({ file, policy: policyOf(pcrsOf(good), "00".repeat(32)) }), "refused/ek-identity");
});

Deno.test("explainConnection() judges and proves everything, and has no log to explain a PCR by", async () => {
  const statement = filled(9);
  const on = (log: Uint8Array, lies: Lies = {}) => {
    const verifier = createVerifier(policy, "init", NO_COLLATERAL, now);
    return explainConnection(policy, verifier, async (judging, report) => {
      const evidence = await machine.issue(statement, pcrsOf(log, configured), lies);
      const { claims } = await judging.verify(evidence, statement, expectation, report);
      report({ check: "activation", passed: true, expected: "", seen: "", message: "" });
      return claims;
    });
  };
  const accepted = await on(good);
  assert.deepEqual([accepted.verdict, accepted.remarks, accepted.role], ["accepted", [], "worker"]);
  assert.deepEqual(accepted.checks.at(-1), {
    ...{ check: "activation", verdict: "passed", expected: "", seen: "", message: "" },
  });
  assert.ok(accepted.checks.every(({ verdict }) => verdict === "passed"));
  const refused = await on(bad);
  assert.deepEqual([refused.refusal?.code, refused.remarks], ["refused/pcr-4", []]);
  assert.deepEqual(refused.registers.map(({ pcr, log, quoted }) => [pcr, log, quoted]), [
    [4, "absent", hex(pcrsOf(bad)[4] ?? zero)],
  ]);
  assert.equal((await on(good, { trailing: zero })).verdict, "refused");
});

Deno.test("explainConnection() returns no verdict when the other side refuses or disconnects", async () => {
  const verifier = createVerifier(policy, "init", NO_COLLATERAL, now);
  const byPeer = new PeerError("refused/pcr-4", "The node refuses");
  for (const error of [byPeer, new BootstrapError("unavailable/connection", "It is gone")]) {
    const explained = explainConnection(policy, verifier, () => Promise.reject(error));
    assert.equal((await errorOf(() => explained)).code, error.code);
  }
  const unreadable = await explainConnection(policy, verifier, async (judging, report) => {
    const evidence = { variant: "tpm+snp", payload: filled(1) };
    return (await judging.verify(evidence, zero, expectation, report)).claims;
  });
  assert.equal(unreadable.refusal?.code, "refused/variant");
});
