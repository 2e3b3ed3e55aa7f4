import assert from "node:assert/strict";
import { concat } from "../platform/bytes.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { sliceOfFlips, takeSlice } from "../tests/full/slice.ts";
import { assertRefused, bitFlips, element, fieldsOf, resigned, rewrapped } from "./testing/certificates.ts";
import { type CertificateTemplate, mintCertificate } from "./_mint.ts";
import {
  type CertificateAuthority,
  createCertificateAuthority,
  issueAdminCertificate,
  issueClientCertificate,
  issueServiceCertificate,
} from "./ca.ts";
import { issueNodeCertificates } from "./testing/node_certificates.ts";
import {
  checkAdminCertificate,
  checkCaCertificate,
  checkNodeCertificate,
  checkServiceCertificate,
  checkServingCertificate,
} from "./chain.ts";
import { clusterIdOf } from "./cluster_id.ts";
import { EXT_KEY_USAGE } from "./extensions.ts";
import { generateKeyPair } from "./keys.ts";
import { ATTRIBUTE, type NameAttribute } from "./name.ts";
import { ADMIN_SUBJECT, admittedNodeSubject, nodeSubject, signerSubject } from "./subjects.ts";

const now = new Date("2026-01-02T03:04:05Z");
const later = (ms: number) => new Date(now.getTime() + ms);
const DAY_MS = 24 * 3600 * 1000;

const ca = await createCertificateAuthority(now);
const clusterId = await clusterIdOf(ca.certificate);
const client = await generateKeyPair("p-256");
const CA_TEMPLATE: CertificateTemplate = {
  subject: [{ oid: ATTRIBUTE.commonName, value: "kubernetes" }],
  spki: ca.keys.spki,
  notBefore: now,
  notAfter: later(DAY_MS),
  isCa: true,
  keyUsage: ["keyCertSign"],
  extKeyUsage: [],
  dnsNames: [],
};
const CLIENT_TEMPLATE: CertificateTemplate = {
  subject: signerSubject("cp-1"),
  spki: client.spki,
  notBefore: now,
  notAfter: later(DAY_MS),
  isCa: false,
  keyUsage: ["digitalSignature"],
  extKeyUsage: [EXT_KEY_USAGE.clientAuth],
  dnsNames: [],
};
const ADMISSION = { admissionUid: "0f8fad5b-d9cb-469f-a165-70867728950e", epoch: 7 };
const nodeCertificate = (name: string) =>
  issueClientCertificate(ca, {
    spki: client.spki,
    subject: admittedNodeSubject(name, ADMISSION),
    lifetimeMs: DAY_MS,
  }, now);
const expectedNode = {
  nodeName: "one",
  clientKey: client.spki,
  servingKey: client.spki,
  addresses: ["192.0.2.7", "2001:db8::7"],
};

const slice = sliceOfFlips();

Deno.test("checkCaCertificate() accepts the cluster's CA", async () => {
  assert.deepEqual((await checkCaCertificate(ca.certificate.der, clusterId)).der, ca.certificate.der);
});

Deno.test("checkCaCertificate() shows both IDs when the CA belongs to another cluster", async () => {
  const other = await createCertificateAuthority(now);
  const error = await assertRefused(
    () => checkCaCertificate(other.certificate.der, clusterId),
    "refused/ca-cluster-id",
  );
  assert.equal(error.details.check, "ca-cluster-id");
  assert.equal(error.details.expected, `sha256:${clusterId.toHex()}`);
  assert.match(error.details.seen ?? "", /^sha256:[0-9a-f]{64}$/);
});

for (
  const [name, code, change] of [
    ["it is not a CA", "refused/ca-constraints", { isCa: false }],
    ["it may not sign certificates", "refused/ca-key-usage", { keyUsage: ["digitalSignature"] }],
  ] as const
) {
  Deno.test(`checkCaCertificate() refuses a certificate of the right key when ${name}`, async () => {
    const odd = await mintCertificate({ ...CA_TEMPLATE, ...change }, { keys: ca.keys });
    await assertRefused(() => checkCaCertificate(odd.der, clusterId), code);
  });
}

Deno.test("checkCaCertificate() refuses a certificate of the right key when another key signed it", async () => {
  const other = await createCertificateAuthority(now);
  const sameName = await mintCertificate(CA_TEMPLATE, other);
  await assertRefused(() => checkCaCertificate(sameName.der, clusterId), "refused/certificate-signature");
  const subject = [{ oid: ATTRIBUTE.commonName, value: "other" }];
  const otherName = await mintCertificate({ ...CA_TEMPLATE, subject }, other);
  await assertRefused(() => checkCaCertificate(otherName.der, clusterId), "refused/ca-issuer");
});

