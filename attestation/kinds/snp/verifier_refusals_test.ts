import assert from "node:assert/strict";
import { fromHex, hex } from "../../../platform/bytes.ts";
import type { SnpPolicy } from "./policy.ts";
import { chipIdOf, der, extension, hours, type Lies, MILAN_TCB, policyFor } from "./testing/snp.ts";
import { amd, codeOf, other, zero } from "./testing/verifying.ts";

const tcb = (index: number, value: number) => MILAN_TCB.with(index, value);
const integer = (value: number) => der(0x02, Uint8Array.of(value));
const octets = (value: Uint8Array) => der(0x04, value);

/** A wrong part of the evidence, the lies that make it, and the code of the refusal. */
const REFUSED: readonly [what: string, lies: Lies, code: string][] = [
  ["report data of another connection", { report: { 0x50: zero } }, "refused/snp-report-data"],
  [
    "report data with bytes after the statement",
    { report: { 0x8f: Uint8Array.of(1) } },
    "refused/snp-report-data",
  ],
  ["no report data at all", { report: { 0x50: new Uint8Array(64) } }, "refused/snp-report-data"],
  ["HOST_DATA of another configuration", { report: { 0xc0: zero } }, "refused/snp-host-data"],
  ["another measurement", { report: { 0x90: new Uint8Array(48) } }, "refused/snp-measurement"],
  ["VMPL 1", { report: { 0x30: Uint8Array.of(1) } }, "refused/snp-vmpl"],
  ["debugging", { report: { 0x08: Uint8Array.of(0, 0, 0x0b) } }, "refused/snp-debug"],
  ["migration allowed", { report: { 0x08: Uint8Array.of(0, 0, 0x07) } }, "refused/snp-migration-agent"],
  ["a migration agent", { report: { 0x160: zero } }, "refused/snp-migration-agent"],
  ["a forbidden bit of the guest policy", { report: { 0x08: Uint8Array.of(0, 0, 0x23) } }, "refused/snp-guest-policy"],
  ["a missing bit of the platform", { report: { 0x40: Uint8Array.of(1) } }, "refused/snp-platform-info"],
  ["a forbidden bit of the platform", { report: { 0x40: Uint8Array.of(0xa1) } }, "refused/snp-platform-info"],
  ["no signing key", { report: { 0x48: Uint8Array.of(0x1c) } }, "refused/snp-signing-key"],
  ["a signing key that is not allowed", { report: { 0x48: Uint8Array.of(4) } }, "refused/snp-signing-key"],
  ["another signature algorithm", { report: { 0x34: Uint8Array.of(2) } }, "refused/snp-signature-algorithm"],
  ["another chip than its key", { report: { 0x1a0: new Uint8Array(64).fill(1) } }, "refused/snp-hardware-id"],
  ["a masked chip", { report: { 0x1a0: new Uint8Array(64) } }, "refused/snp-hardware-id"],
  ["a reported TCB that is not its key's", { report: { 0x180: tcb(7, 116) } }, "refused/snp-certificate-tcb"],
  ["a key of a newer TCB than runs", { report: { 0x38: tcb(6, 7), 0x1e0: tcb(6, 7) } }, "refused/snp-current-tcb"],
  ["a committed TCB newer than runs", { report: { 0x1e0: tcb(1, 1) } }, "refused/snp-committed-tcb"],
  ["a lagging TCB", { report: { 0x38: tcb(7, 206) } }, "refused/snp-lagging-tcb"],
  ["a launch by older firmware", { report: { 0x1f0: tcb(0, 2) } }, "refused/snp-launch-tcb"],
  ["a part of a TCB without a name, which lags", { report: { 0x38: tcb(3, 1) } }, "refused/snp-lagging-tcb"],
  ["version 1", { report: { 0x00: Uint8Array.of(1) } }, "malformed/snp-report"],
  ["version 6", { report: { 0x00: Uint8Array.of(6) } }, "refused/snp-report-version"],
  ["old firmware", {
    report: { 0x38: tcb(6, 7), 0x180: tcb(6, 7), 0x1e0: tcb(6, 7), 0x1f0: tcb(6, 8) },
    vek: { extensions: { "0303": integer(7) } },
  }, "refused/snp-minimum-tcb"],
  ["a certificate signed by the ASVK", { vek: { signer: "asvk" } }, "refused/snp-certificate-issuer"],
  ["a certificate signed by the ARK", { vek: { signer: "ark" } }, "refused/snp-certificate-issuer"],
  ["a certificate signed by itself", { vek: { signer: "self" } }, "refused/snp-certificate-signature"],
  ["a certificate that is not valid yet", { vek: { notBefore: hours(1) } }, "refused/snp-certificate-validity"],
  ["a certificate of a VLEK's name", { vek: { commonName: "SEV-VLEK" } }, "refused/snp-certificate-subject"],
  ["a certificate of an RSA key", { vek: { spki: amd.anchors[0]?.ark.spki ?? zero } }, "refused/snp-certificate-key"],
  [
    "a certificate of a CA",
    { vek: { more: [extension("551d13", fromHex("30030101ff", "ca"), true)] } },
    "refused/snp-certificate-constraints",
  ],
  [
    "a certificate with an unknown critical extension",
    { vek: { more: [extension("2a03", octets(zero), true)] } },
    "refused/snp-critical-extension",
  ],
  [
    "a certificate with an extension twice",
    { vek: { more: [extension("2b060104019c78010308", integer(115))] } },
    "malformed/der",
  ],
  [
    "a certificate of another processor",
    { vek: { extensions: { "02": der(0x16, fromHex("47656e6f61", "Genoa")) } } },
    "refused/snp-certificate-product",
  ],
  ["a certificate without a chip", { vek: { extensions: { "04": undefined } } }, "malformed/der"],
  [
    "a certificate with a chip and a cloud",
    { vek: { extensions: { "05": der(0x16, Uint8Array.of(0x61)) } } },
    "malformed/der",
  ],
  ["a certificate without its SNP version", { vek: { extensions: { "0303": undefined } } }, "malformed/der"],
  ["a certificate with an FMC of Milan", { vek: { extensions: { "0309": integer(1) } } }, "malformed/der"],
  [
    "a certificate of a part without a name that does not run",
    { vek: { extensions: { "0305": integer(1) } } },
    "refused/snp-certificate-tcb",
  ],
  [
    "another authority's certificate",
    { authority: other.anchors[0]?.authorities.vcek.der ?? zero },
    "refused/snp-certificate-signature",
  ],
  ["the root for the authority", { authority: amd.anchors[0]?.ark.der ?? zero }, "refused/snp-authority-subject"],
  [
    "the authority of clouds for that of chips",
    { authority: amd.anchors[0]?.authorities.vlek.der ?? zero },
    "refused/snp-authority-subject",
  ],
];

