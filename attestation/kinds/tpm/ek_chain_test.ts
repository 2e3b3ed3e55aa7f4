import assert from "node:assert/strict";
import fc from "fast-check";
import { readCertificate } from "../../../certificate/x509.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, fromHex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { readPolicy } from "../../policy/policy.ts";
import { writePem } from "../../../certificate/pem.ts";
import { certificateIn, certificatesIn } from "./ek_certificate.ts";
import { checkEkTrust, type EkIssuer, type EkTrust } from "./ek_trust.ts";
import {
  type AuthorityHash,
  type AuthorityKey,
  caOf,
  createEkAuthority,
  EK_USAGE,
  type EkAuthority,
  element,
  extensionOf,
  KEY_ENCIPHERMENT,
  keyUsageOf,
  TPM_ATTRIBUTES,
  TPM_NAMES,
} from "./testing/ek_authority.ts";
import { createSoftwareMachine } from "./testing/tpm.ts";

const machine = await createSoftwareMachine();
const AT = new Date("2027-01-01");
const EXPIRED = { notBefore: new Date("2015-01-01"), notAfter: new Date("2025-01-01") };
const EXTENSIONS = [TPM_NAMES, KEY_ENCIPHERMENT, EK_USAGE];
const root = createEkAuthority("root");

function issuerOf({ certificate }: EkAuthority, more: Partial<EkIssuer> = {}): EkIssuer {
  return { certificate: readCertificate(certificate, "test", "vendor"), attributes: TPM_ATTRIBUTES, ...more };
}

interface Shown {
  readonly certificate: Uint8Array;
  readonly chain?: readonly Uint8Array[];
}

function judge(trust: Partial<EkTrust>, shown: Shown): Promise<readonly string[]> {
  const key = { ekType: "rsa2048" as const, spki: machine.spki, identity: machine.identity, ...shown };
  return checkEkTrust({ identities: new Set(), issuers: [], ...trust }, key, AT);
}

function codeOf(trust: Partial<EkTrust>, shown: Shown): Promise<string> {
  return judge(trust, shown).then((remarks) => remarks.join("; "), (error) => {
    assert.ok(error instanceof BootstrapError, String(error));
    return error.code;
  });
}

function certify(authority: EkAuthority, form: Parameters<EkAuthority["issue"]>[0] = {}): Bytes {
  return authority.issue({ spki: machine.spki, extensions: EXTENSIONS, ...form });
}

const byIdentity = { identities: new Set([machine.identity]) };
const byRoot = { issuers: [issuerOf(root)] };

/** The RSA key of the machine under the identifier id-RSAES-OAEP. */
const oaep = element(0x30, fromHex("300d06092a864886f70d0101070500", ""), machine.spki.subarray(19));

Deno.test("checkEkTrust() uses a certificate inside the wrappers that manufacturers put around it", async () => {
  const good = certify(root);
  const header = (size: number) => Uint8Array.of(0x10, 0x01, 0, size >> 8, size & 0xff);
  const shapes: Readonly<Record<string, Uint8Array>> = {
    bare: good,
    "zeros behind": concat(good, new Uint8Array(300)),
    "FF behind": concat(good, new Uint8Array(300).fill(0xff)),
    "an OCTET STRING": element(0x04, good),
    "an OCTET STRING and padding": concat(element(0x04, good), new Uint8Array(9)),
    "the TCG's header": concat(header(good.length), good),
    "the TCG's header and tag": concat(header(good.length + 2), Uint8Array.of(0x10, 0x02), good),
    "the TCG's header around an OCTET STRING": concat(header(element(0x04, good).length), element(0x04, good)),
  };
  for (const [name, certificate] of Object.entries(shapes)) {
    for (const trust of [byRoot, byIdentity]) assert.equal(await codeOf(trust, { certificate }), "", name);
  }
});

Deno.test("checkEkTrust() reads what vendors write otherwise than DER wants, where it has one meaning", async () => {
  const [usage = root.certificate] = [extensionOf("551d0f", fromHex("03020520", ""), "false")];
  const explicitNoCa = extensionOf("551d13", fromHex("3003010100", ""), true);
  const shapes: Readonly<Record<string, readonly Uint8Array[]>> = {
    "critical FALSE written out": [TPM_NAMES, usage, EK_USAGE],
    "cA FALSE written out": [...EXTENSIONS, explicitNoCa],
    "no key usage": [TPM_NAMES, EK_USAGE],
    "a key usage without a name": [TPM_NAMES, EK_USAGE, keyUsageOf("0303012002")],
  };
  for (const [name, extensions] of Object.entries(shapes)) {
    assert.equal(await codeOf(byRoot, { certificate: certify(root, { extensions }) }), "", name);
  }
  assert.equal(await codeOf(byRoot, { certificate: certify(root, { spki: oaep }) }), "", "an OAEP key");
});

