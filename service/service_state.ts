/**
 * The state of a control plane's join service: a folder with its private key, one public document, and the address for
 * the front.
 *
 * ```text
 * service.key   0600  PKCS#8 PEM; systemd hands it to the unit as the credential "service.key"
 * listen        0644  the address to listen on: all that the front reads
 * proves        0644  there where the service shows evidence of its machine: the unit that makes it starts then
 * state.json    0644  everything else, and that address; nothing in it is secret
 * ```
 *
 * The document is written last. If it exists, the service can start.
 *
 * @module
 */
import { join } from "node:path";
import type * as v from "valibot";
import { checkFounding } from "../protocol/founding.ts";
import type { ClusterTrust, FoundingTrust } from "../protocol/transcript.ts";
import { checkCaCertificate, checkServiceCertificate } from "../certificate/chain.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import { sameAttributes } from "../certificate/name.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import { EARLIER_SERVICE_SUBJECT } from "../certificate/subjects.ts";
import type { Certificate } from "../certificate/x509.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64, equalBytes, fromBase64, fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { readListenAddress } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, exists, readFile, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import type { Founding } from "../proto/gen/bootstrapper.ts";
import type { foundingSchema } from "./_state_document.ts";
import {
  readStateDocument,
  SERVICE_LISTEN_FILE,
  SERVICE_STATE_FILE,
  STATE_MODE,
  writeListen,
  writeStateDocument,
} from "./_state_document.ts";
import { showsEvidence } from "./founder_evidence.ts";

export { SERVICE_LISTEN_FILE, SERVICE_STATE_FILE } from "./_state_document.ts";

/** The state of a join service. */
export interface ServiceState {
  /** The service's key, P-256. */
  readonly keys: KeyPair;
  /** The service's certificate, DER. */
  readonly certificate: Uint8Array;
  /** The cluster's CA certificate, DER. */
  readonly caCertificate: Uint8Array;
  /** The operators' foundings of the cluster. */
  readonly foundings: readonly Founding[];
  /** The founding by the founding token, if the cluster has one. */
  readonly tokenFounding?: Uint8Array;
  /** The cluster's name and operators, as every node must have measured them. The cluster ID is that of the CA. */
  readonly trust: ClusterTrust;
  /** The policy, YAML. */
  readonly policyDocument: string;
  /** The cluster's settings as the operator gave them, YAML. */
  readonly clusterDocument: string;
  /** Where the service listens, `address:port`. */
  readonly listen: string;
  /** Where the service itself reaches the API server, `https://host:port`. */
  readonly apiServer: string;
  /** Where nodes reach the API server, `host:port`, at least one. */
  readonly apiEndpoints: readonly string[];
  /** Where nodes reach join services, `host:port`. */
  readonly joinEndpoints: readonly string[];
}

/** The file of the key, and the name of the credential. */
export const SERVICE_KEY_FILE = "service.key";
/** The file that is there where the service shows evidence of its machine. */
export const SERVICE_PROVES_FILE = "proves";

const FOLDER_MODE = 0o755;
const KEY_MODE = 0o600;
const MAXIMUM_KEY_BYTES = 4096;
const MAXIMUM_LISTEN_BYTES = 64;

/**
 * Writes the state: each file in one step, and the public document last. It can be repeated, also after a kill.
 *
 * @param folder Created with mode 0755 if it is missing.
 * @throws {BootstrapError} `system/file`.
 */
export async function writeServiceState(folder: string, state: ServiceState): Promise<void> {
  const { keys, certificate, caCertificate, foundings, tokenFounding, trust, ...rest } = state;
  await ensureFolder(folder, FOLDER_MODE);
  await writeKey(folder, keys);
  await writeProves(folder, trust);
  const { policyDocument, clusterDocument, listen, apiServer, apiEndpoints, joinEndpoints } = rest;
  const { founding } = trust;
  await writeStateDocument(folder, {
    version: founding === undefined ? 1 : 2,
    certificate: writePem("CERTIFICATE", certificate),
    caCertificate: writePem("CERTIFICATE", caCertificate),
    foundings: foundings.map(({ operatorKey, signature }) => ({
      operatorKey: base64(operatorKey),
      signature: base64(signature),
    })),
    clusterName: trust.clusterName,
    operatorKeys: trust.operatorKeys.map(base64),
    ...(founding === undefined ? {} : { founding: foundingDocument(founding) }),
    ...present("tokenFounding", tokenFounding && base64(tokenFounding)),
    policyDocument,
    clusterDocument,
    listen,
    apiServer,
    apiEndpoints: [...apiEndpoints],
    joinEndpoints: [...joinEndpoints],
  });
}

