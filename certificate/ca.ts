/**
 * The cluster's CA, and the certificates that it issues. Kubernetes itself issues none.
 *
 * @module
 */
import { equalBytes } from "../platform/bytes.ts";
import { present } from "../platform/present.ts";
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { mintCertificate, prepareCertificate, type UnsignedCertificate } from "./_mint.ts";
import { EXT_KEY_USAGE } from "./extensions.ts";
import type { IssuerKey } from "./issuer_key.ts";
import { generateKeyPair, type KeyPair } from "./keys.ts";
import { ATTRIBUTE, type NameAttribute } from "./name.ts";
import { readPublicKey } from "./public_key.ts";
import { ADMIN_SUBJECT, type AdmissionGroups, admittedNodeSubject, nodeSubject, signerSubject } from "./subjects.ts";
import type { Certificate } from "./x509.ts";

export type { UnsignedCertificate } from "./_mint.ts";

/** A cluster's CA with its key, in memory. */
export interface CertificateAuthority<K extends IssuerKey = IssuerKey> {
  /** P-256 for a cluster that this project made. Clusters of kubeadm may have RSA or P-384. */
  readonly keys: K;
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
export async function createCertificateAuthority(now: Date): Promise<CertificateAuthority<KeyPair>> {
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
 * Restores a CA from its certificate and its key.
 *
 * @throws {BootstrapError} `precondition/ca-key` if the key does not belong to the certificate.
 */
export function joinCertificateAuthority<K extends IssuerKey>(
  certificate: Certificate,
  keys: K,
): CertificateAuthority<K> {
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
  return mintCertificate({
    subject: request.subject,
    spki,
    ...validity(ca, request.lifetimeMs, now),
    // As kubeadm does. The clocks agreed when the CA was made, and this machine's may have jumped ahead since.
    notBefore: ca.certificate.notBefore,
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

/** Issues the certificate of a node's join service. It is valid for one year. */
export function issueServiceCertificate(
  ca: CertificateAuthority,
  nodeName: string,
  spki: Uint8Array,
  now: Date,
): Promise<Certificate> {
  return issueClientCertificate(ca, { spki, subject: signerSubject(nodeName), lifetimeMs: CLIENT_LIFETIME_MS }, now);
}

/** What the two certificates of a node are for. Nothing in them comes from a request but the keys. */
export interface NodeCertificateRequest extends AdmissionGroups {
  /** The node's name. The caller has checked it. */
  readonly nodeName: string;
  /** SPKI_c, DER: the kubelet calls the API server with it. */
  readonly clientKey: Uint8Array;
  /** SPKI_s, DER: the kubelet serves with it. */
  readonly servingKey: Uint8Array;
  /** The addresses at which the kubelet serves. */
  readonly addresses: readonly string[];
  /** The lifetime from now. */
  readonly lifetimeMs: number;
  /** When they begin. Default: a little before now. */
  readonly notBefore?: Date;
}

/** The two certificates of a node, complete but for their signatures. */
export interface UnsignedNodeCertificates {
  /** `O=system:nodes` and its admission's groups, `CN=system:node:NAME`; for clients. */
  readonly client: UnsignedCertificate;
  /** `O=system:nodes, CN=system:node:NAME`; for servers, with exactly the node's name and addresses. */
  readonly serving: UnsignedCertificate;
}

/**
 * Makes the two certificates of a node. Their serial numbers and contents can be recorded before they are signed.
 *
 * @throws {BootstrapError} `malformed/…`, or `refused/key-type` for a key that is not on the allow-list;
 *   `internal/admission`, `internal/argument` for values that the caller must have checked.
 */
export async function prepareNodeCertificates(
  ca: CertificateAuthority,
  request: NodeCertificateRequest,
  now: Date,
): Promise<UnsignedNodeCertificates> {
  const { nodeName, clientKey, servingKey, addresses, lifetimeMs, notBefore } = request;
  const common = {
    ...validity(ca, lifetimeMs, now),
    ...present("notBefore", notBefore),
    isCa: false,
    keyUsage: ["digitalSignature"],
    dnsNames: [],
  } as const;
  return {
    client: await prepareCertificate({
      ...common,
      subject: admittedNodeSubject(nodeName, request),
      spki: readPublicKey(clientKey, "client key").spki,
      extKeyUsage: [EXT_KEY_USAGE.clientAuth],
    }, ca),
    serving: await prepareCertificate({
      ...common,
      subject: nodeSubject(nodeName),
      spki: readPublicKey(servingKey, "serving key").spki,
      extKeyUsage: [EXT_KEY_USAGE.serverAuth],
      dnsNames: [nodeName],
      addresses: addresses.map(bytesOf),
    }, ca),
  };
}

function validity(ca: CertificateAuthority, lifetimeMs: number, now: Date) {
  return {
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: new Date(Math.min(now.getTime() + lifetimeMs, ca.certificate.notAfter.getTime())),
  };
}

function bytesOf(address: string): Uint8Array {
  const bytes = addressBytes(address);
  if (bytes !== undefined) return bytes;
  throw new BootstrapError("internal/argument", `Cannot certify the address ${address} as it is none`);
}