Deno.test("checkEkTrust() trusts a listed machine whatever its certificate is, and remarks on it", async () => {
  const good = certify(root);
  const other = await createSoftwareMachine();
  const shapes: Readonly<Record<string, Uint8Array>> = {
    "FF only": new Uint8Array(1024).fill(0xff),
    "zeros only": new Uint8Array(64),
    "a text": new TextEncoder().encode("<html>"),
    "cut off": good.subarray(0, 100),
    "version 1": certify(root, { version: new Uint8Array(), extensions: [] }),
    "a padded serial number": certify(root, { serial: Uint8Array.of(0, 0x11, 0x22) }),
    "a TeletexString": certify(root, { name: "x", nameTag: 0x14 }),
    "an underscore in a PrintableString": certify(root, { name: "a_b", nameTag: 0x13 }),
    "another key": root.issue({ spki: other.spki, extensions: EXTENSIONS }),
    "an unknown kind of key": root.issue({ spki: fromHex("3005300306012a", ""), extensions: EXTENSIONS }),
  };
  for (const [name, certificate] of Object.entries(shapes)) {
    assert.match(await codeOf(byIdentity, { certificate }), /certificate .*by its identity/, name);
    const error = await errorOf(() => judge(byRoot, { certificate }));
    assert.match(error.code, /^refused\/ek-certificate-(?:form|key)$/, name);
    if (error.code === "refused/ek-certificate-form") {
      assert.match(error.message, new RegExp(`list its identity ${machine.identity}`));
    }
  }
  fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (certificate) => {
      await judge(byIdentity, { certificate });
    }),
  );
  for (let index = 0; index < good.length; index++) {
    await judge(byIdentity, { certificate: flipped(good, index) });
  }
});

Deno.test("checkEkTrust() says of a certificate without usages what is missing, and what helps", async () => {
  const without = certify(root, { extensions: [TPM_NAMES] });
  const error = await errorOf(() => judge(byRoot, { certificate: without }));
  assert.equal(error.code, "refused/ek-certificate-key-usage");
  assert.match(`${error.message} ${error.next}`, /neither a key usage nor the extended key usage.*identity/);
  const signing = certify(root, { extensions: [TPM_NAMES, EK_USAGE, keyUsageOf("03020780")] });
  assert.match((await errorOf(() => judge(byRoot, { certificate: signing }))).message, /lacks keyEncipherment/);
  const server = certify(root, {
    extensions: [...EXTENSIONS.slice(0, 2), extensionOf("551d25", fromHex("300a06082b06010505070301", ""))],
  });
  assert.equal(await codeOf(byRoot, { certificate: server }), "refused/ek-certificate-usage");
  const ca = certify(root, { extensions: [...EXTENSIONS, caOf()] });
  assert.equal(await codeOf(byRoot, { certificate: ca }), "refused/ek-certificate-constraints");
});

