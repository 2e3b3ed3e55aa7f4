import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import type { Bytes } from "../platform/bytes.ts";
import { concat, fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import {
  assertRefused,
  bitFlips,
  certificatesIn,
  derEcdsa,
  element,
  oracleTest,
  rewrapped,
} from "./testing/certificates.ts";
import { mintCertificate } from "./_mint.ts";
import { checkCrl, checkNotRevoked, isNewerCrl, readCrl } from "./crl.ts";
import type { KeyUsage } from "./extensions.ts";
import { generateKeyPair, SIGN_ALGORITHMS } from "./keys.ts";
import { ATTRIBUTE } from "./name.ts";
import { type Certificate, readCertificate } from "./x509.ts";

const now = new Date("2026-01-02T03:04:05Z");
const hours = (count: number) => new Date(now.getTime() + count * 3600 * 1000);
const keys = await generateKeyPair("p-256");
const other = await generateKeyPair("p-256");
const ECDSA_SHA256 = fromHex("300a06082a8648ce3d040302", "algorithm");
const VERSION_2 = fromHex("020101", "version");
const CRL_NUMBER = extension("551d14", fromHex("020101", "number"));

function authority(commonName = "A", keyUsage: readonly KeyUsage[] = ["keyCertSign", "cRLSign"]): Promise<Certificate> {
  const subject = [{ oid: ATTRIBUTE.commonName, value: commonName }];
  const template = { subject, spki: keys.spki, isCa: true, keyUsage, extKeyUsage: [], dnsNames: [] };
  return mintCertificate({ ...template, notBefore: hours(-1), notAfter: hours(1) }, { keys });
}

const ca = await authority();

function extension(oid: string, value: Uint8Array, critical = false): Bytes {
  const mark = critical ? [Uint8Array.of(1, 1, 0xff)] : [];
  return element(0x30, element(0x06, fromHex(oid, "oid")), ...mark, element(0x04, value));
}

function time(date: Date, tag = 0x17): Bytes {
  const digits = date.toISOString().slice(tag === 0x17 ? 2 : 0, 19).replaceAll(/[-T:]/g, "");
  return element(tag, utf8(`${digits}Z`));
}

function entry(serial: readonly number[], ...extensions: readonly Uint8Array[]): Bytes {
  const list = extensions.length === 0 ? [] : [element(0x30, ...extensions)];
  return element(0x30, element(0x02, Uint8Array.from(serial)), time(now), ...list);
}

interface Parts {
  readonly version?: Uint8Array;
  readonly algorithm?: Uint8Array;
  readonly issuer?: Uint8Array;
  readonly times?: readonly Uint8Array[];
  readonly entries?: readonly Uint8Array[];
  readonly extensions?: readonly Uint8Array[];
  readonly more?: readonly Uint8Array[];
  readonly outerAlgorithm?: Uint8Array;
  readonly signer?: typeof keys;
}

async function crlWith(parts: Parts = {}): Promise<Bytes> {
  const { version = VERSION_2, algorithm = ECDSA_SHA256, issuer = ca.subject.der, extensions = [CRL_NUMBER] } = parts;
  const { times = [time(hours(-1)), time(hours(1))], entries = [entry([5])], more = [], signer = keys } = parts;
  const tbs = element(
    0x30,
    ...[version, algorithm, issuer, ...times],
    ...(entries.length === 0 ? [] : [element(0x30, ...entries)]),
    ...(extensions.length === 0 ? [] : [element(0xa0, element(0x30, ...extensions))]),
    ...more,
  );
  const raw = new Uint8Array(await crypto.subtle.sign(SIGN_ALGORITHMS["p-256"], signer.privateKey, tbs));
  const signature = element(0x03, new Uint8Array(1), derEcdsa(raw));
  return element(0x30, tbs, parts.outerAlgorithm ?? algorithm, signature);
}

const good = await crlWith({ entries: [entry([5], extension("551d15", fromHex("0a0101", "reason"))), entry([0])] });

async function judge(der: Uint8Array, issuer = ca, time = now): Promise<void> {
  await checkCrl(readCrl(der, "list"), issuer, time);
}

Deno.test("readCrl() reads versions 1 and 2, with entries and without", async () => {
  const crl = readCrl(good, "list");
  assert.deepEqual([...crl.revoked], ["05", "00"]);
  assert.deepEqual([crl.thisUpdate, crl.nextUpdate], [hours(-1), hours(1)]);
  await checkCrl(crl, ca, now);
  await judge(await crlWith({ entries: [] }));
  await judge(await crlWith({ entries: [], extensions: [] }));
  await judge(await crlWith({ version: new Uint8Array(), extensions: [] }));
});

Deno.test("isNewerCrl() compares the lists' numbers, and their times of issue where one has no number", async () => {
  const list = async (number: string | undefined, hour: number) => {
    const extensions = number === undefined ? [] : [extension("551d14", fromHex(number, "number"))];
    return readCrl(await crlWith({ extensions, times: [time(hours(hour)), time(hours(1))] }), "list");
  };
  const cases = [
    ["020102", -2, "020101", -1, true],
    ["020101", -1, "020102", -2, false],
    ["02020100", -1, "020200ff", -1, true],
    ["020101", -1, "020101", -2, true],
    ["020101", -1, "020101", -1, false],
    [undefined, -1, "020109", -2, true],
    [undefined, -2, undefined, -1, false],
    ["0400", -1, "020109", -2, true],
  ] as const;
  for (const [number, hour, otherNumber, otherHour, expected] of cases) {
    const lists = [await list(number, hour), await list(otherNumber, otherHour)] as const;
    assert.equal(isNewerCrl(...lists), expected, `${number} ${hour} ${otherNumber} ${otherHour}`);
  }
});

/** Malformed lists: the flaw, the parts of the list, and the code of the refusal. */
const ODD: readonly [what: string, parts: Parts, code: string][] = [
  ["version 3", { version: fromHex("020102", "version") }, "malformed/der"],
  ["version 1 with extensions", { version: new Uint8Array() }, "malformed/der"],
  ["version 1 with extensions of an entry", {
    version: new Uint8Array(),
    extensions: [],
    entries: [entry([5], extension("551d15", fromHex("0a0101", "reason")))],
  }, "malformed/der"],
  ["no next update", { times: [time(now)] }, "malformed/der"],
  [
    "an empty list",
    { entries: [], times: [time(now), time(hours(1)), element(0x30)] },
    "malformed/der",
  ],
  ["a GeneralizedTime before 2050", { times: [time(now, 0x18), time(hours(1))] }, "malformed/der"],
  ["a negative serial number", { entries: [entry([0x80])] }, "malformed/der"],
  ["a padded serial number", { entries: [entry([0, 5])] }, "malformed/der"],
  ["a serial number of 22 octets", { entries: [entry(Array.from({ length: 22 }, () => 1))] }, "malformed/der"],
  ["an entry inside an entry", { entries: [element(0x30, entry([5]))] }, "malformed/der"],
  ["a duplicate extension", { extensions: [CRL_NUMBER, CRL_NUMBER] }, "malformed/der"],
  ["a duplicate extension of an entry", { entries: [entry([5], CRL_NUMBER, CRL_NUMBER)] }, "malformed/der"],
  ["something after the extensions", { more: [fromHex("0500", "null")] }, "malformed/der"],
  ["two algorithms", { outerAlgorithm: fromHex("300a06082a8648ce3d040303", "algorithm") }, "malformed/der"],
  [
    "an unknown critical extension",
    { extensions: [extension("2a03", Uint8Array.of(5, 0), true)] },
    "refused/crl-extension",
  ],
  [
    "a critical extension of an entry",
    { entries: [entry([5], extension("2a03", Uint8Array.of(5, 0), true))] },
    "refused/crl-extension",
  ],
  ["a delta", { extensions: [extension("551d1b", fromHex("020101", "base"), true)] }, "refused/crl-extension"],
  [
    "a delta that is not marked",
    { extensions: [extension("551d1b", fromHex("020101", "base"))] },
    "refused/crl-extension",
  ],
  [
    "the part of a distribution point",
    { extensions: [extension("551d1c", fromHex("3000", "point"))] },
    "refused/crl-extension",
  ],
  [
    "entries of other issuers",
    { entries: [entry([5], extension("551d1d", fromHex("3000", "names")))] },
    "refused/crl-extension",
  ],
];

for (const [what, parts, code] of ODD) {
  Deno.test(`readCrl() refuses a list when it has ${what}`, async () => {
    const der = await crlWith(parts);
    await assertRefused(() => readCrl(der, "list"), code);
  });
}

Deno.test("readCrl() accepts the habits of vendors when the profile allows them", async () => {
  const generalized = await crlWith({ times: [time(hours(-1), 0x18), time(hours(1), 0x18)] });
  assert.deepEqual(readCrl(generalized, "list", "vendor").nextUpdate, hours(1));
  const empty = await crlWith({ entries: [], times: [time(now), time(hours(1)), element(0x30)] });
  assert.equal(readCrl(empty, "list", "vendor").revoked.size, 0);
});

Deno.test("checkCrl() refuses a list of another issuer, by another key, or by one that may not sign lists", async () => {
  await assertRefused(async () => judge(good, await authority("B")), "refused/crl-issuer");
  await assertRefused(async () => judge(await crlWith({ signer: other })), "refused/crl-signature");
  await assertRefused(async () => judge(good, await authority("A", ["keyCertSign"])), "refused/crl-key-usage");
  const sha1 = await crlWith({ algorithm: fromHex("300906072a8648ce3d0401", "algorithm") });
  await assertRefused(() => judge(sha1), "refused/signature-algorithm");
});

Deno.test("checkCrl() refuses a list when it is not yet valid or out of date, to the second", async () => {
  await judge(good, ca, hours(-1));
  await judge(good, ca, hours(1));
  await assertRefused(() => judge(good, ca, new Date(hours(-1).getTime() - 1)), "refused/crl-validity");
  const error = await assertRefused(() => judge(good, ca, new Date(hours(1).getTime() + 1)), "refused/crl-validity");
  assert.match(error.message, /"list"/);
});

Deno.test("checkNotRevoked() compares serial numbers, and only of certificates of the list's issuer", async () => {
  const certificate = (serial: string, from = ca): Certificate => ({
    ...from,
    serialNumber: fromHex(serial, "serial"),
  });
  const crl = readCrl(good, "list");
  checkNotRevoked(crl, certificate("06"));
  checkNotRevoked(crl, certificate("0005"));
  await assertRefused(() => checkNotRevoked(crl, certificate("05")), "refused/certificate-revoked");
  await assertRefused(() => checkNotRevoked(crl, certificate("00")), "refused/certificate-revoked");
  const foreign = await authority("B");
  await assertRefused(() => checkNotRevoked(crl, certificate("06", foreign)), "refused/crl-issuer");
});

Deno.test("readCrl() or checkCrl() refuses a list when any bit is flipped", async () => {
  for (const { flipped, at } of bitFlips(good)) {
    await assertRefused(() => judge(flipped), /^(?:malformed|refused)\//, at);
  }
});

Deno.test("readCrl() refuses a list when it is cut off, encoded a second way, or random bytes", async () => {
  for (let length = 0; length < good.length; length++) {
    await assertRefused(() => readCrl(good.subarray(0, length), "list"), "malformed/der");
  }
  const large = await crlWith({ entries: Array.from({ length: 20 }, (_, index) => entry([index + 1])) });
  for (const [how, der] of Object.entries(rewrapped(large))) {
    await assertRefused(() => readCrl(der, "list"), "malformed/der", how);
  }
  await assertRefused(() => readCrl(concat(good, Uint8Array.of(0)), "list"), "malformed/der");
  await assertRefused(() => readCrl(new Uint8Array((1 << 20) + 1), "list"), "malformed/der");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assert.throws(
      () => readCrl(bytes, "list"),
      (error) => error instanceof BootstrapError && error.code === "malformed/der",
    );
  }));
});

