import assert from "node:assert/strict";
import { SNP, snpKind } from "../../attestation/kinds/snp/kind.ts";
import { encodePayload } from "../../attestation/kinds/snp/payload.ts";
import { chipIdOf, createSoftwareAmd, MILAN_TCB, NOW as AMD_NOW } from "../../attestation/kinds/snp/testing/snp.ts";
import type { TdxCollateral } from "../../attestation/kinds/tdx/collateral.ts";
import { TDX, tdxKind } from "../../attestation/kinds/tdx/kind.ts";
import { encodeTdxPayload } from "../../attestation/kinds/tdx/payload.ts";
import { NOW as INTEL_NOW } from "../../attestation/kinds/tdx/testing/der.ts";
import { createSoftwareIntel } from "../../attestation/kinds/tdx/testing/intel.ts";
import { collateralOf2025, justBeforeEnd } from "../../attestation/kinds/tdx/testing/oracles.ts";
import { oracleTest } from "../../attestation/kinds/tdx/testing/tdx.ts";
import { TPM } from "../../attestation/kinds/tpm/kind.ts";
import type { Answer } from "../../certificate/testing/document_server.ts";
import { writePem } from "../../certificate/pem.ts";
import { base64, type Bytes, copyOf, fromUtf8, hex, utf8 } from "../../platform/bytes.ts";
import { notFound, VendorWorld } from "../testing/vendor_world.ts";

/** Answers as Intel's service or a cache of it does. `pckChain` is that of the issuer of PCK certificates. */
function intelAnswers(collateral: TdxCollateral, pckChain: string): Answer {
  const header = (pem: Uint8Array) => encodeURIComponent(fromUtf8(pem, "chain"));
  return (path, query) => {
    switch (`${path}${query}`) {
      case "/sgx/certification/v4/rootcacrl":
        return new Response(hex(collateral.rootCrl));
      case "/sgx/certification/v4/pckcrl?ca=platform&encoding=der":
        return new Response(copyOf(collateral.pckCrl), {
          headers: { "SGX-PCK-CRL-Issuer-Chain": encodeURIComponent(pckChain) },
        });
      case "/tdx/certification/v4/tcb?fmspc=b0c06f000000":
        return new Response(copyOf(collateral.tcbInfo), {
          headers: { "TCB-Info-Issuer-Chain": header(collateral.tcbInfoChain) },
        });
      case "/tdx/certification/v4/qe/identity":
        return new Response(copyOf(collateral.qeIdentity), {
          headers: { "SGX-Enclave-Identity-Issuer-Chain": header(collateral.qeIdentityChain) },
        });
      default:
        return notFound();
    }
  };
}

const INTEL_FILES = [
  ...["tdx-pck-platform.crl", "tdx-qe-identity.json", "tdx-qe-identity.pem", "tdx-root.crl"],
  ...["tdx-tcb-info-b0c06f000000.json", "tdx-tcb-info-b0c06f000000.pem"],
];

Deno.test("policy collateral fetch gets AMD's list and a chip's certificate, in any form, and converts them", async () => {
  const amd = await createSoftwareAmd();
  const [crl, vek] = [await amd.crl(), await amd.vek()];
  const chip = hex(chipIdOf("milan"));
  const query = "?blSPL=3&teeSPL=0&snpSPL=8&ucodeSPL=115";
  await using world = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    (path, search) => {
      if (path === "/vcek/v1/Milan/crl") return new Response(writeCrlPem(crl));
      return path === `/vcek/v1/Milan/${chip}` && search === query ? new Response(copyOf(vek)) : notFound();
    },
  );
  const nothing = new Uint8Array();
  const payload = encodePayload({ report: await amd.report(), vek: nothing, authority: nothing, crl: nothing });
  const evidence = await world.evidence("node-1.json", { variant: "snp", payload });
  assert.equal(await world.run(evidence, "--platform", "milan"), 0, world.cli.err);
  const certificate = `amd-vcek-${chip}-${hex(MILAN_TCB)}.der`;
  assert.deepEqual(await world.files(), ["amd-milan-vcek.crl", certificate]);
  assert.deepEqual(await world.file("amd-milan-vcek.crl"), crl);
  assert.deepEqual(await world.file(certificate), vek);
  assert.match(world.cli.out, /^amd-milan-vcek\.crl +written +holds until 2026-03-04T06:06:07\.000Z$/m);
  assert.deepEqual(world.server.asked.length, 2);
  assert.equal(await world.run("--platform", "Milan", "--output", "json"), 0, world.cli.out);
  const { folder, documents } = JSON.parse(world.cli.out);
  assert.equal(folder, world.path("docs"));
  assert.deepEqual(documents, [{
    name: "amd-milan-vcek.crl",
    path: world.path("docs/amd-milan-vcek.crl"),
    isUnchanged: true,
    isAnswerOlder: false,
    until: "2026-03-04T06:06:07.000Z",
  }]);
});

