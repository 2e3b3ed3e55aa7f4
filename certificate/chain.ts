/**
 * Checks the certificates that the protocol's parties present: the cluster's CA and the certificates directly below it.
 *
 * @module
 */
import { equalBytes, hex } from "../platform/bytes.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { refusal } from "./_refusal.ts";
import { clusterIdOf, clusterIdText } from "./cluster_id.ts";
import {
  type AlternativeName,
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "./extensions.ts";
import { type NameAttribute, nameText, sameAttributes } from "./name.ts";
import {
  ADMIN_SUBJECT,
  admissionOf,
  admittedNodeForm,
  isSignerSubject,
  nodeSubject,
  SIGNER_SUBJECT_FORM,
} from "./subjects.ts";
import { type Certificate, readCertificate } from "./x509.ts";
import { verifyCertificateSignature } from "./certificate_signature.ts";

/** Critical extensions that the checks below evaluate. */
const EVALUATED = [EXTENSION.keyUsage, EXTENSION.basicConstraints, EXTENSION.extKeyUsage, EXTENSION.subjectAltName];

/**
 * Checks a cluster's CA certificate: it is strict DER, the hash of its key is the cluster ID, it is a CA that may sign
 * certificates, and it is self-signed. The validity of the CA is checked together with each certificate below it.
 *
 * @param der The certificate, as received.
 * @param clusterId The expected cluster ID, 32 bytes.
 * @returns The certificate, for the checks below.
 * @throws {BootstrapError} `malformed/der`, `refused/ca-cluster-id`, `refused/ca-constraints`, `refused/ca-key-usage`,
 *   `refused/ca-issuer`, `refused/critical-extension`, and the errors of {@linkcode verifyCertificateSignature}.
 */
export async function checkCaCertificate(der: Uint8Array, clusterId: Uint8Array): Promise<Certificate> {
  const certificate = readCertificate(der, "CA certificate");
  const seenId = await clusterIdOf(certificate);
  if (!equalBytes(seenId, clusterId)) {
    const expected = clusterIdText(clusterId);
    throw refusal("ca-cluster-id", "The CA does not belong to the cluster", expected, clusterIdText(seenId));
  }
  refuseUnknownCritical(certificate, EVALUATED);
  if (basicConstraints(certificate)?.isCa !== true) {
    throw refusal("ca-constraints", "The cluster's CA certificate does not belong to a CA", "CA true", "CA false");
  }
  const usages = keyUsage(certificate);
  if (usages?.has("keyCertSign") !== true) {
    const seen = [...usages ?? []].join(", ") || "none";
    throw refusal("ca-key-usage", "The cluster's CA may not sign certificates", "keyCertSign", seen);
  }
  if (!equalBytes(certificate.issuer.der, certificate.subject.der)) {
    const seen = nameText(certificate.issuer.attributes);
    throw refusal(
      "ca-issuer",
      "The cluster's CA is not its own issuer",
      nameText(certificate.subject.attributes),
      seen,
    );
  }
  await verifyCertificateSignature(certificate, certificate.spki);
  return certificate;
}

/**
 * Checks a join service's certificate: the CA issued it directly, its subject is exactly that of a join service, on a
 * node of any name, it is for clients, and it is valid now.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 * @param now The time of day.
 * @throws {BootstrapError} `malformed/der`, `refused/certificate-…`, `refused/critical-extension`, and the errors of
 *   {@linkcode verifyCertificateSignature}.
 */
export function checkServiceCertificate(der: Uint8Array, ca: Certificate, now: Date): Promise<Certificate> {
  const isSubject = isSignerSubject;
  return checkLeaf(der, ca, { what: "service certificate", subject: SIGNER_SUBJECT_FORM, isSubject, ...CLIENT, now });
}

/** What the certificates of a node must be for. */
export interface NodeCertificateExpectation {
  readonly nodeName: string;
  /** SPKI_c, DER. */
  readonly clientKey: Uint8Array;
  /** SPKI_s, DER. */
  readonly servingKey: Uint8Array;
  /** The addresses at which the node's kubelet serves. */
  readonly addresses: readonly string[];
  /** The time of day. */
  readonly now: Date;
}

/**
 * Checks a node's client certificate like {@linkcode checkServiceCertificate}, but for a subject of an admission of the
 * node and exactly its key.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 */
export function checkNodeCertificate(
  der: Uint8Array,
  ca: Certificate,
  { nodeName, clientKey, now }: Pick<NodeCertificateExpectation, "nodeName" | "clientKey" | "now">,
): Promise<Certificate> {
  return checkLeaf(der, ca, {
    what: "node certificate",
    subject: admittedNodeForm(nodeName),
    isSubject: (subject) => admissionOf(subject, nodeName) !== undefined,
    ...CLIENT,
    spki: clientKey,
    now,
  });
}

/**
 * Checks the certificate with which a node's kubelet serves: the CA issued it directly, for servers, for the node's
 * subject, exactly its name and addresses, and exactly its key, and it is valid now.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 * @throws {BootstrapError} As {@linkcode checkServiceCertificate}.
 */
export function checkServingCertificate(
  der: Uint8Array,
  ca: Certificate,
  { nodeName, servingKey, addresses, now }: Omit<NodeCertificateExpectation, "clientKey">,
): Promise<Certificate> {
  return checkLeaf(der, ca, {
    ...exactly("serving certificate", nodeSubject(nodeName)),
    usage: EXT_KEY_USAGE.serverAuth,
    names: [`DNS:${nodeName}`, ...addresses.map((address) => `IP:${hex(addressBytes(address) ?? new Uint8Array())}`)],
    spki: servingKey,
    now,
  });
}

/**
 * Checks the administrator's certificate like {@linkcode checkServiceCertificate}, but for the administrator's subject
 * and exactly its key.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 * @param adminSpki The administrator's SPKI, DER.
 * @param now The time of day.
 */
export function checkAdminCertificate(
  der: Uint8Array,
  ca: Certificate,
  adminSpki: Uint8Array,
  now: Date,
): Promise<Certificate> {
  return checkLeaf(der, ca, { ...exactly("admin certificate", ADMIN_SUBJECT), ...CLIENT, spki: adminSpki, now });
}

interface Expectation {
  readonly what: string;
  /** The subject, or its form, for people. */
  readonly subject: string;
  readonly isSubject: (attributes: readonly NameAttribute[]) => boolean;
  /** The only extended key usage. */
  readonly usage: string;
  /** The alternative names, each as its type and value, in any order. */
  readonly names: readonly string[];
  readonly spki?: Uint8Array;
  readonly now: Date;
}

const CLIENT = { usage: EXT_KEY_USAGE.clientAuth, names: [] } as const;

function exactly(what: string, subject: readonly NameAttribute[]): Pick<Expectation, "what" | "subject" | "isSubject"> {
  return { what, subject: nameText(subject), isSubject: (attributes) => sameAttributes(attributes, subject) };
}

async function checkLeaf(der: Uint8Array, ca: Certificate, expected: Expectation): Promise<Certificate> {
  const { what, subject, isSubject, usage, spki, now } = expected;
  const certificate = readCertificate(der, what);
  if (!equalBytes(certificate.issuer.der, ca.subject.der)) {
    const seen = nameText(certificate.issuer.attributes);
    throw refusal("certificate-issuer", `The ${what} has another issuer`, nameText(ca.subject.attributes), seen);
  }
  await verifyCertificateSignature(certificate, ca.spki);
  refuseUnknownCritical(certificate, EVALUATED);
  if (!isSubject(certificate.subject.attributes)) {
    const seen = nameText(certificate.subject.attributes);
    throw refusal("certificate-subject", `The ${what} has another subject`, subject, seen);
  }
  checkNames(certificate, expected);
  if (spki !== undefined && !equalBytes(certificate.spki, spki)) {
    throw refusal("certificate-key", `The ${what} is for another key`, hex(spki), hex(certificate.spki));
  }
  if (basicConstraints(certificate)?.isCa === true || keyUsage(certificate)?.has("keyCertSign") === true) {
    throw refusal("certificate-constraints", `The ${what} belongs to a CA`, "CA false", "CA true");
  }
  const usages = extKeyUsage(certificate) ?? [];
  if (usages.length !== 1 || usages[0] !== usage) {
    throw refusal("certificate-usage", `The ${what} is for another usage`, usage, usages.join(", ") || "none");
  }
  if (keyUsage(certificate)?.has("digitalSignature") !== true) {
    throw refusal("certificate-key-usage", `The ${what} may not sign`, "digitalSignature", "no digitalSignature");
  }
  checkValidity(ca, "CA certificate", now);
  checkValidity(certificate, what, now);
  return certificate;
}

function checkNames(certificate: Certificate, { what, names }: Expectation): void {
  const found = subjectAltName(certificate);
  const seen = (found ?? []).map(nameKey).sort();
  const expected = [...names].sort();
  const isRight = found === undefined
    ? names.length === 0
    : seen.length === expected.length && seen.every((name, index) => name === expected[index]);
  if (isRight) return;
  const text = (list: readonly string[]) => list.join(", ") || "none";
  throw refusal(
    "certificate-names",
    `The alternative names of the ${what} are not the expected ones`,
    text(expected),
    text(seen),
  );
}

function nameKey(name: AlternativeName): string {
  switch (name.type) {
    case "dns":
      return `DNS:${name.value}`;
    case "ip":
      return `IP:${hex(name.value)}`;
    case "directoryName":
      return `directoryName:${nameText(name.value.attributes)}`;
    case "other":
      return `other:${hex(name.value)}`;
  }
}

/** What renews a certificate that has ended. */
const RENEWALS: readonly (readonly [what: string, next: string])[] = [
  [
    "service certificate",
    'renew it on that control plane by hand, as "Certificates of control planes" in docs/operate.md says; ask another one meanwhile',
  ],
  ["CA certificate", "the cluster's CA cannot be renewed: found a new cluster"],
];
const RENEWED_BY_ITSELF = "`bootstrapper renew --now` on the node asks for a new one";

function checkValidity({ notBefore, notAfter }: Certificate, what: string, now: Date): void {
  if (now >= notBefore && now <= notAfter) return;
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  const isEarly = now < notBefore;
  const reason = isEarly ? `is valid only from ${notBefore.toISOString()}` : `ended on ${notAfter.toISOString()}`;
  const next = isEarly
    ? "Check the clocks of both machines"
    : `Check the clocks. If they are right: ${RENEWALS.find(([name]) => name === what)?.[1] ?? RENEWED_BY_ITSELF}`;
  throw refusal(
    "certificate-validity",
    `The ${what} is not valid now: it ${reason}`,
    expected,
    now.toISOString(),
    next,
  );
}
