import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, fromUtf8, utf8 } from "../../../platform/bytes.ts";
import { readPemChain } from "./_pem_chain.ts";
import { collateralName, completeCollateral } from "./collateral.ts";
import { readQeIdentity } from "./qe_identity.ts";
import { readTcbInfo } from "./tcb_info.ts";
import { worstOf } from "./tcb_status.ts";
import { errorOf } from "../../testing/evidence.ts";
import { createSoftwareIntel, isvLevel, moduleIdentity, platformLevel } from "./testing/intel.ts";

const intel = createSoftwareIntel();
const right = intel.collateral();
const level = platformLevel("UpToDate", 11, [5, 0, 2]);

Deno.test("readTcbInfo() and readQeIdentity() read Intel's documents, with a line feed at the end or without", () => {
  const { tcbInfo } = readTcbInfo(right.tcbInfo);
  assert.equal(tcbInfo.fmspc, "b0c06f000000");
  assert.deepEqual(tcbInfo.levels.map(({ status, pceSvn }) => [status, pceSvn]), [["UpToDate", 11], ["OutOfDate", 5]]);
  assert.deepEqual(tcbInfo.modules.map(({ id, levels }) => [id, levels.map(({ isvSvn }) => isvSvn)]), [["TDX_01", [
    4,
    2,
  ]]]);
  const { qeIdentity } = readQeIdentity(concat(right.qeIdentity, utf8("\n")));
  assert.equal(qeIdentity.isvProdId, 2);
  assert.equal(qeIdentity.nextUpdate.toISOString(), "2026-05-10T00:00:00.000Z");
});

Deno.test("readTcbInfo() refuses documents of any other form", async () => {
  const wrong: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    "of SGX": { id: "SGX" },
    "of version 2": { version: 2 },
    "of version 3 as text": { version: "3" },
    "of another TCB type": { tcbType: 1 },
    "without FMSPC": { fmspc: undefined },
    "with a long FMSPC": { fmspc: "B0C06F00000000" },
    "with a FMSPC that is not hexadecimal": { fmspc: "B0C06F00000G" },
    "with a date that does not exist": { nextUpdate: "2026-02-30T00:00:00Z" },
    "with a local date": { nextUpdate: "2026-05-10T00:00:00+02:00" },
    "with an evaluation below zero": { tcbEvaluationDataNumber: -1 },
    "with an evaluation and a half": { tcbEvaluationDataNumber: 1.5 },
    "without levels": { tcbLevels: [] },
    "with an unknown status": { tcbLevels: [platformLevel("Fine", 11, [])] },
    "with a component of 256": { tcbLevels: [platformLevel("UpToDate", 11, [256])] },
    "with a PCE SVN of 65536": { tcbLevels: [platformLevel("UpToDate", 65536, [])] },
    "with 15 components": {
      tcbLevels: [{ ...level, tcb: { ...level.tcb as object, tdxtcbcomponents: Array(15).fill({ svn: 0 }) } }],
    },
    "with 17 components": {
      tcbLevels: [{ ...level, tcb: { ...level.tcb as object, sgxtcbcomponents: Array(17).fill({ svn: 0 }) } }],
    },
    "with a module of no version": { tdxModuleIdentities: [moduleIdentity("TDX_1", [isvLevel(1, "UpToDate")])] },
    "with a module without levels": { tdxModuleIdentities: [moduleIdentity("TDX_01", [])] },
    "with a module twice": {
      tdxModuleIdentities: [1, 2].map((svn) => moduleIdentity("TDX_01", [isvLevel(svn, "UpToDate")])),
    },
  };
  for (const [name, entries] of Object.entries(wrong)) {
    const error = await errorOf(() => readTcbInfo(intel.collateral({ tcbInfo: entries }).tcbInfo));
    assert.equal(error.code, "malformed/tdx-collateral", name);
  }
});

Deno.test("readTcbInfo() and readQeIdentity() read what Intel may add, which it signs", () => {
  const added = intel.collateral({ tcbInfo: { more: 1 }, qeIdentity: { more: { a: [] } } });
  const plain = intel.collateral({});
  assert.deepEqual(readTcbInfo(added.tcbInfo).tcbInfo, readTcbInfo(plain.tcbInfo).tcbInfo);
  assert.deepEqual(readQeIdentity(added.qeIdentity).qeIdentity, readQeIdentity(plain.qeIdentity).qeIdentity);
});

Deno.test("readQeIdentity() refuses identities of other enclaves and other forms", async () => {
  for (const entries of [{ id: "QE" }, { version: 1 }, { mrsigner: "44" }, { isvprodid: 65536 }, { tcbLevels: [] }]) {
    const error = await errorOf(() => readQeIdentity(intel.collateral({ qeIdentity: entries }).qeIdentity));
    assert.equal(error.code, "malformed/tdx-collateral", JSON.stringify(entries));
  }
});

