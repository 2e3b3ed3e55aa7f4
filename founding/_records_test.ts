import { deepEqual, equal, throws } from "node:assert/strict";
import * as fc from "fast-check";
import { utf8 } from "../platform/bytes.ts";
import {
  decodeComplete,
  decodeDecision,
  decodeLeader,
  decodeResigned,
  encodeRecord,
  encodeResigned,
} from "./_records.ts";

const DIGEST = "ab".repeat(32);
const DECISION = { epoch: 1, identity: DIGEST, key: DIGEST, clusterId: `sha256:${DIGEST}` };
const COMPLETE = { epoch: 1, clusterId: `sha256:${DIGEST}`, endpoints: ["n1:6443"] };
const LEADER = { key: DIGEST, instance: "cd".repeat(16) };

Deno.test("records are read as they were written", () => {
  deepEqual(decodeDecision(encodeRecord(DECISION)), DECISION);
  deepEqual(decodeComplete(encodeRecord(COMPLETE)), COMPLETE);
  deepEqual(decodeLeader(encodeRecord(LEADER)), LEADER);
  fc.assert(fc.property(fc.string(), (reason) => equal(decodeResigned(encodeResigned(reason)), reason)));
  equal(decodeResigned(encodeResigned("x".repeat(5_000))).length, 1_000);
});

Deno.test("records of another form are refused, and name the field", () => {
  for (
    const [bytes, message] of [
      [encodeRecord(COMPLETE), /decision/],
      [utf8(JSON.stringify({ ...DECISION, epoch: 0 })), /epoch/],
      [utf8(JSON.stringify({ ...DECISION, clusterId: DIGEST })), /clusterId/],
      [utf8(JSON.stringify({ ...DECISION, more: 1 })), /more/],
      [utf8("{"), /JSON/],
      [new Uint8Array(1 << 15), /larger/],
    ] as const
  ) throws(() => decodeDecision(bytes), { code: "malformed/founding-decision", message });
});

Deno.test("a record with a changed byte is refused, or differs in what it says only", () => {
  const bytes = encodeRecord(DECISION);
  for (let at = 0; at < bytes.length; at++) {
    try {
      const { epoch, clusterId } = decodeDecision(bytes.with(at, (bytes[at] ?? 0) ^ 1));
      equal(Number.isSafeInteger(epoch) && clusterId.length === DECISION.clusterId.length, true);
    } catch (error) {
      equal(Reflect.get(Object(error), "code"), "malformed/founding-decision");
    }
  }
});
