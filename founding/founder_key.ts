/**
 * F, the key by which a founder is known until the cluster stands, and its one certificate.
 *
 * @module
 */
import { join } from "node:path";
import { checkFounderCertificate, createFounderCertificate } from "../certificate/founder_certificate.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import type { Bytes } from "../platform/bytes.ts";
import { equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import {
  ensureFolder,
  exists,
  readFileIfExists,
  removeIfExists,
  removeTemporaries,
  writeFileAtomic,
} from "../platform/files.ts";

/** A founder's key, and what etcd needs of it. */
export interface FounderKey {
  /** F, P-256. */
  readonly keys: KeyPair;
  /** Its self-signed certificate, DER. */
  readonly certificate: Bytes;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** The names of the files in the founder's folder. */
export const FOUNDER_FILES: Readonly<Record<"key" | "certificate" | "pledge", string>> = Object.freeze({
  key: "key.pem",
  certificate: "certificate.pem",
  pledge: "pledge",
});

/** What a machine has while it takes part in a founding, or while a part of that is still to be removed. */
const OF_FOUNDERS = [FOUNDER_FILES.key, FOUNDER_FILES.pledge, "leaving", "staged"] as const;

/** Whether a machine takes part in a founding, or has not removed everything of it yet. */
export async function isFounder(folder: string): Promise<boolean> {
  const found = await Promise.all(OF_FOUNDERS.map((name) => exists(join(folder, name))));
  return found.includes(true);
}

const MAXIMUM_FILE_BYTES = 8_192;
const SECRET_MODE = 0o600;
const PRIVATE_FOLDER_MODE = 0o700;

/**
 * Reads F and its certificate. If they are missing, or the address has changed, both are made anew and synced to disk
 * before this returns. Once the founder has pledged, nothing is made any more: others have signed for exactly these.
 *
 * @param folder The founder's folder. It is created with mode 0700.
 * @param address Where the other founders' etcd reaches this one.
 * @throws {BootstrapError} `precondition/founder-key` if the founder has pledged, and its key is missing or for another
 *   address; `system/file`.
 */
export async function readOrCreateFounderKey(folder: string, address: Endpoint): Promise<FounderKey> {
  await ensureFolder(folder, PRIVATE_FOLDER_MODE);
  await removeTemporaries(join(folder, FOUNDER_FILES.key));
  const hasPledged = await exists(join(folder, FOUNDER_FILES.pledge));
  let problem: BootstrapError;
  try {
    const found = await readFounderKey(folder, address.host);
    if (found !== undefined) return found;
    problem = new BootstrapError("precondition/founder-key", `The founder's key is missing in ${folder}`);
  } catch (cause) {
    problem = asBootstrapError(cause);
    if (problem.code === "system/file") throw problem;
  }
  if (hasPledged) throw pledged(folder, address.host, problem);
  return await createFounderKey(folder, address.host);
}

/** Returns `undefined` if one of the two files is missing. Throws if they are not a founder's key for that host. */
async function readFounderKey(folder: string, host: string): Promise<FounderKey | undefined> {
  const [keyPath, certificatePath] = [join(folder, FOUNDER_FILES.key), join(folder, FOUNDER_FILES.certificate)];
  const [keyBytes, certificateBytes] = [
    await readFileIfExists(keyPath, MAXIMUM_FILE_BYTES),
    await readFileIfExists(certificatePath, MAXIMUM_FILE_BYTES),
  ];
  if (keyBytes === undefined || certificateBytes === undefined) return undefined;
  const keyPem = fromUtf8(keyBytes, keyPath);
  const certificatePem = fromUtf8(certificateBytes, certificatePath);
  const keys = await readPrivateKeyPem(keyPem, keyPath);
  const certificate = readPem(certificatePem, "CERTIFICATE", certificatePath);
  const { spki } = await checkFounderCertificate(certificate, host);
  if (!equalBytes(spki, keys.spki)) {
    throw new BootstrapError("precondition/founder-key", `${certificatePath} is for another key than ${keyPath}`);
  }
  return { keys, certificate, keyPem, certificatePem };
}

/** The certificate is written last: without it, nobody has seen the key, and a crash in between leaves nothing behind. */
async function createFounderKey(folder: string, host: string): Promise<FounderKey> {
  const keys = await generateKeyPair("p-256");
  const { der: certificate } = await createFounderCertificate(keys, host);
  const keyPem = await privateKeyPem(keys);
  const certificatePem = writePem("CERTIFICATE", certificate);
  await removeIfExists(join(folder, FOUNDER_FILES.certificate));
  await writeFileAtomic(join(folder, FOUNDER_FILES.key), utf8(keyPem), { mode: SECRET_MODE });
  await writeFileAtomic(join(folder, FOUNDER_FILES.certificate), utf8(certificatePem), { mode: SECRET_MODE });
  return { keys, certificate, keyPem, certificatePem };
}

function pledged(folder: string, host: string, cause: BootstrapError): BootstrapError {
  const message = `This machine has pledged with a key in ${folder} that is missing or not for the address ${host}`;
  return new BootstrapError("precondition/founder-key", message, {
    cause,
    next:
      "Give founding.address its earlier value; if the key is lost, run `bootstrapper reset` here and on every founder",
    details: { path: folder, host },
  });
}