Deno.test("readTcbInfo() requires the signed object and its signature in their exact form", async () => {
  const text = fromUtf8(right.tcbInfo, "test");
  const signature = text.slice(-130, -2);
  const wrong: Readonly<Record<string, string>> = {
    "a space in front": ` ${text}`,
    "a space after the key": text.replace(":", ": "),
    "two line feeds at the end": `${text}\n\n`,
    "another key": text.replace("tcbInfo", "tcbinfo"),
    "an extra key": text.replace(',"signature"', ',"more":1,"signature"'),
    "the signature in upper case": text.replace(signature, signature.toUpperCase().replace(/^[^A-F]*$/, "A")),
    "a short signature": text.replace(signature, signature.slice(2)),
    "no object": `{"tcbInfo":,"signature":"${signature}"}`,
    "no document": `,"signature":"${signature}"}`,
    "nothing": "",
    "a long document": text + " ".repeat(1 << 17),
  };
  for (const [name, document] of Object.entries(wrong)) {
    assert.equal((await errorOf(() => readTcbInfo(utf8(document)))).code, "malformed/tdx-collateral", name);
  }
});

Deno.test("readTcbInfo() throws only malformed/… when it reads any bytes", () => {
  const check = (bytes: Uint8Array) => {
    try {
      readTcbInfo(bytes);
    } catch (error) {
      assert.match(String((error as { code?: string }).code), /^malformed\/(tdx-collateral|utf8)$/);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), check));
  fc.assert(fc.property(fc.json(), (json) => {
    check(utf8(`{"tcbInfo":${json},"signature":"${"00".repeat(64)}"}`));
  }));
  const deep = "[".repeat(60_000) + "]".repeat(60_000);
  check(utf8(`{"tcbInfo":${deep},"signature":"${"00".repeat(64)}"}`));
  for (let length = 0; length < right.tcbInfo.length; length += 7) check(right.tcbInfo.subarray(0, length));
});

Deno.test("readPemChain() requires PEM certificates in their exact form", async () => {
  const pem = fromUtf8(right.tcbInfoChain, "test");
  assert.equal(readPemChain(utf8(pem), "test", 2).length, 2);
  const wrong: Readonly<Record<string, string>> = {
    "one too few": pem.slice(pem.indexOf("-----BEGIN", 1)),
    "one too many": pem + pem,
    "no line feed at the end": pem.trimEnd(),
    "text in front": `x${pem}`,
    "text at the end": `${pem}x`,
    "an empty line between": pem.replace("-----\n-----", "-----\n\n-----"),
    "carriage returns": pem.replaceAll("\n", "\r\n"),
    "short lines": pem.replace(/\n(.{10})/, "\n$1\n"),
    "another label": pem.replaceAll("CERTIFICATE", "TRUSTED CERTIFICATE"),
    "nothing": "",
  };
  for (const [name, text] of Object.entries(wrong)) {
    assert.match((await errorOf(() => readPemChain(utf8(text), "test", 2))).code, /^malformed\//, name);
  }
});

Deno.test("worstOf() combines the flaws and the advisories of all verdicts", () => {
  const of = (...statuses: Parameters<typeof worstOf>[0][number]["status"][]) =>
    worstOf(statuses.map((status) => ({ status, advisoryIds: [] }))).status;
  assert.equal(of("UpToDate", "UpToDate"), "UpToDate");
  assert.equal(of("UpToDate", "SWHardeningNeeded"), "SWHardeningNeeded");
  assert.equal(of("ConfigurationNeeded", "SWHardeningNeeded"), "ConfigurationAndSWHardeningNeeded");
  assert.equal(of("SWHardeningNeeded", "OutOfDate"), "OutOfDate");
  assert.equal(of("ConfigurationAndSWHardeningNeeded", "OutOfDate"), "OutOfDateConfigurationNeeded");
  assert.equal(of("OutOfDateConfigurationNeeded", "Revoked", "UpToDate"), "Revoked");
  const advisories = worstOf([
    { status: "OutOfDate", advisoryIds: ["INTEL-SA-00002", "INTEL-SA-00001"] },
    { status: "OutOfDate", advisoryIds: ["INTEL-SA-00001"] },
  ]).advisoryIds;
  assert.deepEqual(advisories, ["INTEL-SA-00001", "INTEL-SA-00002"]);
});

Deno.test("completeCollateral() uses a machine's own revocation lists only if this side has none", async () => {
  // A revoked machine would bring an older list.
  const need = { fmspc: "b0c06f000000", pckCa: "platform" } as const;
  const ours = new Map(
    (["pckCrl", "rootCrl", "tcbInfo"] as const).map((part) => [collateralName(part, need), utf8(`our ${part}`)]),
  );
  const having = {
    place: "here",
    find(name: string) {
      const bytes = ours.get(name);
      return Promise.resolve(bytes === undefined ? undefined : { bytes, source: name });
    },
  };
  const complete = await completeCollateral(right, having, need);
  assert.deepEqual([complete.pckCrl, complete.rootCrl], [utf8("our pckCrl"), utf8("our rootCrl")]);
  assert.deepEqual([complete.tcbInfo, complete.qeIdentity], [right.tcbInfo, right.qeIdentity]);
  ours.clear();
  assert.deepEqual((await completeCollateral(right, having, need)).pckCrl, right.pckCrl);
});