oracleTest("checkCrl() accepts Intel's revocation lists while they are valid", async (root) => {
  const at = new Date("2023-07-01T00:00:00Z");
  const rootCrl = readCrl(await Deno.readFile(join(root, "tdx/rootcrl.der")), "rootcrl.der");
  const [rootCa] = await certificatesIn(join(root, "tdx/trusted_root.pem"));
  assert.ok(rootCa !== undefined);
  await checkCrl(rootCrl, readCertificate(rootCa, "root", "vendor"), at);
  assert.equal(rootCrl.revoked.size, 0);

  const pckCrl = readCrl(await Deno.readFile(join(root, "tdx/pckcrl")), "pckcrl");
  const [platformCa] = await certificatesIn(join(root, "tdx/tdx_quote_collateral.json"));
  assert.ok(platformCa !== undefined);
  const issuer = readCertificate(platformCa, "platform CA", "vendor");
  await checkCrl(pckCrl, issuer, at);
  assert.equal(pckCrl.revoked.size, 44);
  checkNotRevoked(rootCrl, issuer);
  const revoked = {
    ...issuer,
    issuer: pckCrl.issuer,
    serialNumber: fromHex("6fc34e5023e728923435d61aa4b83c618166ad35", "serial"),
  };
  await assertRefused(() => checkNotRevoked(pckCrl, revoked), "refused/certificate-revoked");
  await assertRefused(() => checkCrl(pckCrl, issuer, new Date("2023-07-08T07:27:53Z")), "refused/crl-validity");
});
