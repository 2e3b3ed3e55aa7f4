/**
 * The cluster's CA, and the client certificates that it issues before Kubernetes can.
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
  /** The key, P-256. */
  readonly keys: KeyPair;
  /** The certificate, signed by itself. */
  readonly certificate: Certificate;
}

/** What a client certificate is issued for. */
export interface ClientCertificateRequest {
  /** The client's SPKI, DER: Ed25519, P-256, P-384 or RSA. */
  readonly spki: Uint8Array;
  /** The subject. */
  readonly subject: readonly NameAttribute[];
  /** How long it is valid, from now. */
  readonly lifetimeMs: number;
}

/** Certificates are valid from a little before they were made, for clocks that are behind; kubeadm does the same. */
const BACKDATED_MS = 5 * 60 * 1000;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** As kubeadm's CAs. */
const CA_LIFETIME_MS = 10 * YEAR_MS;
/** As kubeadm's client certificates. */
const CLIENT_LIFETIME_MS = YEAR_MS;

/**
 * Makes a new cluster's CA in memory, in the form of kubeadm's own: `CN=kubernetes`, ten years.
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
 * Puts a CA together again from what was staged.
 *
 * @throws {BootstrapError} `precondition/ca-key` if the key is not the certificate's.
 */
export function joinCertificateAuthority(certificate: Certificate, keys: KeyPair): CertificateAuthority {
  if (!equalBytes(certificate.spki, keys.spki)) {
    throw new BootstrapError("precondition/ca-key", "The key of the cluster's CA does not belong to its certificate");
  }
  return { keys, certificate };
}

/**
 * Issues a client certificate for exactly the given key and subject; nothing of it comes from a request.
 *
 * @throws {BootstrapError} `malformed/…` or `refused/key-type` for a key that is not on the allow-list.
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

/** The certificate of the operator's administrator: one year, for the key that the operator named. */
export function issueAdminCertificate(ca: CertificateAuthority, spki: Uint8Array, now: Date): Promise<Certificate> {
  return issueClientCertificate(ca, { spki, subject: ADMIN_SUBJECT, lifetimeMs: CLIENT_LIFETIME_MS }, now);
}

/** The certificate of the join service: one year. */
export function issueServiceCertificate(ca: CertificateAuthority, spki: Uint8Array, now: Date): Promise<Certificate> {
  return issueClientCertificate(ca, { spki, subject: JOIN_SERVICE_SUBJECT, lifetimeMs: CLIENT_LIFETIME_MS }, now);
}
