/**
 * Runs kubeadm as a subprocess.
 *
 * @module
 */
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import { exists, removeIfExists } from "../platform/files.ts";
import { type FailedCheck, parseFailedChecks, parseFailure } from "./_kubeadm_output.ts";
import { failure, type FailureKind, type KubeadmParts, KubeadmProcess, type KubeadmRun } from "./_kubeadm_process.ts";
import { redact } from "./_redact.ts";
import { isWholePem, removeTornFiles } from "./_torn_files.ts";

export type { FailedCheck, KubeadmProgress } from "./_kubeadm_output.ts";
export type { KubeadmParts, KubeadmRun } from "./_kubeadm_process.ts";

/**
 * The skipped phases of `kubeadm init`. `preflight` ran before the lock. `bootstrap-token` would make a bearer secret;
 * its other effects are in the cluster's RBAC manifests. `upload-certs` puts keys into the cluster. `show-join-command`
 * prints a token.
 */
const SKIPPED_INIT_PHASES = ["preflight", "bootstrap-token", "upload-certs", "show-join-command"] as const;

/**
 * The phases of `kubeadm init` that wait for the control plane or call it at the cluster's endpoint. They fail on a
 * slow machine, or if a load balancer is not ready yet. Earlier phases work only on this machine, and would fail again
 * in the same way.
 */
const WAITING_INIT_PHASES = ["wait-control-plane", "upload-config", "mark-control-plane", "addon"];

/** Runs kubeadm with a folder for its configuration. The caller makes sure that only one run is active at a time. */
export class Kubeadm {
  readonly #process: KubeadmProcess;

  /** Runs nothing yet. */
  constructor(parts: KubeadmParts) {
    this.#process = new KubeadmProcess(parts);
  }