Deno.test("policy collateral fetch asks for a chip of Turin in its form, and for the line of a report that does not say it", async () => {
  const amd = await createSoftwareAmd("turin");
  const [crl, vek] = [await amd.crl(), await amd.vek()];
  const chip = hex(chipIdOf("turin").slice(0, 8));
  const query = "?fmcSPL=1&blSPL=3&teeSPL=2&snpSPL=8&ucodeSPL=115";
  await using world = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    (path, search) => {
      if (path === "/vcek/v1/Turin/crl") return new Response(base64(crl));
      return path === `/vcek/v1/Turin/${chip}` && search === query ? new Response(copyOf(vek)) : notFound();
    },
  );
  const nothing = new Uint8Array();
  const parts = { vek: nothing, authority: nothing, crl: nothing };
  const payload = encodePayload({ report: await amd.report(), ...parts });
  const evidence = await world.evidence("node-1.json", { variant: "snp", payload });
  assert.equal(await world.run(evidence), 2);
  assert.match(world.cli.err, /node-1\.json does not say of which line[^]*--platform: milan, genoa, turin/);
  assert.equal(await world.run(evidence, "--platform", "turin"), 0, world.cli.err);
  assert.equal((await world.files()).length, 2);
  // Another chip's certificate is none for this report.
  const other = encodePayload({ report: await amd.report({ 0x1a0: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }), ...parts });
  const path = await world.evidence("node-2.json", { variant: "snp", payload: other });
  await using lying = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    (path) => path.endsWith("/crl") ? new Response(copyOf(crl)) : new Response(copyOf(vek)),
  );
  assert.equal(await lying.run(path, "--platform", "turin"), 3);
  assert.match(lying.cli.err, /refused\/snp-hardware-id/);
  assert.deepEqual(await lying.files(), ["amd-turin-vcek.crl"]);
});