function foundingDocument({ size, policyDigest, tokenKey }: FoundingTrust): v.InferInput<typeof foundingSchema> {
  return { size, policyDigest: base64(policyDigest), tokenKey: base64(tokenKey) };
}

async function writeProves(folder: string, trust: ClusterTrust): Promise<void> {
  const path = join(folder, SERVICE_PROVES_FILE);
  if (showsEvidence(trust)) await writeFileAtomic(path, utf8("1\n"), { mode: STATE_MODE });
  else await removeIfExists(path);
}

async function writeKey(folder: string, keys: KeyPair): Promise<void> {
  await writeFileAtomic(join(folder, SERVICE_KEY_FILE), utf8(await privateKeyPem(keys)), { mode: KEY_MODE });
}

/**
 * Gives the service a new key and certificate, if its certificate has the subject of earlier versions, which signers
 * refuse, and the address of its own machine's API server, as a signer of today calls no other. Everything else of the
 * state stays. It can be repeated, also after a kill: the public document is written
 * last, and only its certificate is looked at.
 *
 * @param apiServer The API server's URL on this machine.
 * @param issue Issues the service's certificate for a key.
 * @returns Whether the certificate was replaced.
 * @throws {BootstrapError} `malformed/service-state` with `key`, `malformed/…` for a certificate that is none,
 *   `system/file`; the errors of `issue`.
 */
export async function replaceEarlierCertificate(
  folder: string,
  apiServer: string,
  issue: (spki: Uint8Array) => Promise<Certificate>,
): Promise<boolean> {
  const document = await readStateDocument(folder);
  // A front of today reads where to listen from a file of its own.
  if (!await exists(join(folder, SERVICE_LISTEN_FILE))) await writeListen(folder, document.listen);
  const { subject } = readCertificate(readPem(document.certificate, "CERTIFICATE", "certificate"), "certificate");
  if (!sameAttributes(subject.attributes, EARLIER_SERVICE_SUBJECT)) return false;
  const keys = await generateKeyPair("p-256");
  const { der } = await issue(keys.spki);
  await writeKey(folder, keys);
  await writeStateDocument(folder, { ...document, apiServer, certificate: writePem("CERTIFICATE", der) });
  return true;
}

/**
 * Returns when the service's certificate ends.
 *
 * @throws {BootstrapError} `malformed/service-state` with `key`, `malformed/…`, `system/file`.
 */
export async function serviceCertificateEnd(folder: string): Promise<Date> {
  const { certificate } = await readStateDocument(folder);
  return readCertificate(readPem(certificate, "CERTIFICATE", "certificate"), "certificate").notAfter;
}

/**
 * Gives the service a new certificate for the key that it has. Everything else of the state stays. The service must be
 * started again.
 *
 * @param issue Issues the service's certificate for a key.
 * @throws {BootstrapError} `malformed/service-state` with `key`, `malformed/…`, `system/file`; the errors of `issue`.
 */
export async function renewServiceCertificate(
  folder: string,
  issue: (spki: Uint8Array) => Promise<Certificate>,
): Promise<void> {
  const document = await readStateDocument(folder);
  const { spki } = readCertificate(readPem(document.certificate, "CERTIFICATE", "certificate"), "certificate");
  const { der } = await issue(spki);
  await writeStateDocument(folder, { ...document, certificate: writePem("CERTIFICATE", der) });
}

/** Whether there is a state. It is written as a whole or not at all. */
export function hasServiceState(folder: string): Promise<boolean> {
  return exists(join(folder, SERVICE_STATE_FILE));
}

/**
 * Reads the state and checks that its parts belong together: the key is the certificate's, the certificate is issued by
 * the CA and valid, and every founding is by one of the operators and covers that CA.
 *
 * @param folder The folder of {@linkcode writeServiceState}.
 * @param keyPath The path of the key, if it is elsewhere, such as under `$CREDENTIALS_DIRECTORY`.
 * @param now The current time.
 * @throws {BootstrapError} `malformed/service-state` with `key`, `precondition/service-key`, `refused/…`,
 *   `system/file`.
 */
