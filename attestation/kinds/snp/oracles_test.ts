/**
 * Verdicts on evidence from real processors. AMD's revocation list is missing there, so other tests cover revocation.
 */
import assert from "node:assert/strict";
import { hex, sha256 } from "../../../platform/bytes.ts";
import { readPem } from "../../../certificate/pem.ts";
import { verifyWith } from "../../../certificate/public_key.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { createChecks } from "../../checks.ts";
import { errorOf } from "../../testing/evidence.ts";
import { AMD_ROOTS } from "./amd_roots.ts";
import { appraise } from "./appraisal.ts";
import { encodePayload } from "./payload.ts";
import { readReport } from "./report.ts";
import { anchors, evidenceOf, expectationOf, judge, none } from "./testing/oracles.ts";
import { certificatesIn, oracleTest } from "./testing/snp.ts";
import { readVekExtensions } from "./vek.ts";
import { verifySnp } from "./verifier.ts";

oracleTest(
  "AMD's roots equal those of the files, are self-signed, and have the fingerprints in their comments",
  async (read) => {
    const source = await Deno.readTextFile(new URL("./amd_roots.ts", import.meta.url));
    for (const { product, ark, authorities } of anchors) {
      const [ask, arkOfVcek] = certificatesIn(
        await read(`ask_ark_${product === "turin" ? "turin_vcek" : product}.pem`),
      );
      const [asvk, arkOfVlek] = certificatesIn(await read(`ask_ark_${product}_vlek.pem`));
      assert.deepEqual([arkOfVcek, arkOfVlek], [ark.der, ark.der]);
      assert.deepEqual([ask, asvk], [authorities.vcek.der, authorities.vlek.der]);
      for (const certificate of [ark, authorities.vcek, authorities.vlek]) {
        await verifyCertificateSignature(certificate, ark.spki);
      }
      for (const name of ["ark", "ask", "asvk"] as const) {
        const fingerprint = hex(await sha256(readPem(AMD_ROOTS[product][name], "CERTIFICATE", name)));
        assert.ok(source.includes(`// ${fingerprint}\n    ${name}: \``), `${product} ${name}`);
      }
    }
  },
);

oracleTest(
  "test-report.bin fails only for its lagging TCB, which a policy may permit",
  async (read) => {
    const { report, vek } = await evidenceOf(read, "test");
    const permitting = expectationOf(report, { allowsLaggingTcb: true });
    const { facts } = await judge(report, vek, permitting);
    assert.equal(facts["reportedTcb"], "bootloader 3, tee 0, snp 8, microcode 115");
    assert.equal(facts["currentTcb"], "bootloader 3, tee 0, snp 8, microcode 206");
    assert.equal((await errorOf(() => judge(report, vek, expectationOf(report)))).code, "refused/snp-lagging-tcb");
  },
);

oracleTest(
  "report_milan.hex fails only for its report data, which is not a statement and zeros",
  async (read) => {
    const { report, vek } = await evidenceOf(read, "milan");
    const parsed = readReport(report);
    assert.deepEqual([parsed.version, parsed.policy, parsed.vmpl], [2, 0x30000n, 0]);
    assert.match(hex(parsed.measurement), /^7a1e5c26.*1841f$/);
    const heard: string[] = [];
    const checks = createChecks(({ check, passed }) => {
      if (!passed) heard.push(check);
    });
    const { facts } = await appraise({ report, vek, authority: none, crl: none }, expectationOf(report), checks);
    assert.equal(facts["currentTcb"], "bootloader 3, tee 0, snp 8, microcode 115");
    assert.deepEqual(heard, ["snp-report-data"]);
  },
);

oracleTest("a certificate of the chain that comes with a report works like the built-in one", async (read) => {
  const { report, vek } = await evidenceOf(read, "test");
  const [authority = none] = certificatesIn(await read("cert_chain_milan"));
  const expected = expectationOf(report, { allowsLaggingTcb: true });
  await appraise({ report, vek, authority, crl: none }, expected, createChecks());
});

oracleTest(
  "real evidence without a revocation list is refused, and the error names the file",
  async (read) => {
    const parts = await evidenceOf(read, "test");
    const payload = encodePayload({ ...parts, authority: none, crl: none });
    const expected = expectationOf(parts.report, { allowsLaggingTcb: true });
    const error = await errorOf(() => verifySnp(payload, expected));
    assert.equal(error.code, "refused/snp-collateral");
    assert.equal(error.details["expected"], "amd-milan-vcek.crl");
  },
);

oracleTest("test-vcek-invalid-*.der are not from AMD, for another chip, and not for the signing key", async (read) => {
  const { report } = await evidenceOf(read, "test");
  const { chipId } = readReport(report);
  for (const file of ["test-vcek-invalid-legacy.der", "test-vcek-invalid-new.der"]) {
    const vek = await read(file);
    const verdict = () => judge(report, vek, expectationOf(report, { allowsLaggingTcb: true }));
    assert.equal((await errorOf(verdict)).code, "refused/snp-certificate-signature", file);
    const { hardwareId } = readVekExtensions(readCertificate(vek, file, "vendor"), "vcek", "milan");
    // One certificate writes the chip as bare bytes, the other as an OCTET STRING.
    assert.ok(hardwareId !== undefined && hardwareId.length === 64);
    assert.notEqual(hex(hardwareId), hex(chipId));
    const { signed, signature } = readReport(report);
    const algorithm = { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" } as const;
    const { spki } = readCertificate(vek, file, "vendor");
    assert.equal(await verifyWith(algorithm, spki, signature, signed), false, file);
  }
});

oracleTest("a report is refused with another report's certificate", async (read) => {
  const [test, milan] = [await evidenceOf(read, "test"), await evidenceOf(read, "milan")];
  const expected = expectationOf(test.report, { allowsLaggingTcb: true });
  assert.equal((await errorOf(() => judge(test.report, milan.vek, expected))).code, "refused/snp-report-signature");
});

oracleTest("real evidence is refused before and after its certificate's validity", async (read) => {
  const { report, vek } = await evidenceOf(read, "test");
  const expected = expectationOf(report, { allowsLaggingTcb: true });
  for (const time of ["2023-01-24T17:58:25Z", "2030-01-24T17:58:27Z"]) {
    const { code } = await errorOf(() => judge(report, vek, { ...expected, now: new Date(time) }));
    assert.equal(code, "refused/snp-certificate-validity");
  }
});