  /**
   * Calls `listener` with each warning of any run, once for each text, until the result is disposed of. kubeadm goes on
   * after a warning, which nobody would see otherwise.
   */
  listenToWarnings(listener: (warning: string) => void): Disposable {
    const heard = new Set<string>();
    const once = (warning: string) => {
      if (heard.has(warning)) return;
      heard.add(warning);
      listener(warning);
    };
    this.#process.warningListeners.add(once);
    return { [Symbol.dispose]: () => void this.#process.warningListeners.delete(once) };
  }

  /**
   * Initialises the cluster with the CA in `pki/ca.{crt,key}` and the kubelet's credentials, which must exist: kubeadm
   * would make its own. No bootstrap token exists at any time. At the end `super-admin.conf` is removed, and everything is on disk.
   *
   * It may be repeated with the same documents after it failed, was killed or the power was cut. Half-written files are
   * made again.
   *
   * @param documents The YAML of `initDocuments()`.
   * @throws {BootstrapError} `system/kubeadm` with the phase, retriable if waiting may fix it; `timeout/command`,
   *   `aborted/command`, `system/command`, `precondition/cluster-ca` if the CA is missing,
   *   `precondition/kubelet-credentials` if the kubelet's are.
   */
  async init(documents: string, run: KubeadmRun): Promise<void> {
    const { kubernetesFolder } = this.#process;
    for (const name of ["ca.crt", "ca.key"]) {
      const path = join(kubernetesFolder, "pki", name);
      if (await exists(path)) continue;
      throw new BootstrapError("precondition/cluster-ca", `Cannot initialise a cluster without its CA at ${path}`);
    }
    if (!await this.#process.hasKubeletCredentials()) {
      const path = join(kubernetesFolder, "kubelet.conf");
      throw new BootstrapError(
        "precondition/kubelet-credentials",
        `Cannot initialise a cluster without the kubelet's credentials at ${path}`,
      );
    }
    await removeTornFiles(kubernetesFolder);
    const argv = ["init", `--skip-phases=${SKIPPED_INIT_PHASES.join(",")}`] as const;
    await this.#process.run(argv, documents, run, kindOfInitFailure);
    await removeIfExists(join(kubernetesFolder, "super-admin.conf"));
    await this.#process.sync(run);
  }

  /**
   * Makes this machine a worker with the ticket's kubeconfig, which the document names. The kubelet's credentials must
   * be installed. It may be repeated like {@linkcode init}, with a new ticket. Once kubeadm has written all files of the
   * kubelet, it is not run again, because it refuses the name of a Node that is Ready.
   *
   * @param document The YAML of `joinDocument()` for a worker.
   * @throws {BootstrapError} The same as {@linkcode init}.
   */
  async join(document: string, run: KubeadmRun): Promise<void> {
    // After a restart the kubelet continues by itself, but it must not write its files while they are checked.
    await this.#process.systemctl("stop", run);
    if (await this.hasJoined()) await this.#process.systemctl("start", run);
    else await this.#joinByKubeadm(document, run);
    await removeIfExists(join(this.#process.kubernetesFolder, "bootstrap-kubelet.conf"));
    await this.#process.sync(run);
  }

  /**
   * Runs kubeadm's own checks before an init or a join. They change nothing and fetch no image. The checks of a join
   * call the cluster with the ticket.
   *
   * @returns The failed checks. The list is empty if all checks passed.
   */
  async preflight(command: "init" | "join", document: string, run: KubeadmRun): Promise<FailedCheck[]> {
    const argv = command === "init" ? ["init", "phase", "preflight"] : ["join", "phase", "preflight"];
    const { code, stdout, stderr } = await this.#process.start(argv, document, run);
    const failed = parseFailedChecks(redact(`${stdout}\n${stderr}`));
    if (code !== 0 && failed.length === 0) throw failure(`${command} phase preflight`, code, stderr);
    return failed;
  }

  /**
   * Has kubeadm read documents strictly. It looks at nothing of the machine and calls nothing.
   *
   * @returns Why it would not take them; `undefined` if it would.
   * @throws {BootstrapError} `system/command` if there is no kubeadm, `timeout/command`.
   */
  async validate(documents: string, run: KubeadmRun): Promise<string | undefined> {
    const { code, stderr } = await this.#process.start(["config", "validate"], documents, run);
    return code === 0 ? undefined : parseFailure(redact(stderr)).reason;
  }

  /**
   * Returns the images that the control plane of these documents needs, such as
   * `registry.k8s.io/kube-apiserver:v1.36.3`.
   */
  async requiredImages(documents: string, run: KubeadmRun): Promise<string[]> {
    const { code, stdout, stderr } = await this.#process.start(["config", "images", "list"], documents, run);
    if (code !== 0) throw failure("config images list", code, stderr);
    return stdout.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  /**
   * Renews all certificates of a control plane that kubeadm made, with the CAs on its disk. What is in them comes from
   * those that are there. kubeadm calls no server.
   *
   * @param documents An InitConfiguration and a ClusterConfiguration, YAML: lifetime and kind of the keys are in it.
   * @throws {BootstrapError} `system/kubeadm`, `timeout/command`, `aborted/command`, `system/command`. Some files may be
   *   renewed then, and one half written.
   */
  async renewCertificates(documents: string, run: KubeadmRun): Promise<void> {
    await this.#process.run(["certs", "renew", "all"], documents, run);
    await this.#process.sync(run);
  }

  /** Whether the kubelet has all files that kubeadm writes, and its own credentials. */
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
      // The kubelet of an earlier run finished first, and kubeadm refuses because its Node is Ready.
      const refused = error instanceof BootstrapError && error.code === "system/kubeadm";
      if (!refused || !await this.hasJoined()) throw error;
    }
  }
}

/** Classifies a failure. kubeadm names a phase by its path, such as `upload-config/kubeadm`. */
function kindOfInitFailure(phase: string): FailureKind {
  const [first = ""] = phase.split("/", 1);
  return { code: "system/kubeadm", retriable: WAITING_INIT_PHASES.includes(first) };
}