Deno.test("checkCaCertificate() refuses the CA's certificate when any bit is flipped or it is encoded a second way", async () => {
  const { der } = ca.certificate;
  for (const { flipped, at } of takeSlice([...bitFlips(der)], slice)) {
    await assertRefused(() => checkCaCertificate(flipped, clusterId), /^(malformed|refused)\//, at);
  }
  for (const [way, odd] of Object.entries(rewrapped(der))) {
    await assertRefused(() => checkCaCertificate(odd, clusterId), "malformed/der", way);
  }
});

/** Each check, with what differs in the certificate that it accepts. */
const CHECKS: readonly [
  name: string,
  template: Partial<CertificateTemplate> & { readonly subject: readonly NameAttribute[] },
  check: (der: Uint8Array, at?: Date, authority?: CertificateAuthority) => Promise<unknown>,
][] = [
  [
    "checkServiceCertificate()",
    { subject: signerSubject("cp-1") },
    (der, at = now, by = ca) => checkServiceCertificate(der, by.certificate, at),
  ],
  [
    "checkNodeCertificate()",
    { subject: admittedNodeSubject("one", ADMISSION) },
    (der, at = now, by = ca) => checkNodeCertificate(der, by.certificate, { ...expectedNode, now: at }),
  ],
  [
    "checkServingCertificate()",
    {
      subject: nodeSubject("one"),
      extKeyUsage: [EXT_KEY_USAGE.serverAuth],
      dnsNames: ["one"],
      addresses: [Uint8Array.of(192, 0, 2, 7), addressBytes("2001:db8::7") ?? new Uint8Array()],
    },
    (der, at = now, by = ca) => checkServingCertificate(der, by.certificate, { ...expectedNode, now: at }),
  ],
  [
    "checkAdminCertificate()",
    { subject: ADMIN_SUBJECT },
    (der, at = now, by = ca) => checkAdminCertificate(der, by.certificate, client.spki, at),
  ],
];

for (const [name, template, check] of CHECKS) {
  const { subject } = template;
  const isServing = template.dnsNames !== undefined;
  const [own, other] = isServing
    ? [EXT_KEY_USAGE.serverAuth, EXT_KEY_USAGE.clientAuth]
    : [EXT_KEY_USAGE.clientAuth, EXT_KEY_USAGE.serverAuth];
  const mint = (change: Partial<CertificateTemplate> = {}, by: CertificateAuthority = ca) =>
    mintCertificate({ ...CLIENT_TEMPLATE, ...template, ...change }, by);

  Deno.test(`${name} accepts its certificate from its first to its last second, while the CA is valid`, async () => {
    const { der, notBefore, notAfter } = await mint();
    await check(der, notBefore);
    await check(der, notAfter);
    for (const at of [new Date(notBefore.getTime() - 1), new Date(notAfter.getTime() + 1)]) {
      const error = await assertRefused(() => check(der, at), "refused/certificate-validity");
      assert.equal(error.details.seen, at.toISOString());
      assert.equal(error.details.expected, `${notBefore.toISOString()} to ${notAfter.toISOString()}`);
    }
    const beyond = await mint({ notAfter: later(20 * 365 * DAY_MS) });
    await assertRefused(() => check(beyond.der, later(11 * 365 * DAY_MS)), "refused/certificate-validity");
  });

  Deno.test(`${name} refuses a certificate when any bit is flipped or it is encoded a second way`, async () => {
    const { der } = await mint();
    for (const { flipped, at } of takeSlice([...bitFlips(der)], slice)) {
      await assertRefused(() => check(flipped), /^(malformed|refused)\//, at);
    }
    for (const [way, odd] of Object.entries(rewrapped(der))) {
      await assertRefused(() => check(odd), "malformed/der", way);
    }
    for (let length = 0; length < der.length; length++) {
      await assertRefused(() => check(der.subarray(0, length)), "malformed/der", `${length} bytes`);
    }
    await assertRefused(() => check(concat(der, der)), "malformed/der");
  });

  Deno.test(`${name} refuses a certificate when another CA signed it, of the same name or another`, async () => {
    const sameName = await createCertificateAuthority(now);
    const { der } = await mint({}, sameName);
    await assertRefused(() => check(der), "refused/certificate-signature");
    const otherCa = { ...CA_TEMPLATE, spki: client.spki, subject: nodeSubject("ca") };
    const otherName = { keys: client, certificate: await mintCertificate(otherCa, { keys: client }) };
    const error = await assertRefused(async () => check((await mint({}, otherName)).der), "refused/certificate-issuer");
    assert.equal(error.details.seen, "O=system:nodes, CN=system:node:ca");
  });

  const refusals: readonly [name: string, code: string, change: Partial<CertificateTemplate>][] = [
    ["belongs to a kubelet", "refused/certificate-subject", { subject: nodeSubject("two") }],
    ["has one more organization", "refused/certificate-subject", {
      subject: [...subject, { oid: ATTRIBUTE.organization, value: "system:masters" }],
    }],
    ["has only its common name", "refused/certificate-subject", { subject: subject.slice(1) }],
    ["has its common name twice", "refused/certificate-subject", { subject: [...subject, ...subject.slice(1)] }],
    ["has another attribute in its name", "refused/certificate-subject", {
      subject: [...subject, { oid: "2.5.4.11", value: "x" }],
    }],
    ["has an empty subject", "refused/certificate-subject", { subject: [] }],
    ["carries another DNS name", "refused/certificate-names", { dnsNames: ["kubernetes"] }],
    ["carries another address", "refused/certificate-names", { addresses: [Uint8Array.of(10, 96, 0, 1)] }],
    ["belongs to a CA", "refused/certificate-constraints", { isCa: true }],
    ["may sign certificates", "refused/certificate-constraints", { keyUsage: ["digitalSignature", "keyCertSign"] }],
    ["may not sign", "refused/certificate-key-usage", { keyUsage: ["keyEncipherment"] }],
    ["is for another usage", "refused/certificate-usage", { extKeyUsage: [other] }],
    ["is also for another usage", "refused/certificate-usage", { extKeyUsage: [own, other] }],
    ["is for any use", "refused/certificate-usage", { extKeyUsage: [] }],
  ];
  for (const [what, code, change] of refusals) {
    Deno.test(`${name} refuses a certificate when it ${what}`, async () => {
      const { der } = await mint(change);
      const { details } = await assertRefused(() => check(der), code);
      assert.equal(`refused/${details.check}`, code);
      assert.ok(details.expected !== undefined && details.seen !== undefined);
    });
  }
}

/** A correctly signed certificate with an additional critical extension of an unknown type. */
function withUnknownCritical(der: Uint8Array): Promise<Uint8Array> {
  const unknown = element(
    0x30,
    Uint8Array.of(0x06, 3, 0x55, 0x1d, 0x1e),
    Uint8Array.of(0x01, 1, 0xff),
    element(0x04, element(0x30)),
  );
  return resigned(der, ca.keys, (fields) => {
    const [list = der] = fieldsOf(fields.at(-1) ?? der);
    return [...fields.slice(0, -1), element(0xa3, element(0x30, ...fieldsOf(list), unknown))];
  });
}

Deno.test("checks refuse a certificate when it has a critical extension that they do not know", async () => {
  const service = (await issueServiceCertificate(ca, "cp-1", client.spki, now)).der;
  const same = await resigned(service, ca.keys, (fields) => fields);
  await checkServiceCertificate(same, ca.certificate, now);
  const [odd, oddCa] = [await withUnknownCritical(service), await withUnknownCritical(ca.certificate.der)];
  const check = () => checkServiceCertificate(odd, ca.certificate, now);
  assert.equal((await assertRefused(check, "refused/critical-extension")).details.seen, "2.5.29.30");
  await assertRefused(() => checkCaCertificate(oddCa, clusterId), "refused/critical-extension");
});

Deno.test("checks refuse each other's certificates", async () => {
  const service = (await issueServiceCertificate(ca, "cp-1", client.spki, now)).der;
  const admin = (await issueAdminCertificate(ca, client.spki, now)).der;
  const node = (await nodeCertificate("one")).der;
  const { certificate } = ca;
  await checkServiceCertificate(service, certificate, now);
  await checkAdminCertificate(admin, certificate, client.spki, now);
  await checkNodeCertificate(node, certificate, { ...expectedNode, now });
  for (const der of [admin, node]) {
    await assertRefused(() => checkServiceCertificate(der, certificate, now), "refused/certificate-subject");
  }
  for (const der of [service, node]) {
    await assertRefused(() => checkAdminCertificate(der, certificate, client.spki, now), "refused/certificate-subject");
  }
  for (const der of [service, admin, (await nodeCertificate("two")).der]) {
    await assertRefused(
      () => checkNodeCertificate(der, certificate, { ...expectedNode, now }),
      "refused/certificate-subject",
    );
  }
  await assertRefused(() => checkServiceCertificate(certificate.der, certificate, now), "refused/certificate-subject");
});

Deno.test("checks refuse a certificate when it is for another key", async () => {
  const other = await generateKeyPair("p-256");
  const node = (await nodeCertificate("one")).der;
  const admin = (await issueAdminCertificate(ca, client.spki, now)).der;
  const { certificate } = ca;
  await assertRefused(
    () => checkNodeCertificate(node, certificate, { ...expectedNode, clientKey: other.spki, now }),
    "refused/certificate-key",
  );
  await assertRefused(() => checkAdminCertificate(admin, certificate, other.spki, now), "refused/certificate-key");
});

Deno.test("checkServiceCertificate() accepts the join service of any node, and no other form of its name", async () => {
  const check = async (subject: readonly NameAttribute[]) =>
    await checkServiceCertificate(
      (await mintCertificate({ ...CLIENT_TEMPLATE, subject }, ca)).der,
      ca.certificate,
      now,
    );
  for (const name of ["cp-1", "a", "x".repeat(63)]) await check(signerSubject(name));
  const named = (value: string) => [
    { oid: ATTRIBUTE.organization, value: "bootstrapper:signers" },
    { oid: ATTRIBUTE.commonName, value },
  ];
  for (
    const subject of [
      ...["", "A", "-a", "a/b", "a:b", "x".repeat(64)].map(signerSubject),
      named("bootstrapper:signer"),
      named("bootstrapper:join-service"),
      named("system:node:cp-1"),
      [{ oid: ATTRIBUTE.organization, value: "bootstrapper:join-services" }, ...signerSubject("cp-1").slice(1)],
    ]
  ) await assertRefused(() => check(subject), "refused/certificate-subject", JSON.stringify(subject));
});

Deno.test("checkNodeCertificate() wants exactly one admission and one epoch, in their own forms", async () => {
  const [organization = { oid: "", value: "" }, admission = organization, epoch = organization, user = organization] =
    admittedNodeSubject("one", ADMISSION);
  const check = async (subject: readonly NameAttribute[]) =>
    await checkNodeCertificate(
      (await mintCertificate({ ...CLIENT_TEMPLATE, subject }, ca)).der,
      ca.certificate,
      { ...expectedNode, now },
    );
  await check([user, epoch, admission, organization]);
  const as = (value: string) => ({ oid: ATTRIBUTE.organization, value });
  for (
    const subject of [
      nodeSubject("one"),
      [organization, epoch, user],
      [organization, admission, user],
      [organization, admission, admission, epoch, user],
      [organization, admission, as(`${admission.value.slice(0, -1)}f`), epoch, user],
      [organization, admission, epoch, as("bootstrapper:epoch:8"), user],
      [organization, as("bootstrapper:admission:"), epoch, user],
      [organization, as(admission.value.toUpperCase()), epoch, user],
      [organization, as(`${admission.value}'`), epoch, user],
      ...["0", "-1", "01", "1.5", ""].map((
        value,
      ) => [organization, admission, as(`bootstrapper:epoch:${value}`), user]),
      [organization, admission, epoch, as("system:masters"), user],
    ]
  ) await assertRefused(() => check(subject), "refused/certificate-subject", JSON.stringify(subject));
});

Deno.test("checkServingCertificate() wants exactly the node's name, addresses and key", async () => {
  const { serving } = await issueNodeCertificates(ca, { ...expectedNode, ...ADMISSION, lifetimeMs: DAY_MS }, now);
  const check = (changes: Partial<typeof expectedNode>) =>
    checkServingCertificate(serving.der, ca.certificate, { ...expectedNode, ...changes, now });
  await check({});
  await check({ addresses: ["2001:db8:0::7", "192.0.2.7"] });
  await assertRefused(() => check({ addresses: ["192.0.2.7"] }), "refused/certificate-names");
  await assertRefused(
    () => check({ addresses: [...expectedNode.addresses, "192.0.2.8"] }),
    "refused/certificate-names",
  );
  await assertRefused(() => check({ nodeName: "two" }), "refused/certificate-subject");
  const { spki } = await generateKeyPair("p-256");
  await assertRefused(() => check({ servingKey: spki }), "refused/certificate-key");
});
