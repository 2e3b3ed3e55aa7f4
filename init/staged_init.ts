/**
 * The files that an init needs to finish by itself after a power cut. They are written before the lock and read after
 * it.
 *
 * @module
 */
import { join } from "node:path";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import type { CertificateAuthority } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { JournalOperation } from "../journal/journal.ts";
import { equalBytes, fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFile, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { Founding } from "../proto/gen/bootstrapper.ts";
import type { InitRequest } from "../proto/gen/bootstrapper.ts";
import { readInitRequest } from "../protocol/init_request.ts";

const MAXIMUM_FILE_BYTES = 1 << 18;
const FILES = Object.freeze({
  caKey: "ca.key",
  caCertificate: "ca.crt",
  request: "request.bin",
  founding: "founding.bin",
});

/** An authorised init. */
export interface StagedInit {
  /** The cluster's CA, made on this node. */
  readonly ca: CertificateAuthority<KeyPair>;
  /** The operator's request, exactly as it was signed. */
  readonly requestBytes: Uint8Array;
  /** The decoded request. */
  readonly request: InitRequest;
  /** The operator's founding of this cluster ID. */
  readonly founding: Founding;
}

/** The values that identify an init in its journal. */
export async function operationOf({ request, requestBytes, founding }: StagedInit): Promise<JournalOperation> {
  return {
    id: hex(request.operationId),
    operatorKey: hex(founding.operatorKey),
    request: hex(await sha256(requestBytes)),
  };
}

/** The folder of this node's init. */
export class StagedInitFolder {
  readonly #folder: string;

  /** Uses the folder `init` in the bootstrapper's state folder, and does not create it. */
  constructor(stateFolder: string) {
    this.#folder = join(stateFolder, "init");
  }

  /**
   * Writes all files and forces them to disk, before the lock.
   *
   * @throws {BootstrapError} `system/file`. No file is left behind then.
   */
  async stage(staged: StagedInit): Promise<void> {
    await this.discard();
    try {
      await this.#write(staged);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  async #write(staged: StagedInit): Promise<void> {
    await ensureFolder(this.#folder, 0o700);
    const secret = { mode: 0o600 };
    const certificate = writePem("CERTIFICATE", staged.ca.certificate.der);
    await writeFileAtomic(this.#path("caKey"), utf8(await privateKeyPem(staged.ca.keys)), secret);
    await writeFileAtomic(this.#path("caCertificate"), utf8(certificate), secret);
    await writeFileAtomic(this.#path("request"), staged.requestBytes, secret);
    await writeFileAtomic(this.#path("founding"), Founding.encode(staged.founding).finish(), secret);
  }

  /**
   * Reads the init that was staged for the cluster that the lock names.
   *
   * @throws {BootstrapError} `precondition/staged-init` if the files are for another cluster, `precondition/ca-key`,
   *   `system/file` if a file is missing, `malformed/…` if one is torn.
   */
  async read(clusterId: Uint8Array): Promise<StagedInit> {
    const text = async (name: keyof typeof FILES) => fromUtf8(await this.#read(name), this.#path(name));
    const certificate = readCertificate(readPem(await text("caCertificate"), "CERTIFICATE", "staged CA"), "staged CA");
    if (!equalBytes(await clusterIdOf(certificate), clusterId)) {
      throw new BootstrapError(
        "precondition/staged-init",
        "The staged CA is not that of the cluster which the lock names",
        {
          next: "Replace this machine by a fresh one",
        },
      );
    }
    const keys = await readPrivateKeyPem(await text("caKey"), "staged CA key");
    const requestBytes = await this.#read("request");
    return {
      ca: joinCertificateAuthority(certificate, keys),
      requestBytes,
      request: readInitRequest(requestBytes),
      founding: readFounding(await this.#read("founding"), this.#path("founding")),
    };
  }

  /** Deletes an init that was staged but never locked. */
  discard(): Promise<void> {
    return removeIfExists(this.#folder);
  }

  /** Deletes the second copy of the CA's key, once it is no longer needed. */
  forgetKey(): Promise<void> {
    return removeIfExists(this.#path("caKey"));
  }

  #path(name: keyof typeof FILES): string {
    return join(this.#folder, FILES[name]);
  }

  #read(name: keyof typeof FILES): Promise<Uint8Array> {
    return readFile(this.#path(name), MAXIMUM_FILE_BYTES);
  }
}

function readFounding(bytes: Uint8Array, path: string): Founding {
  try {
    return Founding.decode(bytes);
  } catch (cause) {
    throw new BootstrapError("malformed/staged-init", `Cannot read the founding at ${path}`, {
      cause,
      details: { path },
    });
  }
}
