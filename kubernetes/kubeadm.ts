/**
 * kubeadm as a subprocess.
 *
 * @module
 */
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import { exists, removeIfExists } from "../platform/files.ts";
import { type FailedCheck, parseFailedChecks } from "./_kubeadm_output.ts";
import { failure, type FailureKind, type KubeadmParts, KubeadmProcess, type KubeadmRun } from "./_kubeadm_process.ts";
import { redact } from "./_redact.ts";
import { isWholePem, removeTornFiles } from "./_torn_files.ts";

export type { FailedCheck, KubeadmProgress } from "./_kubeadm_output.ts";
export type { KubeadmParts, KubeadmRun } from "./_kubeadm_process.ts";

/**
 * Phases of `kubeadm init` that are left out: `preflight` was run before the lock; `bootstrap-token` would make a bearer
 * secret, and what else it does is in the cluster's RBAC manifests; `upload-certs` puts keys into the cluster;
 * `show-join-command` shows a token.
 */
const SKIPPED_INIT_PHASES = ["preflight", "bootstrap-token", "upload-certs", "show-join-command"] as const;

/**
 * Phases of `kubeadm init` that wait for the control plane, or call it at the cluster's endpoint: a slow machine, or a load balancer
 * that is not ready yet. What comes before them works on this machine alone, and fails the same way again.
 */
const WAITING_INIT_PHASES = ["wait-control-plane", "upload-config", "mark-control-plane", "addon"];

/** kubeadm with a folder for its configuration. Runs are one at a time: that is the caller's concern. */
export class Kubeadm {
  readonly #process: KubeadmProcess;

  /** Nothing is run yet. */
  constructor(parts: KubeadmParts) {
    this.#process = new KubeadmProcess(parts);
  }

  /**
   * Initialises the cluster on the CA in `pki/ca.{crt,key}`, which must be there. No bootstrap token exists at any time,
   * `super-admin.conf` is gone at the end, and everything is on disk.
   *
   * May be run again with the same documents after it failed, was killed or the power went; what was left half-written
   * is made anew.
   *
   * @param documents The YAML of `initDocuments()`.
   * @throws {BootstrapError} `system/kubeadm` naming the phase, retriable where waiting may mend it; `timeout/command`,
   *   `aborted/command`, `system/command`, `precondition/cluster-ca` if the CA is missing.
   */
  async init(documents: string, run: KubeadmRun): Promise<void> {
    const { kubernetesFolder } = this.#process;
    for (const name of ["ca.crt", "ca.key"]) {
      const path = join(kubernetesFolder, "pki", name);
      if (await exists(path)) continue;
      throw new BootstrapError("precondition/cluster-ca", `Cannot initialise a cluster as its CA is not at ${path}`);
    }
    await removeTornFiles(kubernetesFolder);
    const argv = ["init", `--skip-phases=${SKIPPED_INIT_PHASES.join(",")}`] as const;
    await this.#process.run(argv, documents, run, kindOfInitFailure);
    await removeIfExists(join(kubernetesFolder, "super-admin.conf"));
    await this.#process.sync(run);
  }

  /**
   * Makes this machine a worker by the ticket's kubeconfig, which the document names. May be run again like
   * {@linkcode init}, with a fresh ticket; once the kubelet has credentials of its own there is nothing left to do, and
   * kubeadm, which refuses the name of a Node that is Ready, is not asked.
   *
   * @param document The YAML of `joinDocument()` for a worker.
   * @throws {BootstrapError} As {@linkcode init}.
   */
  async join(document: string, run: KubeadmRun): Promise<void> {
    // After a restart the kubelet goes on by itself; what is looked at here should hold still.
    await this.#process.systemctl("stop", run);
    if (await this.hasJoined()) await this.#process.systemctl("start", run);
    else await this.#joinByKubeadm(document, run);
    await removeIfExists(join(this.#process.kubernetesFolder, "bootstrap-kubelet.conf"));
    await this.#process.sync(run);
  }

  /**
   * kubeadm's own checks before an init or a join; they change nothing and fetch no image.
   *
   * @returns The checks that failed; none means that all is well. Those of a join ask the cluster, with the ticket.
   */
  async preflight(command: "init" | "join", document: string, run: KubeadmRun): Promise<FailedCheck[]> {
    const argv = command === "init" ? ["init", "phase", "preflight"] : ["join", "phase", "preflight"];
    const { code, stdout, stderr } = await this.#process.start(argv, document, run);
    const failed = parseFailedChecks(redact(`${stdout}\n${stderr}`));
    if (code !== 0 && failed.length === 0) throw failure(`${command} phase preflight`, code, stderr);
    return failed;
  }

  /** The images that the control plane of these documents needs, as `registry.k8s.io/kube-apiserver:v1.36.3`. */
  async requiredImages(documents: string, run: KubeadmRun): Promise<string[]> {
    const { code, stdout, stderr } = await this.#process.start(["config", "images", "list"], documents, run);
    if (code !== 0) throw failure("config images list", code, stderr);
    return stdout.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  /** Whether the kubelet has all that kubeadm writes, and its own credentials. */
  hasJoined(): Promise<boolean> {
    return this.#process.hasJoined();
  }

  async #joinByKubeadm(document: string, run: KubeadmRun): Promise<void> {
    const { kubernetesFolder } = this.#process;
    await removeTornFiles(kubernetesFolder);
    const ca = join(kubernetesFolder, "pki", "ca.crt");
    if (!await isWholePem(ca)) await removeIfExists(ca);
    try {
      await this.#process.run(["join", "--skip-phases=preflight"], document, run);
    } catch (error) {
      // The kubelet of an earlier run was faster, and kubeadm refuses because its Node is Ready.
      const refused = error instanceof BootstrapError && error.code === "system/kubeadm";
      if (!refused || !await this.hasJoined()) throw error;
    }
  }
}

/** kubeadm names a phase by its path, as `upload-config/kubeadm`. */
function kindOfInitFailure(phase: string): FailureKind {
  const [first = ""] = phase.split("/", 1);
  return { code: "system/kubeadm", retriable: WAITING_INIT_PHASES.includes(first) };
}
