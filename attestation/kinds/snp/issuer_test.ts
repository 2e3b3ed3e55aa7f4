import assert from "node:assert/strict";
import { FRESH, NO_IDENTITY } from "../../evidence.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { fromHex, hex } from "../../../platform/bytes.ts";
import { writePem } from "../../../certificate/pem.ts";
import { errorOf } from "../../testing/evidence.ts";
import { readTsmReport } from "../../tsm/report.ts";
import { createFakeTsm, type FakeTsm } from "../../tsm/testing/tsm.ts";
import { amdAnchors } from "./amd_roots.ts";
import { CERTIFICATE_GUID } from "./certificate_table.ts";
import { createSnpIssuer } from "./issuer.ts";
import { decodePayload } from "./payload.ts";
import {
  certificateTableOf,
  collateralOf,
  createSoftwareAmd,
  HOST_DATA,
  NOW,
  oracleTest,
  policyFor,
  STATEMENT,
} from "./testing/snp.ts";
import { createSnpVerifier } from "./verifier.ts";

const amd = await createSoftwareAmd();
const zero = new Uint8Array(32);

function issuerOf(changes: Partial<FakeTsm> = {}, auxblob?: Bytes) {
  const answer = async (data: Bytes) => ({
    outblob: await amd.report({ 0x50: data }),
    ...(auxblob === undefined ? {} : { auxblob }),
  });
  const tsm = createFakeTsm({ provider: "sev_guest", privilegeFloor: 0, answer, ...changes });
  return createSnpIssuer((request) => readTsmReport(request, tsm));
}

Deno.test("createSnpIssuer() makes evidence that the verifier accepts, with the host's certificates in PEM or DER", async () => {
  const [vek, ask, crl] = [await amd.vek(), amd.anchors[0]?.authorities.vcek.der ?? zero, await amd.crl()];
  for (
    const form of [
      (der: Uint8Array) => der,
      (der: Uint8Array) => new TextEncoder().encode(writePem("CERTIFICATE", der)),
    ]
  ) {
    const { vcek: vcekGuid, ask: askGuid, crl: crlGuid } = CERTIFICATE_GUID;
    const issuer = issuerOf({}, certificateTableOf({ [vcekGuid]: form(vek), [askGuid]: form(ask), [crlGuid]: crl }));
    const evidence = await issuer.issue(STATEMENT);
    const verifier = createSnpVerifier(policyFor(), collateralOf({}), () => NOW, amd.anchors);
    const expectation = { trust: [HOST_DATA], lock: [FRESH], identity: NO_IDENTITY };
    const { claims } = await verifier.verify(evidence, STATEMENT, expectation);
    assert.equal(claims.identity, await issuer.ownIdentity(""));
  }
});

Deno.test("createSnpIssuer() makes evidence without certificates where the host gives none", async () => {
  const { payload } = await issuerOf().issue(STATEMENT);
  const { vek, authority, crl } = decodePayload(payload);
  assert.deepEqual([vek.length, authority.length, crl.length], [0, 0, 0]);
});

Deno.test("createSnpIssuer() fails when the processor reports over other data", async () => {
  const issuer = issuerOf({ answer: async () => ({ outblob: await amd.report() }) });
  assert.equal((await errorOf(() => issuer.issue(zero))).code, "system/snp-report");
  assert.equal((await errorOf(() => issuer.ownIdentity(""))).code, "system/snp-report");
});

Deno.test("createSnpIssuer() fails with a malformed report, and with a malformed or too large table", async () => {
  const noReport = issuerOf({ answer: () => Promise.resolve({ outblob: zero }) });
  assert.equal((await errorOf(() => noReport.issue(STATEMENT))).code, "malformed/snp-report");
  for (const table of [Uint8Array.of(1), certificateTableOf({ [CERTIFICATE_GUID.vcek]: new Uint8Array(5000) })]) {
    const code = (await errorOf(() => issuerOf({}, table).issue(STATEMENT))).code;
    assert.equal(code, "malformed/snp-certificate-table");
  }
});

Deno.test("createSnpIssuer() asks for privilege level 0, and fails where the guest has another", async () => {
  const error = await errorOf(() => issuerOf({ privilegeFloor: 1 }).issue(STATEMENT));
  assert.equal(error.code, "precondition/tsm-privilege-level");
});

Deno.test("createSnpIssuer() refuses statements of other lengths, and challenges", async () => {
  assert.equal((await errorOf(() => issuerOf().issue(new Uint8Array(64)))).code, "internal/statement");
  const challenge = { credentialBlob: zero, encryptedSecret: zero };
  assert.equal((await errorOf(() => issuerOf().activate(challenge))).code, "protocol/challenge");
});

oracleTest(
  "createSnpIssuer() makes evidence from a real report, which is refused only because a revocation list is missing",
  async (read) => {
    const [outblob, vcek] = [await read("test-report.bin"), await read("test-vcek.der")];
    // The real processor was asked to sign a statement and 32 zeros.
    const statement = outblob.slice(0x50, 0x70);
    const auxblob = certificateTableOf({
      [CERTIFICATE_GUID.vcek]: vcek,
      [CERTIFICATE_GUID.ask]: amdAnchors()[0]?.authorities.vcek.der ?? zero,
    });
    const evidence = await issuerOf({ answer: () => Promise.resolve({ outblob, auxblob }) }).issue(statement);
    const policy = {
      ...policyFor(),
      allowsLaggingTcb: true,
      measurements: [fromHex(hex(outblob.slice(0x90, 0xc0)), "measurement")],
      platformInfo: { required: [], forbidden: [] },
    };
    const verifier = createSnpVerifier(policy, collateralOf({}), () => new Date("2024-06-01T00:00:00Z"));
    const heard: string[] = [];
    const verdict = verifier.verify(
      evidence,
      statement,
      { trust: [zero], lock: [FRESH], identity: NO_IDENTITY },
      (check) => {
        if (!check.passed) heard.push(check.check);
      },
    );
    await assert.rejects(verdict, { code: "refused/snp-collateral" });
    assert.deepEqual(heard, ["snp-collateral"]);
  },
);
