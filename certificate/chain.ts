/**
 * Checks the certificates that the protocol's parties present: the cluster's CA and the certificates directly below it.
 *
 * @module
 */
import { equalBytes, hex } from "../platform/bytes.ts";
import { refusal } from "./_refusal.ts";
import { clusterIdOf, clusterIdText } from "./cluster_id.ts";
import {
  basicConstraints,
  EXT_KEY_USAGE,
  EXTENSION,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "./extensions.ts";
import { type NameAttribute, nameText, sameAttributes } from "./name.ts";
import { ADMIN_SUBJECT, JOIN_SERVICE_SUBJECT, nodeSubject } from "./subjects.ts";
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
 * Checks the join service's certificate: the CA issued it directly, its subject is exactly the join service's, it is
 * for clients, and it is valid now.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 * @param now The time of day.
 * @throws {BootstrapError} `malformed/der`, `refused/certificate-…`, `refused/critical-extension`, and the errors of
 *   {@linkcode verifyCertificateSignature}.
 */
export function checkServiceCertificate(der: Uint8Array, ca: Certificate, now: Date): Promise<Certificate> {
  return checkClientCertificate(der, ca, { what: "service certificate", subject: JOIN_SERVICE_SUBJECT, now });
}

/**
 * Checks a node's certificate like {@linkcode checkServiceCertificate}, but for the node's subject and exactly its key.
 *
 * @param der The certificate, as received.
 * @param ca The CA, from {@linkcode checkCaCertificate}.
 * @param nodeName The node's name.
 * @param spki SPKI_c, DER.
 * @param now The time of day.
 */
export function checkNodeCertificate(
  der: Uint8Array,
  ca: Certificate,
  nodeName: string,
  spki: Uint8Array,
  now: Date,
): Promise<Certificate> {
  return checkClientCertificate(der, ca, { what: "node certificate", subject: nodeSubject(nodeName), spki, now });
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
  return checkClientCertificate(der, ca, { what: "admin certificate", subject: ADMIN_SUBJECT, spki: adminSpki, now });
}

interface Expectation {
  readonly what: string;
  readonly subject: readonly NameAttribute[];
  readonly spki?: Uint8Array;
  readonly now: Date;
}

async function checkClientCertificate(der: Uint8Array, ca: Certificate, expected: Expectation): Promise<Certificate> {
  const { what, subject, spki, now } = expected;
  const certificate = readCertificate(der, what);
  if (!equalBytes(certificate.issuer.der, ca.subject.der)) {
    const seen = nameText(certificate.issuer.attributes);
    throw refusal("certificate-issuer", `The ${what} has another issuer`, nameText(ca.subject.attributes), seen);
  }
  await verifyCertificateSignature(certificate, ca.spki);
  refuseUnknownCritical(certificate, EVALUATED);
  if (!sameAttributes(certificate.subject.attributes, subject)) {
    const seen = nameText(certificate.subject.attributes);
    throw refusal("certificate-subject", `The ${what} has another subject`, nameText(subject), seen);
  }
  if (subjectAltName(certificate) !== undefined) {
    throw refusal("certificate-names", `The ${what} has alternative names`, "no subjectAltName", "a subjectAltName");
  }
  if (spki !== undefined && !equalBytes(certificate.spki, spki)) {
    throw refusal("certificate-key", `The ${what} is for another key`, hex(spki), hex(certificate.spki));
  }
  if (basicConstraints(certificate)?.isCa === true || keyUsage(certificate)?.has("keyCertSign") === true) {
    throw refusal("certificate-constraints", `The ${what} belongs to a CA`, "CA false", "CA true");
  }
  const usages = extKeyUsage(certificate) ?? [];
  if (usages.length !== 1 || usages[0] !== EXT_KEY_USAGE.clientAuth) {
    const seen = usages.join(", ") || "none";
    throw refusal("certificate-usage", `The ${what} is not for clients`, EXT_KEY_USAGE.clientAuth, seen);
  }
  if (keyUsage(certificate)?.has("digitalSignature") !== true) {
    throw refusal("certificate-key-usage", `The ${what} may not sign`, "digitalSignature", "no digitalSignature");
  }
  checkValidity(ca, "CA certificate", now);
  checkValidity(certificate, what, now);
  return certificate;
}

function checkValidity({ notBefore, notAfter }: Certificate, what: string, now: Date): void {
  if (now >= notBefore && now <= notAfter) return;
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  throw refusal("certificate-validity", `The ${what} is not valid now`, expected, now.toISOString());
}