Deno.test("policy collateral fetch keeps a chip's certificate only for the key that signed the report", async () => {
  const amd = await createSoftwareAmd();
  const [crl, good] = [await amd.crl(), await amd.report()];
  // The measurement, which the key signs.
  const changed = copyOf(good);
  changed[0x90] = 1;
  const nothing = new Uint8Array();
  const evidenceOf = (report: Bytes) => ({
    variant: "snp",
    payload: encodePayload({ report, vek: nothing, authority: nothing, crl: nothing }),
  });
  const otherTcb = { extensions: { "0308": Uint8Array.of(2, 1, 114) } };
  const cases: readonly (readonly [Bytes, Bytes, RegExp, number])[] = [
    [good, await amd.vek(otherTcb), /another TCB[^]*refused\/snp-certificate-tcb/, 2],
    [changed, await amd.vek(), /refused\/snp-report-signature/, 2],
    [await amd.report({ 0x1a0: new Uint8Array(64) }), await amd.vek(), /refused\/snp-hardware-id[^]*MASK_CHIP_ID/, 1],
  ];
  for (const [report, vek, said, requests] of cases) {
    await using world = await VendorWorld.start(
      { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
      (path) => new Response(copyOf(path.endsWith("/crl") ? crl : vek)),
    );
    const evidence = await world.evidence("node-1.json", evidenceOf(report));
    assert.equal(await world.run(evidence, "--platform", "milan"), 3);
    assert.match(world.cli.err, said);
    assert.deepEqual(await world.files(), ["amd-milan-vcek.crl"]);
    assert.equal(world.server.asked.length, requests);
  }
  // A report of version 3 or later names its processor, which may be of a line to come.
  const unknown = await amd.report({ 0x00: Uint8Array.of(3), 0x188: Uint8Array.of(0x1b, 0x02, 0x01) });
  await using world = await VendorWorld.start({ kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW }, notFound);
  const evidence = await world.evidence("node-1.json", evidenceOf(unknown));
  assert.equal(await world.run(evidence, "--platform", "milan"), 2);
  assert.match(world.cli.err, /line that this version does not know: family 1b, model 2[^]*newer version/);
  assert.doesNotMatch(world.cli.err, /--platform/);
});

Deno.test("policy collateral fetch never puts an older document in the place of a newer one that still holds", async () => {
  const amd = await createSoftwareAmd();
  const minutesAgo = (minutes: number) => new Date(AMD_NOW.getTime() - minutes * 60_000);
  const [old, recent] = [await amd.crl({ thisUpdate: minutesAgo(50) }), await amd.crl({ thisUpdate: minutesAgo(5) })];
  const ended = await amd.crl({ thisUpdate: minutesAgo(2), nextUpdate: minutesAgo(1) });
  const forged = await (await createSoftwareAmd()).crl({ thisUpdate: minutesAgo(1) });
  await using world = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    () => new Response(copyOf(old)),
  );
  await Deno.mkdir(world.path("docs"));
  for (const there of [recent, ended, forged, utf8("<html>")]) {
    await Deno.writeFile(world.path("docs/amd-milan-vcek.crl"), there);
    assert.equal(await world.run("--platform", "milan"), 0, world.cli.err);
    assert.deepEqual(await world.file("amd-milan-vcek.crl"), there === recent ? recent : old);
    const said = /amd-milan-vcek\.crl +(unchanged|written) .*?(answered with an older one)?/;
    const [, what, older] = new RegExp(`${said.source}(?:, which is left out)?$`, "m").exec(world.cli.out) ?? [];
    assert.deepEqual([what, older !== undefined], there === recent ? ["unchanged", true] : ["written", false]);
  }
  const intel = createSoftwareIntel();
  const answered = intel.collateral();
  const chain = writePem("CERTIFICATE", intel.certificate("issuer")) + writePem("CERTIFICATE", intel.anchor.der);
  const options = { kinds: [TPM, SNP, tdxKind(intel.anchor)], now: INTEL_NOW };
  await using server = await VendorWorld.start(options, intelAnswers(answered, chain));
  const payload = encodeTdxPayload({ quote: await intel.quote(), collateral: {} });
  const evidence = await server.evidence("node-1.json", { variant: "tdx", payload });
  assert.equal(await server.run(evidence), 0, server.cli.err);
  const later = { issueDate: "2026-04-21T00:00:00Z" };
  const newer = intel.collateral({
    tcbInfo: { tcbEvaluationDataNumber: 18, issueDate: "2026-04-19T00:00:00Z" },
    qeIdentity: later,
    crlStart: new Date(INTEL_NOW.getTime() - 1000),
  });
  const there: Readonly<Record<string, Uint8Array>> = {
    "tdx-root.crl": newer.rootCrl,
    "tdx-pck-platform.crl": newer.pckCrl,
    "tdx-qe-identity.json": newer.qeIdentity,
    "tdx-qe-identity.pem": newer.qeIdentityChain,
    "tdx-tcb-info-b0c06f000000.json": newer.tcbInfo,
    "tdx-tcb-info-b0c06f000000.pem": newer.tcbInfoChain,
  };
  for (const [name, bytes] of Object.entries(there)) await Deno.writeFile(server.path(`docs/${name}`), bytes);
  assert.equal(await server.run(evidence), 0, server.cli.err);
  for (const [name, bytes] of Object.entries(there)) assert.deepEqual(await server.file(name), bytes, name);
  assert.equal(server.cli.out.match(/answered with an older one/g)?.length, 6, server.cli.out);
});

function writeCrlPem(der: Bytes): string {
  return `-----BEGIN X509 CRL-----\n${base64(der)}\n-----END X509 CRL-----\n`;
}

Deno.test("policy collateral fetch gets everything that a TDX machine needs, by its evidence or its FMSPC", async () => {
  const intel = createSoftwareIntel();
  const collateral = intel.collateral();
  const pckChain = ["issuer", "root"].map((name) =>
    writePem("CERTIFICATE", intel.certificate(name === "issuer" ? "issuer" : "root"))
  ).join("");
  // The software root signs anew each time, and the anchor is one of its certificates.
  const chain = pckChain.replace(
    /(-----END CERTIFICATE-----\n)[^]*$/,
    `$1${writePem("CERTIFICATE", intel.anchor.der)}`,
  );
  const options = { kinds: [TPM, SNP, tdxKind(intel.anchor)], now: INTEL_NOW };
  await using world = await VendorWorld.start(options, intelAnswers(collateral, chain));
  const payload = encodeTdxPayload({ quote: await intel.quote(), collateral: {} });
  const evidence = await world.evidence("node-1.json", { variant: "tdx", payload });
  assert.equal(await world.run(evidence), 0, world.cli.err + world.cli.out);
  assert.deepEqual(await world.files(), INTEL_FILES);
  assert.deepEqual(await world.file("tdx-root.crl"), collateral.rootCrl);
  assert.deepEqual(await world.file("tdx-qe-identity.pem"), collateral.qeIdentityChain);
  assert.match(world.cli.out, /^tdx-tcb-info-b0c06f000000\.json +written +holds until 2026-05-10T00:00:00\.000Z$/m);
  // By its FMSPC alone, both authorities are possible, and this server has one.
  assert.equal(await world.run("--platform", "B0C06F000000"), 4, world.cli.err);
  assert.match(world.cli.out, /^tdx-pck-processor\.crl +MISSING +unavailable\/collateral: .*answered with 404$/m);
  assert.match(world.cli.err, /Missing: tdx-pck-processor\.crl\./);
  assert.match(world.cli.out, /^tdx-root\.crl +unchanged/m);
});

