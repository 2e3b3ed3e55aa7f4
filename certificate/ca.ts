/**
 * The cluster's CA, and the client certificates that it issues before Kubernetes can issue any.
 *
 * @module
 */
import { equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { mintCertificate } from "./_mint.ts";
import { EXT_KEY_USAGE } from "./extensions.ts";
import { generateKeyPair, type KeyPair } from "./keys.ts";
import { ATTRIBUTE, type NameAttribute } from "./name.ts";
import { readPublicKey } from "./public_key.ts";
import { ADMIN_SUBJECT, JOIN_SERVICE_SUBJECT } from "./subjects.ts";
import type { Certificate } from "./x509.ts";

/** A cluster's CA with its key, in memory. */
export interface CertificateAuthority {
  /** P-256. */
  readonly keys: KeyPair;
  /** Self-signed. */
  readonly certificate: Certificate;
}

/** The contents of a client certificate. */
export interface ClientCertificateRequest {
  /** The client's SPKI, DER: Ed25519, P-256, P-384 or RSA. */
  readonly spki: Uint8Array;
  readonly subject: readonly NameAttribute[];
  /** The lifetime from now. */
  readonly lifetimeMs: number;
}

/**
 * Certificates are valid from shortly before they are made, so that nodes with slow clocks accept them. kubeadm does
 * the same.
 */
const BACKDATED_MS = 5 * 60 * 1000;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** The lifetime of kubeadm's CAs. */
const CA_LIFETIME_MS = 10 * YEAR_MS;
/** The lifetime of kubeadm's client certificates. */
const CLIENT_LIFETIME_MS = YEAR_MS;

/**
 * Makes a new cluster's CA in memory, as kubeadm makes its own: `CN=kubernetes`, valid for ten years.
 *
 * @param now The time of day.
 */
export async function createCertificateAuthority(now: Date): Promise<CertificateAuthority> {
  const keys = await generateKeyPair("p-256");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: "kubernetes" }],
    spki: keys.spki,
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: new Date(now.getTime() + CA_LIFETIME_MS),
    isCa: true,
    keyUsage: ["digitalSignature", "keyEncipherment", "keyCertSign"],
    extKeyUsage: [],
    dnsNames: ["kubernetes"],
  }, { keys });
  return { keys, certificate };
}

/**
 * Restores a CA from its staged certificate and key.
 *
 * @throws {BootstrapError} `precondition/ca-key` if the key does not belong to the certificate.
 */
export function joinCertificateAuthority(certificate: Certificate, keys: KeyPair): CertificateAuthority {
  if (!equalBytes(certificate.spki, keys.spki)) {
    throw new BootstrapError("precondition/ca-key", "The key of the cluster's CA does not belong to its certificate");
  }
  return { keys, certificate };
}

/**
 * Issues a client certificate for exactly the given key and subject. It takes nothing from a request.
 *
 * @throws {BootstrapError} `malformed/…`, or `refused/key-type` for a key that is not on the allow-list.
 */
export function issueClientCertificate(
  ca: CertificateAuthority,
  request: ClientCertificateRequest,
  now: Date,
): Promise<Certificate> {
  const { spki } = readPublicKey(request.spki, "client key");
  const notAfterMs = Math.min(now.getTime() + request.lifetimeMs, ca.certificate.notAfter.getTime());
  return mintCertificate({
    subject: request.subject,
    spki,
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: new Date(notAfterMs),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.clientAuth],
    dnsNames: [],
  }, ca);
}

/** Issues the administrator's certificate for the key that the operator named. It is valid for one year. */
export function issueAdminCertificate(ca: CertificateAuthority, spki: Uint8Array, now: Date): Promise<Certificate> {
  return issueClientCertificate(ca, { spki, subject: ADMIN_SUBJECT, lifetimeMs: CLIENT_LIFETIME_MS }, now);
}

/** Issues the join service's certificate. It is valid for one year. */
export function issueServiceCertificate(ca: CertificateAuthority, spki: Uint8Array, now: Date): Promise<Certificate> {
  return issueClientCertificate(ca, { spki, subject: JOIN_SERVICE_SUBJECT, lifetimeMs: CLIENT_LIFETIME_MS }, now);
}
