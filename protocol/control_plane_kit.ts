/**
 * The kit that makes a node a control plane: the cluster's keys and the policy of its join services, in the form that
 * is sealed.
 *
 * @module
 */
import { checkCaCertificate } from "../certificate/chain.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { type PemLabel, pemLabel, readPem, writePem } from "../certificate/pem.ts";
import { isPrivateKeyOf, PRIVATE_KEY_LABELS } from "../certificate/private_key_match.ts";
import { readPublicKey } from "../certificate/public_key.ts";
import { type Certificate, readCertificate } from "../certificate/x509.ts";
import type { ClusterKeyName, ClusterKeys } from "../kubernetes/cluster_keys.ts";
import { clusterKeyNames, MAXIMUM_KEY_PEM_BYTES, wipeClusterKeys } from "../kubernetes/cluster_keys.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { ControlPlaneKit as KitMessage } from "../proto/gen/bootstrapper.ts";

/** The data that a control plane gets in addition to a worker's ticket. */
export interface ControlPlaneKit {
  readonly keys: ClusterKeys;
  /** The policy of the join services, YAML. */
  readonly policyDocument: string;
}

/** Overwrites the secrets of a kit with zeros. */
export function wipeKit(kit: ControlPlaneKit): void {
  wipeClusterKeys(kit.keys);
}

/** The largest encoding of a kit: all its fields at their largest, with a tag and a length for each. */
export const MAXIMUM_KIT_BYTES: number = 7 * MAXIMUM_KEY_PEM_BYTES + MAXIMUM_DOCUMENT_BYTES + 64;

/** How a key is encoded: the name of its field, and the PEM labels that it may have. */
interface KeyField {
  readonly field: string;
  readonly labels: readonly PemLabel[];
}

const FIELDS: Readonly<Record<ClusterKeyName, KeyField>> = Object.freeze({
  caKey: { field: "ca_key", labels: PRIVATE_KEY_LABELS },
  serviceAccountKey: { field: "service_account_key", labels: PRIVATE_KEY_LABELS },
  serviceAccountPublicKey: { field: "service_account_public_key", labels: ["PUBLIC KEY"] },
  frontProxyCaCertificate: { field: "front_proxy_ca_certificate", labels: ["CERTIFICATE"] },
  frontProxyCaKey: { field: "front_proxy_ca_key", labels: PRIVATE_KEY_LABELS },
  etcdCaCertificate: { field: "etcd_ca_certificate", labels: ["CERTIFICATE"] },
  etcdCaKey: { field: "etcd_ca_key", labels: PRIVATE_KEY_LABELS },
});
const POLICY_FIELD = "policy_document";

/**
 * Encodes a kit. The bytes are secret; the caller zeroes them after use.
 *
 * @throws {BootstrapError} `malformed/sealed-kit` with `field`, for a kit that {@linkcode decodeControlPlaneKit} would
 *   refuse.
 */
export function encodeControlPlaneKit(kit: ControlPlaneKit): Bytes {
  checkForm(kit.keys, kit.policyDocument);
  return KitMessage.encode({ ...kit.keys, policyDocument: kit.policyDocument }).finish();
}

/**
 * Decodes a kit. It accepts only the encoding that {@linkcode encodeControlPlaneKit} makes. {@linkcode
 * checkControlPlaneKit} checks that the parts belong together.
 *
 * @param bytes At most {@linkcode MAXIMUM_KIT_BYTES}. The kit does not share them; the caller zeroes them after use.
 * @throws {BootstrapError} `malformed/sealed-kit` with `field`.
 */
export function decodeControlPlaneKit(bytes: Uint8Array): ControlPlaneKit {
  if (bytes.length > MAXIMUM_KIT_BYTES) throw malformed("sealed_kit", `is larger than ${MAXIMUM_KIT_BYTES} bytes`);
  const message = decode(bytes);
  checkForm(message, message.policyDocument);
  const keys: ClusterKeys = {
    caKey: copyOf(message.caKey),
    serviceAccountKey: copyOf(message.serviceAccountKey),
    serviceAccountPublicKey: copyOf(message.serviceAccountPublicKey),
    frontProxyCaCertificate: copyOf(message.frontProxyCaCertificate),
    frontProxyCaKey: copyOf(message.frontProxyCaKey),
    etcdCaCertificate: copyOf(message.etcdCaCertificate),
    etcdCaKey: copyOf(message.etcdCaKey),
  };
  return { keys, policyDocument: message.policyDocument };
}

/**
 * Checks that a kit makes a control plane of exactly this cluster: the CA's key belongs to its certificate; the two
 * other CAs are CAs that are valid now and have their own keys; the service account keys belong together; and the
 * policy can be read.
 *
 * @param kit The kit.
 * @param ca The cluster's CA, already checked.
 * @param now The time of day.
 * @param checkPolicy Throws if the policy of the join services cannot be read.
 * @throws {BootstrapError} `refused/sealed-kit` with `field`. No error reveals a key.
 */