Deno.test("policy collateral fetch keeps what it got, writes nothing that is not the vendor's, and says what is missing", async () => {
  const intel = createSoftwareIntel();
  const other = createSoftwareIntel();
  const good = intel.collateral();
  const chain = writePem("CERTIFICATE", intel.certificate("issuer")) + writePem("CERTIFICATE", intel.anchor.der);
  const payload = encodeTdxPayload({ quote: await intel.quote(), collateral: {} });
  const cases: readonly (readonly [Partial<TdxCollateral>, string, string])[] = [
    [{ rootCrl: other.collateral().rootCrl }, "refused/tdx-crl-signature", "tdx-root.crl"],
    [{ rootCrl: utf8("<html>") }, "malformed/document-form", "tdx-root.crl"],
    [{ pckCrl: other.collateral().pckCrl }, "refused/tdx-crl-signature", "tdx-pck-platform.crl"],
    [
      { pckCrl: intel.collateral({ pckCrlEnd: new Date(INTEL_NOW.getTime() - 1000) }).pckCrl },
      "refused/tdx-crl-validity",
      "tdx-pck-platform.crl",
    ],
    [
      { tcbInfo: intel.collateral({ tcbInfo: { fmspc: "00C06F000000" } }).tcbInfo },
      "refused/tdx-fmspc",
      "tdx-tcb-info-b0c06f000000.json",
    ],
    [
      { tcbInfo: intel.collateral({ tcbInfo: { nextUpdate: "2026-04-21T00:00:00Z" } }).tcbInfo },
      "refused/tdx-tcb-info-date",
      "tdx-tcb-info-b0c06f000000.json",
    ],
    [{ qeIdentity: other.collateral().qeIdentity }, "refused/tdx-qe-identity-signature", "tdx-qe-identity.json"],
    [{ qeIdentityChain: other.collateral().qeIdentityChain }, "refused/tdx-root", "tdx-qe-identity.json"],
    [{ qeIdentityChain: utf8("none") }, "malformed/pem", "tdx-qe-identity.json"],
  ];
  for (const [lies, code, name] of cases) {
    const options = { kinds: [TPM, SNP, tdxKind(intel.anchor)], now: INTEL_NOW };
    await using world = await VendorWorld.start(options, intelAnswers({ ...good, ...lies }, chain));
    const evidence = await world.evidence("node-1.json", { variant: "tdx", payload });
    await Deno.mkdir(world.path("docs"));
    await Deno.writeTextFile(world.path(`docs/${name}`), "what was there");
    assert.notEqual(await world.run(evidence, "--output", "json"), 0, code);
    const { error } = JSON.parse(world.cli.out);
    assert.deepEqual([error.code, error.missing], [code, name], JSON.stringify(error));
    assert.equal(new TextDecoder().decode(await world.file(name)), "what was there");
    const kept = INTEL_FILES.filter((one) => !one.startsWith(name.replace(/\.json$/, ".")));
    assert.deepEqual(error.kept.split(", ").sort(), kept);
    for (const one of kept) assert.ok((await world.file(one)).length > 100, one);
  }
});

oracleTest("policy collateral fetch verifies and keeps Intel's own documents of 2025", async (read) => {
  const collateral = await collateralOf2025(read);
  const kept = JSON.parse(fromUtf8(await read("tdx_quote_collateral.json"), "collateral"));
  const now = new Date(justBeforeEnd(collateral).getTime());
  await using world = await VendorWorld.start(
    { kinds: [TPM, SNP, TDX], now },
    intelAnswers(collateral, String(kept["pck_crl_issuer_chain"])),
  );
  await world.run("--platform", "b0c06f000000");
  assert.deepEqual(await world.files(), INTEL_FILES, world.cli.out);
});