for (const [what, lies, code] of REFUSED) {
  Deno.test(`createSnpVerifier() refuses ${what}`, async () => assert.equal(await codeOf(lies), code));
}

/** The part of good evidence that a changed policy does not allow, the change, and the code of the refusal. */
const UNWANTED: readonly [what: string, policy: Partial<SnpPolicy>, code: string][] = [
  ["a line of processors", { products: policyFor("turin").products }, "refused/snp-product"],
  ["a kind of signing key", { signingKeys: ["vlek"] }, "refused/snp-signing-key"],
  ["any measurement", { measurements: [] }, "refused/snp-measurement"],
  ["a machine without an ID key", { idKeys: [new Uint8Array(48).fill(1)] }, "refused/snp-id-key"],
  ["a machine without an author key", { authorKeys: [new Uint8Array(48).fill(1)] }, "refused/snp-author-key"],
  ["a chip that it does not name", { chipIds: new Set(["00"]) }, "refused/snp-chip-id"],
  ["a chip that it bans", { bannedChipIds: new Set([hex(chipIdOf("milan"))]) }, "refused/snp-banned-chip-id"],
  [
    "a guest policy without a bit",
    { guestPolicy: { required: ["singleSocket"], forbidden: [] } },
    "refused/snp-guest-policy",
  ],
];

for (const [what, changes, code] of UNWANTED) {
  Deno.test(`createSnpVerifier() refuses ${what} when the policy does not allow it`, async () => {
    assert.equal(await codeOf({}, { ...policyFor(), ...changes }), code);
  });
}