export async function readServiceState(
  folder: string,
  now: Date,
  keyPath: string = join(folder, SERVICE_KEY_FILE),
): Promise<ServiceState> {
  const document = await readStateDocument(folder);
  const keys = await readPrivateKeyPem(fromUtf8(await readFile(keyPath, MAXIMUM_KEY_BYTES), keyPath), keyPath);
  const caCertificate = readPem(document.caCertificate, "CERTIFICATE", "caCertificate");
  const clusterId = await clusterIdOf(readCertificate(caCertificate, "caCertificate"));
  const ca = await checkCaCertificate(caCertificate, clusterId);
  const certificate = await checkServiceCertificate(
    readPem(document.certificate, "CERTIFICATE", "certificate"),
    ca,
    now,
  );
  if (!equalBytes(certificate.spki, keys.spki)) {
    throw new BootstrapError(
      "precondition/service-key",
      `The key ${keyPath} is not that of the certificate in ${join(folder, SERVICE_STATE_FILE)}`,
      {
        details: { path: keyPath },
      },
    );
  }
  const { clusterName, operatorKeys, founding, foundings, tokenFounding, version: _, ...rest } = document;
  const trust: ClusterTrust = {
    ...{ clusterName, clusterId, operatorKeys: operatorKeys.map((key) => fromBase64(key, "operatorKeys")) },
    ...present("founding", founding && readFoundingTrust(founding)),
  };
  return {
    ...rest,
    ...present("tokenFounding", tokenFounding === undefined ? undefined : fromBase64(tokenFounding, "tokenFounding")),
    keys,
    certificate: certificate.der,
    caCertificate,
    trust,
    foundings: await Promise.all(foundings.map((founding) => readFounding(founding, trust, clusterId))),
  };
}

/**
 * Reads the policy document from the state, as the file is now.
 *
 * @throws {BootstrapError} `malformed/service-state` with `key`, `system/file`.
 */
export async function readPolicyDocument(folder: string): Promise<string> {
  return (await readStateDocument(folder)).policyDocument;
}

/**
 * Reads the cluster's name from the state.
 *
 * @throws {BootstrapError} `malformed/service-state` with `key`, `system/file`.
 */
export async function readClusterName(folder: string): Promise<string> {
  return (await readStateDocument(folder)).clusterName;
}

/**
 * Reads the cluster's settings from the state, YAML.
 *
 * @throws {BootstrapError} `malformed/service-state` with `key`, `system/file`.
 */
export async function readClusterDocument(folder: string): Promise<string> {
  return (await readStateDocument(folder)).clusterDocument;
}

/**
 * Reads where the service listens. A front reads nothing else of the state: it must neither know the policy nor understand
 * a later form of the document.
 *
 * @throws {BootstrapError} `usage/endpoint`, `malformed/…` for bytes that are no text, `system/file`.
 */
export async function readServiceListen(folder: string): Promise<Endpoint> {
  const path = join(folder, SERVICE_LISTEN_FILE);
  return readListenAddress(fromUtf8(await readFile(path, MAXIMUM_LISTEN_BYTES), path).trimEnd(), path);
}

function readFoundingTrust({ size, policyDigest, tokenKey }: v.InferOutput<typeof foundingSchema>): FoundingTrust {
  return {
    size,
    policyDigest: fromBase64(policyDigest, "founding.policyDigest"),
    tokenKey: fromBase64(tokenKey, "founding.tokenKey"),
  };
}

async function readFounding(
  { operatorKey, signature }: { readonly operatorKey: string; readonly signature: string },
  trust: ClusterTrust,
  clusterId: Bytes,
): Promise<Founding> {
  const founding = {
    operatorKey: fromBase64(operatorKey, "foundings.operatorKey"),
    clusterName: trust.clusterName,
    clusterId,
    signature: fromBase64(signature, "foundings.signature"),
  };
  await checkFounding(founding, trust, clusterId);
  return founding;
}

/**
 * Adds an operator's founding to those that the service shows, if it is not among them. The service must be started again.
 *
 * @param founding Of this cluster, by an operator that nodes of its trust part obey.
 * @returns Whether it was added.
 * @throws {BootstrapError} `refused/founding-operator`, `refused/founding-name`, `refused/founding-cluster-id`,
 *   `refused/signature`; `malformed/service-state` with `key`, `system/file`.
 */
export async function addFounding(folder: string, founding: Founding): Promise<boolean> {
  const document = await readStateDocument(folder);
  const caCertificate = readPem(document.caCertificate, "CERTIFICATE", "caCertificate");
  const clusterId = await clusterIdOf(readCertificate(caCertificate, "caCertificate"));
  const { clusterName, foundings } = document;
  const operatorKeys = document.operatorKeys.map((key) => fromBase64(key, "operatorKeys"));
  await checkFounding(founding, { clusterName, clusterId, operatorKeys }, clusterId);
  const operatorKey = base64(founding.operatorKey);
  if (foundings.some((known) => known.operatorKey === operatorKey)) return false;
  const added = { operatorKey, signature: base64(founding.signature) };
  await writeStateDocument(folder, { ...document, foundings: [...foundings, added] });
  return true;
}
