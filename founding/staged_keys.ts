/**
 * The CA of a cluster that this founder was decided on for. It is written before the node lock and read after it.
 *
 * @module
 */
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { joinCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { privateKeyPem, readPrivateKeyPem } from "../certificate/keys.ts";
import { readPem, writePem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import { equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFile, removeIfExists, writeFileAtomic } from "../platform/files.ts";

const FILES = Object.freeze({ key: "ca.key", certificate: "ca.crt" });
const MAXIMUM_FILE_BYTES = 1 << 16;
const SECRET = Object.freeze({ mode: 0o600 });

/** The folder of a founder's staged keys. */
export class StagedKeys {
  readonly #folder: string;

  /** Uses the folder `staged` in the founder's folder, and does not create it. */
  constructor(foundingFolder: string) {
    this.#folder = join(foundingFolder, "staged");
  }

  /**
   * Writes both files and forces them to disk, before the lock.
   *
   * @throws {BootstrapError} `system/file`. No file is left behind then.
   */
  async stage(ca: CertificateAuthority<KeyPair>): Promise<void> {
    await this.discard();
    try {
      await ensureFolder(this.#folder, 0o700);
      await writeFileAtomic(this.#path("key"), utf8(await privateKeyPem(ca.keys)), SECRET);
      await writeFileAtomic(this.#path("certificate"), utf8(writePem("CERTIFICATE", ca.certificate.der)), SECRET);
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /**
   * Reads the CA that was staged for the cluster that the lock names.
   *
   * @param clusterId 32 bytes.
   * @throws {BootstrapError} `precondition/staged-init` if it is of another cluster, `system/file` if a file is missing,
   *   `malformed/…` if one is torn.
   */
  async read(clusterId: Uint8Array): Promise<CertificateAuthority<KeyPair>> {
    const text = async (name: keyof typeof FILES) =>
      fromUtf8(await readFile(this.#path(name), MAXIMUM_FILE_BYTES), this.#path(name));
    const certificate = readCertificate(readPem(await text("certificate"), "CERTIFICATE", "staged CA"), "staged CA");
    if (!equalBytes(await clusterIdOf(certificate), clusterId)) {
      const message = "The staged CA is not that of the cluster which the lock names";
      throw new BootstrapError("precondition/staged-init", message, { next: "Replace this machine by a fresh one" });
    }
    return joinCertificateAuthority(certificate, await readPrivateKeyPem(await text("key"), "staged CA key"));
  }

  /** Deletes what was staged and never locked, or is no longer needed: the CA is where kubeadm expects it. */
  discard(): Promise<void> {
    return removeIfExists(this.#folder);
  }

  #path(name: keyof typeof FILES): string {
    return join(this.#folder, FILES[name]);
  }
}