const keys: readonly (readonly [AuthorityKey, AuthorityHash])[] = [
  ["P-256", "sha512"],
  ["P-384", "sha512"],
  ["P-521", "sha384"],
  ["P-521", "sha512"],
  ["rsa", "sha512"],
];
for (const [key, hash] of keys) {
  Deno.test(`checkEkTrust() accepts a certificate by an authority with ${key} and ${hash}, and no changed one`, async () => {
    const authority = createEkAuthority("maker", key, hash);
    const trust = { issuers: [issuerOf(authority)] };
    const certificate = certify(authority);
    assert.equal(await codeOf(trust, { certificate }), "");
    for (let at = 60; at < certificate.length; at += 37) {
      assert.match(await codeOf(trust, { certificate: flipped(certificate, at) }), /^(?:refused|malformed)\//);
    }
  });
}

Deno.test("readPolicy() refuses an authority whose key nothing can verify by, and names the entry and the key", async () => {
  const entry = (certificate: Uint8Array, more = "") => {
    const pem = writePem("CERTIFICATE", certificate).trimEnd().replaceAll("\n", "\n            ");
    return `      - attributes: { tpmManufacturer: "id:45584100" }\n        certificate: |\n            ${pem}\n${more}`;
  };
  const policyOf = (issuers: string, more = "") =>
    readPolicy(
      `version: 1\nvariant: tpm\ntpm:\n  ekType: rsa2048\n  pcrs: { "4": ["${"04".repeat(32)}"] }\n` +
        `  trust:\n    issuers:\n${issuers}${more}`,
      "it",
    );
  const unusable = createEkAuthority("maker", "brainpoolP256r1");
  const error = await errorOf(() => policyOf(entry(unusable.certificate)));
  assert.equal(error.code, "usage/document");
  assert.match(error.message, /tpm\.trust\.issuers\[0\]\.certificate: .*1\.3\.36\.3\.3\.2\.8\.1\.1\.7.*P-521/);
  const below = entry(unusable.certificate).replace(
    '- attributes: { tpmManufacturer: "id:45584100" }\n        certificate:',
    "-",
  );
  assert.match(
    (await errorOf(() => policyOf(entry(root.certificate), `    intermediates:\n${below}`))).message,
    /tpm\.trust\.intermediates\[0\]/,
  );
  const strange = createEkAuthority("maker", "P-256", "sha256", { extensions: [caOf(), keyUsageOf("0303010402")] });
  policyOf(entry(strange.certificate, "        allowExpired: true\n"));
  const noSigner = createEkAuthority("maker", "P-256", "sha256", { extensions: [caOf(), keyUsageOf("03020780")] });
  assert.match((await errorOf(() => policyOf(entry(noSigner.certificate)))).message, /may not sign certificates/);
});

/** Intel's way: authorities of one processor, of which the policy knows only the highest one. */
const rom = root.below("ROM CA");
const kernel = rom.below("Kernel CA");
const ptt = kernel.below("PTT CA", { extensions: [caOf(0), keyUsageOf("03020204")] });
const onDie = [ptt, kernel, rom].map(({ certificate }) => certificate);

Deno.test("checkEkTrust() climbs over authorities that the TPM stores, or that the policy lists, in any order", async () => {
  const certificate = certify(ptt);
  assert.equal(await codeOf(byRoot, { certificate, chain: onDie }), "");
  assert.equal(await codeOf(byRoot, { certificate, chain: onDie.toReversed() }), "");
  assert.equal(await codeOf(byRoot, { certificate }), "refused/ek-issuer");
  const cut = await errorOf(() => judge(byRoot, { certificate, chain: onDie.slice(0, 2) }));
  assert.equal(cut.code, "refused/ek-issuer");
  assert.equal(cut.details["seen"], "CN=ROM CA");
  const intermediates = [rom, kernel].map((one) => readCertificate(one.certificate, "test", "vendor"));
  assert.equal(await codeOf({ ...byRoot, intermediates }, { certificate, chain: [ptt.certificate] }), "");
  const odd = await judge(byRoot, { certificate, chain: [Uint8Array.of(0x30, 3, 1), ...onDie] });
  assert.match(odd.join(), /certificate 0 of the endorsement key's chain/);
});

Deno.test("checkEkTrust() takes no authority of a chain that may not certify, or that nobody trusted signed", async () => {
  const through = (authority: EkAuthority) =>
    codeOf(byRoot, { certificate: certify(authority), chain: [authority.certificate] });
  const forms: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ["refused/ek-issuer-constraints", [keyUsageOf("03020106")]],
    ["refused/ek-issuer-key-usage", [caOf(), keyUsageOf("03020780")]],
    ["refused/ek-issuer-usage", [
      ...[caOf(), keyUsageOf("03020106")],
      extensionOf("551d25", fromHex("300a06082b06010505070301", "")),
    ]],
    ["refused/critical-extension", [caOf(), keyUsageOf("03020106"), extensionOf("2a03", element(0x05), true)]],
  ];
  for (const [code, extensions] of forms) assert.equal(await through(root.below("below", { extensions })), code);
  const below = ptt.below("too deep");
  const chain = [below.certificate, ...onDie];
  assert.equal(await codeOf(byRoot, { certificate: certify(below), chain }), "refused/ek-issuer-constraints");
  const forger = createEkAuthority("root").below("ROM CA");
  assert.equal(await through(forger), "refused/certificate-signature");
  const impostor = createEkAuthority("PTT CA");
  assert.equal(await codeOf(byRoot, { certificate: certify(impostor), chain: onDie }), "refused/ek-issuer");
});

Deno.test("checkEkTrust() ends, however many authorities of one name a machine sends", async () => {
  const loop = createEkAuthority("loop");
  const chain = Array.from({ length: 8 }, (_, serial) =>
    loop.issue({
      ...{ name: "loop", serial: Uint8Array.of(serial + 1) },
      spki: readCertificate(loop.certificate, "test").spki,
      extensions: [caOf(), keyUsageOf("03020106")],
    }));
  assert.equal(await codeOf(byRoot, { certificate: certify(loop), chain }), "refused/ek-issuer");
});

Deno.test("checkEkTrust() finds a machine's own chain, however many authorities of its names the policy lists", async () => {
  const keyIdentifier = (id: number) => extensionOf("551d0e", element(0x04, Uint8Array.of(id)));
  const authorityOf = (id: number) => extensionOf("551d23", element(0x30, element(0x80, Uint8Array.of(id))));
  const others = Array.from({ length: 14 }, (_, id) => {
    const extensions = [caOf(), keyUsageOf("03020204"), keyIdentifier(id)];
    return root.below("PTT CA", { extensions }).certificate;
  });
  const read = (certificates: readonly Uint8Array[]) =>
    certificates.map((one) => readCertificate(one, "test", "vendor"));
  const trust = { ...byRoot, intermediates: read(others) };
  assert.equal(await codeOf(trust, { certificate: certify(ptt), chain: onDie }), "");
  // The policy's right one counts, whatever the machine sends, and whether it has key identifiers or not.
  const below = (extensions: readonly Uint8Array[]) => root.below("PTT CA", { extensions });
  for (const id of [[], [keyIdentifier(99)]]) {
    const right = below([caOf(), keyUsageOf("03020204"), ...id]);
    const certificate = certify(right, { extensions: [...EXTENSIONS, ...(id.length === 0 ? [] : [authorityOf(99)])] });
    const intermediates = read([...others, right.certificate]);
    assert.equal(await codeOf({ ...byRoot, intermediates }, { certificate }), "");
    const alone = { ...byRoot, intermediates: read([right.certificate]) };
    assert.equal(await codeOf(alone, { certificate, chain: others }), "");
    // A right one that the machine sends behind too many others counts if its key identifier tells it from them.
    const sent = { certificate, chain: [...others, right.certificate] };
    if (id.length > 0) assert.equal(await codeOf(byRoot, sent), "");
    else {
      const error = await errorOf(() => judge(byRoot, sent));
      assert.match(`${error.code} ${error.message}`, /refused\/ek-issuer Too many authorities have the name CN=PTT CA/);
    }
  }
});

Deno.test("checkEkTrust() names an authority whose key it cannot use, and what helps", async () => {
  const strange = createEkAuthority("strange", "brainpoolP256r1");
  const shown = { certificate: certify(strange), chain: [strange.certificate] };
  const error = await errorOf(() => judge(byRoot, shown));
  assert.equal(error.code, "refused/ek-issuer");
  assert.match(error.message, /leads over CN=strange, whose key this version cannot use: .*P-521/);
  assert.match(error.next, /tpm\.trust\.identities/);
});

Deno.test("checkEkTrust() counts expired certificates only where the policy says so, and never ones of the future", async () => {
  const expired = createEkAuthority("old maker", "P-256", "sha256", EXPIRED);
  const shown = { certificate: certify(expired) };
  const error = await errorOf(() => judge({ issuers: [issuerOf(expired)] }, shown));
  assert.equal(error.code, "refused/ek-issuer-validity");
  assert.match(`${error.message} ${error.next}`, /old maker has expired.*allowExpired: true/);
  const forgiven = { issuers: [issuerOf(expired, { allowExpired: true })] };
  assert.match((await judge(forgiven, shown)).join(), /old maker expired on 2025-01-01/);
  const key = { certificate: certify(root, EXPIRED) };
  assert.equal(await codeOf(byRoot, key), "refused/ek-certificate-validity");
  assert.match((await judge({ issuers: [issuerOf(root, { allowExpired: true })] }, key)).join(), /expired on 2025/);
  const below = root.below("old step", EXPIRED);
  const chain = [below.certificate];
  assert.equal(await codeOf(byRoot, { certificate: certify(below), chain }), "refused/ek-issuer-validity");
  const future = certify(root, { notBefore: new Date("2030-01-01") });
  const early = { issuers: [issuerOf(root, { allowExpired: true })] };
  assert.equal(await codeOf(early, { certificate: future }), "refused/ek-certificate-validity");
});

Deno.test("checkEkTrust() finds an authority whose name is in another type of string in its certificates", async () => {
  const printable = createEkAuthority("maker", "P-256", "sha256", { nameTag: 0x13 });
  const certificate = readCertificate(printable.certificate, "test", "vendor");
  const renamed = { ...certificate, subject: { ...certificate.subject, der: fromHex("3000", "") } };
  const trust = { issuers: [{ certificate: renamed, attributes: TPM_ATTRIBUTES }] };
  assert.equal(await codeOf(trust, { certificate: certify(printable) }), "");
});

Deno.test("certificateIn() and certificatesIn() return parts of what they get, whatever it is", () => {
  const good = certify(root);
  assert.deepEqual(certificatesIn(concat(good, good, new Uint8Array(7)), 8), [good, good]);
  assert.deepEqual(certificatesIn(concat(good, good, good), 2), [good, good]);
  assert.deepEqual(certificatesIn(good.subarray(0, -1), 8), []);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom([], [0x10, 1, 0], [0x30, 0x82], [4]),
      (bytes, start) => {
        const content = concat(Uint8Array.from(start), bytes);
        assert.ok(certificateIn(content).length <= content.length);
        const split = certificatesIn(content, 4);
        assert.ok(split.length <= 4 && split.reduce((sum, { length }) => sum + length, 0) <= content.length);
      },
    ),
  );
});
