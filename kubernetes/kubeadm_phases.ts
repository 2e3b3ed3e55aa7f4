/**
 * Single phases of kubeadm, with which a control plane that kubeadm made gets another configuration.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import { subjectAltName } from "../certificate/extensions.ts";
import { readPem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import { equalBytes, fromUtf8 } from "../platform/bytes.ts";
import { ensureFolder, readFile, removeIfExists, renameFolder } from "../platform/files.ts";
import { addressBytes } from "../platform/ip_address.ts";
import type { KubeadmParts, KubeadmRun } from "./_kubeadm_process.ts";
import { KubeadmProcess } from "./_kubeadm_process.ts";
import type { ClusterConfiguration } from "./cluster_configuration.ts";
import { clusterConfigurationText } from "./cluster_configuration.ts";
import type { NodeFacts } from "./documents.ts";
import { imagesDocument, LOOPBACK } from "./documents.ts";

/** A component of a control plane whose manifest kubeadm writes. */
export type Component = "apiserver" | "controller-manager";

const PAIR = ["apiserver.key", "apiserver.crt"] as const;
const MAXIMUM_PEM_BYTES = 1 << 16;
const FOLDER_MODE = 0o700;

/** kubeadm's phases on one control plane. The caller makes sure that only one run is active at a time. */
export class KubeadmPhases {
  readonly #process: KubeadmProcess;

  /** Runs nothing yet. */
  constructor(parts: KubeadmParts) {
    this.#process = new KubeadmProcess(parts);
  }

  /**
   * Whether the API server's certificate on disk has the loopback address.
   *
   * @throws {BootstrapError} `malformed/…` for a certificate that is none, `system/file`.
   */
  async hasLoopbackName(): Promise<boolean> {
    const path = join(this.#process.kubernetesFolder, "pki", "apiserver.crt");
    const pem = fromUtf8(await readFile(path, MAXIMUM_PEM_BYTES), path);
    const loopback = addressBytes(LOOPBACK) ?? new Uint8Array();
    return (subjectAltName(readCertificate(readPem(pem, "CERTIFICATE", path), path)) ?? [])
      .some((name) => name.type === "ip" && equalBytes(name.value, loopback));
  }

  /**
   * Makes a new certificate of the API server, which takes it into use by itself. kubeadm makes it in a folder of its
   * own, so that the certificate before stays until there is a new one.
   */
  async renewApiServerCertificate(
    configuration: ClusterConfiguration,
    node: NodeFacts,
    run: KubeadmRun,
  ): Promise<void> {
    const pki = join(this.#process.kubernetesFolder, "pki");
    const folder = join(pki, ".bootstrapper-adoption");
    await removeIfExists(folder);
    await ensureFolder(folder, FOLDER_MODE);
    for (const name of ["ca.crt", "ca.key"]) await Deno.symlink(join("..", name), join(folder, name));
    // The folder as kubeadm sees it: the program may have another root.
    const certificatesDir = join("/etc/kubernetes/pki", ".bootstrapper-adoption");
    await this.#run(["init", "phase", "certs", "apiserver"], { ...configuration, certificatesDir }, node, run);
    for (const name of PAIR) await renameFolder(join(folder, name), join(pki, name));
    await removeIfExists(folder);
    await this.#process.sync(run);
  }

  /** Writes the cluster's configuration where later control planes and upgrades read it. */
  uploadConfiguration(configuration: ClusterConfiguration, node: NodeFacts, run: KubeadmRun): Promise<void> {
    return this.#run(["init", "phase", "upload-config", "kubeadm"], configuration, node, run);
  }

  /** Writes the manifest of a component. The kubelet starts it again if the manifest changes. */
  async writeManifest(
    component: Component,
    configuration: ClusterConfiguration,
    node: NodeFacts,
    run: KubeadmRun,
  ): Promise<void> {
    await this.#run(["init", "phase", "control-plane", component], configuration, node, run);
    await this.#process.sync(run);
  }

  #run(
    argv: readonly [string, ...string[]],
    configuration: ClusterConfiguration,
    node: NodeFacts,
    run: KubeadmRun,
  ): Promise<void> {
    const documents = `${stringify(imagesDocument(node))}---\n${clusterConfigurationText(configuration)}`;
    return this.#process.run(argv, documents, run, (phase) => ({
      code: "system/kubeadm",
      // It calls the API server, which may just be starting.
      retriable: phase.startsWith("upload-config"),
    }));
  }
}
