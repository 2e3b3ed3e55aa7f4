import assert from "node:assert/strict";
import fc from "fast-check";
import { randomBytes, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { EvidenceFile } from "./evidence_file.ts";
import {
  issueEvidenceFile,
  MAXIMUM_EVIDENCE_FILE_BYTES,
  readEvidenceFile,
  writeEvidenceFile,
} from "./evidence_file.ts";
import { errorOf } from "./testing/evidence.ts";
import { fileStatement, joinA1, lockDigest } from "../protocol/transcript.ts";

const file: EvidenceFile = {
  nonce: randomBytes(32),
  evidence: [{ variant: "tpm", payload: randomBytes(300) }, { variant: "snp", payload: randomBytes(40) }],
  eventLog: randomBytes(1000),
};

Deno.test("readEvidenceFile() reads what writeEvidenceFile() writes", () => {
  assert.deepEqual(readEvidenceFile(writeEvidenceFile(file), "f"), file);
  const { nonce, evidence } = file;
  assert.deepEqual(readEvidenceFile(writeEvidenceFile({ nonce, evidence }), "f"), { nonce, evidence });
});

Deno.test("issueEvidenceFile() issues all evidence over the statement of a new nonce each time", async () => {
  const statements: Uint8Array[] = [];
  const issuer = {
    issue: (statement: Uint8Array) => {
      statements.push(statement);
      return Promise.resolve({ variant: "tpm", payload: statement });
    },
  };
  const [one, two] = [await issueEvidenceFile([issuer]), await issueEvidenceFile([issuer])];
  assert.deepEqual(statements, [await fileStatement(one.nonce), await fileStatement(two.nonce)]);
  assert.notDeepEqual(one.nonce, two.nonce);
});

Deno.test("fileStatement() differs from the statements of an exchange, whatever the nonce", async () => {
  const nonce = randomBytes(32);
  const context = { binding: nonce, clientNonce: nonce, serverNonce: nonce, clusterId: nonce };
  const others = [
    await joinA1({ ...context, lists: { foundings: [], successions: [], documents: [] } }),
    await lockDigest(nonce),
    nonce,
  ];
  const statement = (await fileStatement(nonce)).toHex();
  assert.ok(others.every((other) => other.toHex() !== statement));
});

Deno.test("readEvidenceFile() names the wrong field when the document does not have its exact form", async () => {
  const document = JSON.parse(new TextDecoder().decode(writeEvidenceFile(file)));
  const [one] = document.evidence;
  const cases: readonly (readonly [unknown, string])[] = [
    [null, ""],
    [[], ""],
    [{}, "kind"],
    [{ ...document, version: 2 }, "version"],
    [{ ...document, kind: "evidence" }, "kind"],
    [{ ...document, statement: "AAAA" }, "statement"],
    [{ ...document, nonce: "AAAA" }, "nonce"],
    [{ ...document, nonce: undefined }, "nonce"],
    [{ ...document, evidence: [] }, "evidence"],
    [{ ...document, evidence: [one, one] }, "evidence"],
    [{ ...document, evidence: [{ ...one, variant: "../x" }] }, "evidence[0].variant"],
    [{ ...document, evidence: [{ ...one, payload: "not base64" }] }, "evidence[0].payload"],
    [{ ...document, evidence: [{ ...one, payload: "A".repeat(400_000) }] }, "evidence[0].payload"],
    [{ ...document, evidence: [{ ...one, more: 1 }] }, "evidence[0].more"],
    [{ ...document, eventLog: 7 }, "eventLog"],
  ];
  for (const [wrong, field] of cases) {
    const error = await errorOf(() => readEvidenceFile(utf8(JSON.stringify(wrong)), "f"));
    assert.deepEqual([error.code, error.details["field"]], ["malformed/evidence-file", field]);
  }
  for (
    const bytes of [
      new Uint8Array(),
      Uint8Array.of(0xff),
      new Uint8Array(MAXIMUM_EVIDENCE_FILE_BYTES + 1),
      utf8("[".repeat(99999)),
    ]
  ) {
    assert.equal((await errorOf(() => readEvidenceFile(bytes, "f"))).code, "malformed/evidence-file");
  }
});

Deno.test("readEvidenceFile() throws only malformed/evidence-file, wherever the document is cut or changed", () => {
  const bytes = writeEvidenceFile(file);
  const at = fc.nat({ max: bytes.length - 1 });
  const changed = fc.oneof(
    at.map((length) => bytes.slice(0, length)),
    fc.tuple(at, fc.nat({ max: 255 })).map(([index, value]) => bytes.with(index, value)),
    fc.json().map(utf8),
  );
  fc.assert(
    fc.property(changed, (wrong) => {
      try {
        readEvidenceFile(wrong, "f");
      } catch (error) {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/evidence-file", String(error));
      }
    }),
    { numRuns: 300 },
  );
});