export async function checkControlPlaneKit(
  kit: ControlPlaneKit,
  ca: Certificate,
  now: Date,
  checkPolicy: (document: string, what: string) => void,
): Promise<void> {
  const { keys, policyDocument } = kit;
  await checkKey(keys, "caKey", ca.spki);
  const publicKey = await check("serviceAccountPublicKey", () => {
    const name = "serviceAccountPublicKey";
    return readPublicKey(readPart(keys, name, "PUBLIC KEY"), FIELDS[name].field);
  });
  await checkKey(keys, "serviceAccountKey", publicKey.spki);
  await checkKey(keys, "frontProxyCaKey", await readCa(keys, "frontProxyCaCertificate", now));
  await checkKey(keys, "etcdCaKey", await readCa(keys, "etcdCaCertificate", now));
  try {
    checkPolicy(policyDocument, "the policy of the join services");
  } catch (cause) {
    throw refused(POLICY_FIELD, asBootstrapError(cause).message, cause);
  }
}

function checkKey(keys: ClusterKeys, name: ClusterKeyName, spki: Uint8Array): Promise<void> {
  return check(name, () => {
    const { field } = FIELDS[name];
    if (isPrivateKeyOf(fromUtf8(keys[name], field), spki, field)) return;
    throw new BootstrapError("refused/key", "it is not the key of its certificate or public key");
  });
}

function readCa(keys: ClusterKeys, name: ClusterKeyName, now: Date): Promise<Bytes> {
  return check(name, async () => {
    const der = readPart(keys, name, "CERTIFICATE");
    // The expected ID is the CA's own: only the sealed kit names these CAs.
    const clusterId = await clusterIdOf(readCertificate(der, FIELDS[name].field));
    const { spki, notBefore, notAfter } = await checkCaCertificate(der, clusterId);
    if (now >= notBefore && now <= notAfter) return spki;
    const validity = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
    throw new BootstrapError("refused/validity", `it is valid from ${validity}, and it is ${now.toISOString()} now`);
  });
}

function readPart(keys: ClusterKeys, name: ClusterKeyName, label: "CERTIFICATE" | "PUBLIC KEY"): Bytes {
  const { field } = FIELDS[name];
  return readPem(fromUtf8(keys[name], field), label, field);
}

async function check<T>(name: ClusterKeyName, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw refused(FIELDS[name].field, asBootstrapError(cause).message, cause);
  }
}

function decode(bytes: Uint8Array): KitMessage {
  let message: KitMessage;
  try {
    message = KitMessage.decode(bytes);
  } catch {
    // The cause may quote the kit, so it is dropped.
    throw malformed("sealed_kit", "is not a protobuf message");
  }
  const again = KitMessage.encode(message).finish();
  const isOnlyForm = equalBytes(again, bytes);
  again.fill(0);
  if (!isOnlyForm) throw malformed("sealed_kit", "is not in its only accepted encoding");
  return message;
}

function checkForm(keys: Readonly<Record<ClusterKeyName, Uint8Array>>, policyDocument: string): void {
  for (const name of clusterKeyNames()) {
    const { field, labels } = FIELDS[name];
    if (keys[name].length > MAXIMUM_KEY_PEM_BYTES) {
      throw malformed(field, `is larger than ${MAXIMUM_KEY_PEM_BYTES} bytes`);
    }
    if (!isPem(keys[name], labels, field)) throw malformed(field, `is not one PEM block of ${labels.join(" or ")}`);
  }
  const length = utf8(policyDocument).length;
  if (length === 0) throw malformed(POLICY_FIELD, "is missing");
  if (length > MAXIMUM_DOCUMENT_BYTES) throw malformed(POLICY_FIELD, `is larger than ${MAXIMUM_DOCUMENT_BYTES} bytes`);
}

/** Whether the bytes are one block of PEM in its usual form, so that Kubernetes reads the same as this program. */
function isPem(bytes: Uint8Array, labels: readonly PemLabel[], field: string): boolean {
  try {
    const text = fromUtf8(bytes, field);
    const label = labels.find((name) => name === pemLabel(text, field));
    if (label === undefined) return false;
    const der = readPem(text, label, field);
    const isOnlyForm = writePem(label, der) === text;
    der.fill(0);
    return isOnlyForm;
  } catch {
    // Any failure refuses the field, without showing its content.
    return false;
  }
}

function malformed(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/sealed-kit", `Cannot read a control plane's kit as "${field}" ${problem}`, {
    details: { field },
  });
}

function refused(field: string, problem: string, cause: unknown): BootstrapError {
  return new BootstrapError("refused/sealed-kit", `Cannot use a control plane's kit: "${field}": ${problem}`, {
    cause,
    next: "Check the files below /etc/kubernetes/pki on the control plane that issued the ticket",
    details: { field },
  });
}
