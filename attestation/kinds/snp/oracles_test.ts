/**
 * Verdicts on evidence from real processors. AMD's revocation list is missing there, so other tests cover revocation.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { fromHex, fromUtf8, hex, sha256 } from "../../../platform/bytes.ts";
import { readPem } from "../../../certificate/pem.ts";
import { verifyWith } from "../../../certificate/public_key.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { verifyCertificateSignature } from "../../../certificate/certificate_signature.ts";
import { createChecks } from "../../checks.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { AMD_ROOTS, amdAnchors } from "./amd_roots.ts";
import { appraise, type Appraised } from "./appraisal.ts";
import { encodePayload } from "./payload.ts";
import type { SnpPolicy } from "./policy.ts";
import { readReport } from "./report.ts";
import { certificatesIn, collateralOf, oracleTest } from "./testing/snp.ts";
import { readVekExtensions } from "./vek.ts";
import { verifySnp } from "./verifier.ts";

type Read = (path: string) => Promise<Bytes>;

const now = new Date("2024-06-01T00:00:00Z");
const anchors = amdAnchors();
const none = new Uint8Array();
const REPORTS = ["milan", "test"] as const;

async function evidenceOf(read: Read, name: typeof REPORTS[number]): Promise<{ report: Bytes; vek: Bytes }> {
  if (name === "test") return { report: await read("test-report.bin"), vek: await read("test-vcek.der") };
  const text = fromUtf8(await read("report_milan.hex"), "report").trim();
  return { report: fromHex(text, "report"), vek: await read("vcek_milan.der") };
}

/** A policy that requires exactly the values of a report. The statement is the first half of its report data. */
function expectationOf(report: Bytes, changes: Partial<SnpPolicy> = {}) {
  const { measurement, reportData, hostData } = readReport(report);
  const minimum = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
  const policy: SnpPolicy = {
    products: new Map([["milan", { minimumTcb: minimum, minimumLaunchTcb: minimum }]]),
    signingKeys: ["vcek"],
    providers: [],
    allowsLaggingTcb: false,
    measurements: [measurement],
    guestPolicy: { required: ["smt"], forbidden: ["cxl", "singleSocket"] },
    platformInfo: { required: [], forbidden: ["tsme", "tio"] },
    bannedChipIds: new Set(),
    ...changes,
  };
  const statement = reportData.slice(0, 32);
  return { statement, hostData: [hostData], policy, collateral: collateralOf({}), anchors, now };
}

function judge(report: Bytes, vek: Bytes, expected: ReturnType<typeof expectationOf>): Promise<Appraised> {
  return appraise({ report, vek, authority: none, crl: none }, expected, createChecks());
}

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

/** Codes that may refuse a flipped byte of the report itself. */
const REPORT_FAMILY =
  /^(?:malformed\/snp-report|refused\/snp-(?:report-(?:signature|version)|signing-key|signature-algorithm|collateral))$/;
/** Codes that may refuse a flipped byte of a certificate: a wrong form, or a wrong signature. */
const CERTIFICATE_FAMILY =
  /^(?:malformed\/(?:der|utf8|public-key)|refused\/snp-(?:certificate-(?:signature|issuer)|signature-algorithm))$/;

for (const name of REPORTS) {
  oracleTest(`the ${name} report is refused when any byte is flipped`, async (read) => {
    const { report, vek } = await evidenceOf(read, name);
    const expected = expectationOf(report, { allowsLaggingTcb: true });
    const codes = new Map<string, number>();
    for (let index = 0; index < report.length; index++) {
      const { code } = await errorOf(() => judge(flipped(report, index, 1 << index % 8), vek, expected));
      assert.match(code, REPORT_FAMILY, `byte ${index}`);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    // Version, algorithm and unsigned padding are refused by their form. The signature refuses all others.
    assert.ok((codes.get("refused/snp-report-signature") ?? 0) > 750, JSON.stringify([...codes]));
  });

  oracleTest(`the ${name} report's certificate is refused when any byte is flipped`, async (read) => {
    const { report, vek } = await evidenceOf(read, name);
    const expected = expectationOf(report, { allowsLaggingTcb: true });
    for (let index = 0; index < vek.length; index++) {
      const { code } = await errorOf(() => judge(report, flipped(vek, index, 1 << index % 8), expected));
      assert.match(code, CERTIFICATE_FAMILY, `byte ${index}`);
    }
  });
}
