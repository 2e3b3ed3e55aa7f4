import assert from "node:assert/strict";
import fc from "fast-check";
import type { NameAttribute } from "../certificate/name.ts";
import type { ServingCsr } from "../certificate/serving_csr.ts";
import { nodeSubject } from "../certificate/subjects.ts";
import type { AlternativeName } from "../certificate/extensions.ts";
import type { AdmissionRecord } from "../kubernetes/admission_records.ts";
import type { ServingRequest } from "../kubernetes/serving_certificates.ts";
import { fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { clusterNetwork } from "./claims_check.ts";
import { checkServing, requestingNode } from "./serving_check.ts";

interface Case {
  readonly request: ServingRequest;
  readonly csr: ServingCsr;
  readonly record: AdmissionRecord | undefined;
}

const nothing = new Uint8Array();
const named = (attributes: readonly NameAttribute[]) => ({ der: nothing, attributes });
const ip = (hex: string): AlternativeName => ({ type: "ip", value: fromHex(hex, "address") });
const dns = (value: string): AlternativeName => ({ type: "dns", value });

const record: AdmissionRecord = {
  ...{ identity: "a1".repeat(32), nodeName: "worker-1", role: "worker", nodeKey: "AAAA" },
  ...{ addresses: ["192.0.2.7", "2001:0DB8::0:7"], evidenceDigest: "00".repeat(32) },
};
const right: Case = {
  request: {
    ...{
      name: "csr-x",
      uid: "1",
      signerName: "kubernetes.io/kubelet-serving",
      isDecided: false,
      request: "",
      object: {},
    },
    ...{ username: "system:node:worker-1", groups: ["system:nodes", "system:authenticated"] },
    usages: ["digital signature", "server auth"],
  },
  csr: {
    ...{ der: nothing, spki: nothing, keyType: "p-256", subject: named(nodeSubject("worker-1")) },
    names: [dns("worker-1"), ip("c0000207"), ip("20010db8000000000000000000000007")],
  },
  record,
};

function caseWith(request: Partial<ServingRequest>, csr: Partial<ServingCsr> = {}): Case {
  return { request: { ...right.request, ...request }, csr: { ...right.csr, ...csr }, record };
}

function withRecord(changes: Partial<AdmissionRecord>): Case {
  return { ...right, record: { ...record, ...changes } };
}

const network = clusterNetwork(["198.51.100.1:6443"], "kubernetesVersion: v1.36.3\n");
const check = ({ request, csr, record }: Case) => checkServing(request, csr, record, network);

/** The error with which a case is refused. */
function refusalOf(one: Case): BootstrapError {
  try {
    check(one);
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    return error;
  }
  assert.fail("it was not refused");
}

const [o, cn] = nodeSubject("worker-1");
assert.ok(o !== undefined && cn !== undefined);
const email: AlternativeName = { type: "other", value: new Uint8Array(utf8("\x81\x03a@b")) };
const uri: AlternativeName = { type: "other", value: new Uint8Array(utf8("\x86\x03a:b")) };

const ACCEPTED: readonly [name: string, one: Case][] = [
  ["asks for its name and all its addresses", right],
  ["asks for its name only", caseWith({}, { names: [dns("worker-1")] })],
  ["asks for one address only", caseWith({}, { names: [ip("c0000207")] })],
  ["has an RSA key, and the usage for it", {
    ...caseWith({ usages: ["key encipherment", "server auth", "digital signature"] }, { keyType: "rsa" }),
  }],
  [
    "lists groups and usages in another order",
    caseWith({
      groups: ["system:authenticated", "system:nodes"],
      usages: ["server auth", "digital signature"],
    }),
  ],
];

for (const [name, one] of ACCEPTED) {
  Deno.test(`checkServing() accepts a request when an admitted node ${name}`, () => check(one));
}

const REFUSED: readonly [what: string, name: string, one: Case][] = [
  ["it is for another signer", "signer", caseWith({ signerName: "kubernetes.io/kube-apiserver-client" })],
  ["it is decided already", "decided", caseWith({ isDecided: true })],
  ["an administrator made it", "requester", caseWith({ username: "kubernetes-admin" })],
  ["a service account made it", "requester", caseWith({ username: "system:serviceaccount:system:node:worker-1" })],
  ["its requester is empty", "requester", caseWith({ username: "" })],
  ["its requester's name is empty", "requester", caseWith({ username: "system:node:" })],
  ["its requester's name is in upper case", "requester", caseWith({ username: "system:node:WORKER-1" })],
  ["its requester's name has a second line", "requester", caseWith({ username: "system:node:worker-1\n" })],
  ["its requester's name is a path", "requester", caseWith({ username: "system:node:../worker-1" })],
  ["its requester is in no node's group", "groups", caseWith({ groups: ["system:authenticated"] })],
  ["its requester is not authenticated", "groups", caseWith({ groups: ["system:nodes"] })],
  [
    "its requester is in another group too",
    "groups",
    caseWith({ groups: [...right.request.groups, "system:masters"] }),
  ],
  ["its requester has a group twice", "groups", caseWith({ groups: ["system:nodes", "system:nodes"] })],
  ["its subject is empty", "subject", caseWith({}, { subject: named([]) })],
  ["its subject has no O", "subject", caseWith({}, { subject: named([cn]) })],
  [
    "its subject has another O too",
    "subject",
    caseWith({}, {
      subject: named([o, { ...o, value: "system:masters" }, cn]),
    }),
  ],
  ["its subject has another O", "subject", caseWith({}, { subject: named([{ ...o, value: "system:masters" }, cn]) })],
  [
    "its subject has another attribute",
    "subject",
    caseWith({}, {
      subject: named([o, cn, { oid: "2.5.4.11", value: "x" }]),
    }),
  ],
  ["its subject has two CN", "subject", caseWith({}, { subject: named([o, cn, cn]) })],
  ["its subject is no node's", "subject", caseWith({}, { subject: named([o, { ...cn, value: "kubernetes-admin" }]) })],
  [
    "its subject is its node's in upper case",
    "subject",
    caseWith({}, {
      subject: named([o, { ...cn, value: "system:node:WORKER-1" }]),
    }),
  ],
  ["it has the usage of clients too", "usages", caseWith({ usages: [...right.request.usages, "client auth"] })],
  ["it has the usage of clients", "usages", caseWith({ usages: ["digital signature", "client auth"] })],
  ["it lacks a usage", "usages", caseWith({ usages: ["server auth"] })],
  ["it has no usages", "usages", caseWith({ usages: [] })],
  ["it wants to sign certificates", "usages", caseWith({ usages: [...right.request.usages, "cert sign"] })],
  [
    "its P-256 key has the usage of RSA keys",
    "usages",
    caseWith({
      usages: [...right.request.usages, "key encipherment"],
    }),
  ],
  ["its RSA key lacks a usage", "usages", caseWith({}, { keyType: "rsa" })],
  ["its key is P-384", "key-type", caseWith({}, { keyType: "p-384" })],
  ["its key is Ed25519", "key-type", caseWith({}, { keyType: "ed25519" })],
  ["it has an e-mail address", "name-kind", caseWith({}, { names: [...right.csr.names, email] })],
  ["it has a URI", "name-kind", caseWith({}, { names: [uri, ...right.csr.names] })],
  [
    "it has a directory name",
    "name-kind",
    caseWith({}, {
      names: [...right.csr.names, { type: "directoryName", value: named([o]) }],
    }),
  ],
  ["it has no names", "no-name", caseWith({}, { names: [] })],
  ["its node has no record", "record", { ...right, record: undefined }],
  ["the record is another node's", "record", withRecord({ nodeName: "worker-2" })],
  ["it has another DNS name", "dns-name", caseWith({}, { names: [...right.csr.names, dns("kubernetes")] })],
  ["it has another node's DNS name", "dns-name", caseWith({}, { names: [dns("worker-2")] })],
  ["its DNS name is a wildcard", "dns-name", caseWith({}, { names: [dns("*")] })],
  ["its DNS name is in upper case", "dns-name", caseWith({}, { names: [dns("WORKER-1")] })],
  ["its DNS name is below its node's", "dns-name", caseWith({}, { names: [dns("worker-1.example.org")] })],
  ["its DNS name is its address", "dns-name", caseWith({}, { names: [dns("192.0.2.7")] })],
  ["it has another address", "address", caseWith({}, { names: [...right.csr.names, ip("c0000208")] })],
  ["it has another IPv6 address", "address", caseWith({}, { names: [ip("20010db8000000000000000000000008")] })],
  [
    "it has its IPv4 address as an IPv6 one",
    "address",
    caseWith({}, { names: [ip("00000000000000000000ffffc0000207")] }),
  ],
  ["the record has no addresses", "address", withRecord({ addresses: [] })],
  [
    "the record has odd addresses",
    "address",
    withRecord({ addresses: ["", "fe80::1%eth0", "192.0.2.07", "worker-1"] }),
  ],
];

for (const [what, name, one] of REFUSED) {
  Deno.test(`checkServing() refuses a request when ${what}`, () => {
    assert.equal(refusalOf(one).code, `refused/serving-${name}`);
  });
}

Deno.test("checkServing() refuses names and addresses of an older record that no node may have", () => {
  const addresses: readonly [text: string, hex: string][] = [
    ["10.96.0.1", "0a600001"],
    ["127.0.0.1", "7f000001"],
    ["198.51.100.1", "c6336401"],
  ];
  for (const [text, hex] of addresses) {
    const one = caseWith({}, { names: [dns("worker-1"), ip(hex)] });
    const recorded = { ...record, addresses: ["192.0.2.7", text] };
    assert.equal(refusalOf({ ...one, record: recorded }).code, "refused/node-address");
    const controlPlane = { ...one, record: { ...recorded, role: "control-plane" } as const };
    if (text === "198.51.100.1") check(controlPlane);
    else assert.equal(refusalOf(controlPlane).code, "refused/node-address");
  }
  const nodeName = "kubernetes";
  const named = caseWith({ username: `system:node:${nodeName}` }, {
    ...{ subject: { der: nothing, attributes: nodeSubject(nodeName) }, names: [dns(nodeName)] },
  });
  assert.equal(refusalOf({ ...named, record: { ...record, nodeName } }).code, "refused/node-name");
});

Deno.test("checkServing() names the check, what was expected and what was seen, at a bounded length", () => {
  assert.deepEqual(refusalOf(caseWith({}, { names: [dns("worker-1"), ip("c0000208")] })).details, {
    check: "serving-address",
    expected: "192.0.2.7, [2001:db8::7]",
    seen: "192.0.2.8",
  });
  const { seen = "" } = refusalOf(caseWith({ username: "x".repeat(100_000) })).details;
  assert.ok(seen.length <= 300);
});

Deno.test("checkServing() accepts exactly the addresses of the record, however they are written there", () => {
  // Addresses of both families, such as a node may have.
  const octets = fc.oneof(
    fc.tuple(fc.integer({ min: 11, max: 126 }), fc.uint8Array({ minLength: 3, maxLength: 3 })),
    fc.tuple(fc.integer({ min: 0x20, max: 0x3f }), fc.uint8Array({ minLength: 15, maxLength: 15 })),
  ).map(([first, rest]) => Uint8Array.of(first, ...rest));
  const groups = (sixteen: Uint8Array) => sixteen.toHex().match(/.{4}/g)?.join(":").toUpperCase() ?? "";
  const text = (bytes: Uint8Array) => bytes.length === 4 ? bytes.join(".") : groups(bytes);
  fc.assert(fc.property(fc.array(octets, { minLength: 1, maxLength: 8 }), octets, (own, other) => {
    const isOwn = own.some((one) => one.toHex() === other.toHex());
    const names = own.map((value): AlternativeName => ({ type: "ip", value }));
    const recorded = { ...record, addresses: own.map(text) };
    check({ ...caseWith({}, { names }), record: recorded });
    const more = { ...caseWith({}, { names: [...names, { type: "ip", value: other }] }), record: recorded };
    if (isOwn) check(more);
    else assert.equal(refusalOf(more).code, "refused/serving-address");
  }));
});

Deno.test("requestingNode() returns a name only for the users of nodes", () => {
  assert.equal(requestingNode(right.request), "worker-1");
  for (const username of ["", "worker-1", "system:node:", "system:node:a/b", "system:node:a.b", " system:node:a"]) {
    assert.equal(requestingNode({ ...right.request, username }), undefined, username);
  }
});
