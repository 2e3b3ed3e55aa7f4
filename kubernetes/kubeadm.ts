/**
 * kubeadm as a subprocess.
 *
 * @module
 */
import { join } from "node:path";
import { BootstrapError } from "../platform/errors.ts";
import type { CommandResult, CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { ensureFolder, exists, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { hex, isZero, randomBytes, utf8 } from "../platform/bytes.ts";
import {
  type FailedCheck,
  type KubeadmProgress,
  parseFailedChecks,
  parseFailure,
  parseProgress,
} from "./_kubeadm_output.ts";
import { createRedactor, redact } from "./_redact.ts";
import { isWholeKubeconfig, isWholePem, removeTornFiles } from "./_torn_files.ts";

export type { FailedCheck, KubeadmProgress } from "./_kubeadm_output.ts";

/** What a {@linkcode Kubeadm} works with. */
export interface KubeadmParts {
  /** Runs kubeadm and `sync`. */
  readonly commands: CommandRunner;
  /** A folder of our own, for the time of a run, as `/run/bootstrapper`; made with mode 0700 where there is none. */
  readonly privateFolder: string;
  /** Where kubeadm works. Default: `/etc/kubernetes`. */
  readonly kubernetesFolder?: string;
  /** Where the kubelet's configuration is. Default: `/var/lib/kubelet`. */
  readonly kubeletFolder?: string;
}

/** How kubeadm is run once. */
export interface KubeadmRun {
  /** kubeadm is killed after this many milliseconds. */
  readonly deadlineMs: number;
  /** Ends it early. */
  readonly signal?: AbortSignal;
  /** Called for each thing that it says of its work, without secrets. */
  readonly onProgress?: (progress: KubeadmProgress) => void;
  /** Called for each line that it prints, without secrets. */
  readonly onLine?: (line: string) => void;
}

/**
 * Phases of `kubeadm init` that are left out: `preflight` was run before the lock; `bootstrap-token` would make a bearer
 * secret, and what else it does is in the cluster's RBAC manifests; `upload-certs` puts keys into the cluster;
 * `show-join-command` shows a token.
 */
const SKIPPED_INIT_PHASES = ["preflight", "bootstrap-token", "upload-certs", "show-join-command"] as const;

const KUBELET_FILE_MAXIMUM_BYTES = 1 << 20;

/** kubeadm with a folder for its configuration. Runs are one at a time: that is the caller's concern. */
export class Kubeadm {
  readonly #commands: CommandRunner;
  readonly #privateFolder: string;
  readonly #kubernetesFolder: string;
  readonly #kubeletFolder: string;

  /** Nothing is run yet. */
  constructor(parts: KubeadmParts) {
    this.#commands = parts.commands;
    this.#privateFolder = parts.privateFolder;
    this.#kubernetesFolder = parts.kubernetesFolder ?? "/etc/kubernetes";
    this.#kubeletFolder = parts.kubeletFolder ?? "/var/lib/kubelet";
  }

  /**
   * Initialises the cluster on the CA in `pki/ca.{crt,key}`, which must be there. No bootstrap token exists at any time,
   * `super-admin.conf` is gone at the end, and everything is on disk.
   *
   * May be run again with the same documents after it failed, was killed or the power went; what was left half-written
   * is made anew.
   *
   * @param documents The YAML of `initDocuments()`.
   * @throws {BootstrapError} `system/kubeadm` naming the phase, `timeout/command`, `aborted/command`, `system/command`,
   *   `precondition/cluster-ca` if the CA is missing.
   */
  async init(documents: string, run: KubeadmRun): Promise<void> {
    for (const name of ["ca.crt", "ca.key"]) {
      const path = join(this.#kubernetesFolder, "pki", name);
      if (await exists(path)) continue;
      throw new BootstrapError("precondition/cluster-ca", `Cannot initialise a cluster as its CA is not at ${path}`);
    }
    await removeTornFiles(this.#kubernetesFolder);
    await this.#run("init", ["init", `--skip-phases=${SKIPPED_INIT_PHASES.join(",")}`], documents, run);
    await removeIfExists(join(this.#kubernetesFolder, "super-admin.conf"));
    await this.#sync(run);
  }

  /**
   * Makes this machine a worker by the ticket's kubeconfig, which the document names. May be run again like
   * {@linkcode init}, with a fresh ticket; once the kubelet has credentials of its own there is nothing left to do, and
   * kubeadm, which refuses the name of a Node that is Ready, is not asked.
   *
   * @param document The YAML of `joinDocument()`.
   * @throws {BootstrapError} As {@linkcode init}.
   */
  async join(document: string, run: KubeadmRun): Promise<void> {
    // After a restart the kubelet goes on by itself; what is looked at here should hold still.
    if (await exists(join(this.#kubeletFolder, "config.yaml"))) await this.#systemctl("stop", run);
    if (await this.hasJoined()) await this.#systemctl("start", run);
    else await this.#joinByKubeadm(document, run);
    await removeIfExists(join(this.#kubernetesFolder, "bootstrap-kubelet.conf"));
    await this.#sync(run);
  }

  /**
   * kubeadm's own checks before an init or a join; they change nothing and fetch no image.
   *
   * @returns The checks that failed; none means that all is well. Those of a join ask the cluster, with the ticket.
   */
  async preflight(command: "init" | "join", document: string, run: KubeadmRun): Promise<FailedCheck[]> {
    const argv = command === "init" ? ["init", "phase", "preflight"] : ["join", "phase", "preflight"];
    const { code, stdout, stderr } = await this.#start(argv, document, run);
    const failed = parseFailedChecks(redact(`${stdout}\n${stderr}`));
    if (code !== 0 && failed.length === 0) throw failure(`${command} phase preflight`, code, stderr);
    return failed;
  }

  /** The images that the control plane of these documents needs, as `registry.k8s.io/kube-apiserver:v1.36.3`. */
  async requiredImages(documents: string, run: KubeadmRun): Promise<string[]> {
    const { code, stdout, stderr } = await this.#start(["config", "images", "list"], documents, run);
    if (code !== 0) throw failure("config images list", code, stderr);
    return stdout.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  async #joinByKubeadm(document: string, run: KubeadmRun): Promise<void> {
    await removeTornFiles(this.#kubernetesFolder);
    const ca = join(this.#kubernetesFolder, "pki", "ca.crt");
    if (!await isWholePem(ca)) await removeIfExists(ca);
    try {
      await this.#run("join", ["join", "--skip-phases=preflight"], document, run);
    } catch (error) {
      // The kubelet of an earlier run was faster, and kubeadm refuses because its Node is Ready.
      const refused = error instanceof BootstrapError && error.code === "system/kubeadm";
      if (!refused || !await this.hasJoined()) throw error;
    }
  }

  /** Like kubeadm, without minding the outcome: where systemd does not run the kubelet, somebody else does. */
  async #systemctl(verb: "start" | "stop", run: KubeadmRun): Promise<void> {
    await this.#commands.run(["systemctl", verb, "kubelet.service"], { deadlineMs: run.deadlineMs });
  }

  /** Whether the kubelet has all that kubeadm writes, and its own credentials. */
  async hasJoined(): Promise<boolean> {
    for (const name of ["config.yaml", "kubeadm-flags.env"]) {
      const content = await readFileIfExists(join(this.#kubeletFolder, name), KUBELET_FILE_MAXIMUM_BYTES);
      if (content === undefined || isZero(content)) return false;
    }
    return await isWholePem(join(this.#kubernetesFolder, "pki", "ca.crt")) &&
      await isWholeKubeconfig(join(this.#kubernetesFolder, "kubelet.conf"));
  }

  async #run(command: string, argv: readonly string[], document: string, run: KubeadmRun): Promise<void> {
    const { code, stderr } = await this.#start(argv, document, run);
    if (code !== 0) throw failure(command, code, stderr);
  }

  async #start(argv: readonly string[], document: string, run: KubeadmRun): Promise<CommandResult> {
    await ensureFolder(this.#privateFolder, 0o700);
    const config = join(this.#privateFolder, `kubeadm-${hex(randomBytes(8))}.yaml`);
    const redactors = { stdout: createRedactor(), stderr: createRedactor() };
    try {
      await writeFileAtomic(config, utf8(document), { mode: 0o600 });
      return await this.#commands.run(["kubeadm", ...argv, `--config=${config}`], {
        deadlineMs: run.deadlineMs,
        ...(run.signal === undefined ? {} : { signal: run.signal }),
        onLine(raw, stream) {
          const line = redactors[stream](raw);
          run.onLine?.(line);
          const progress = parseProgress(line);
          if (progress !== undefined) run.onProgress?.(progress);
        },
      });
    } finally {
      await removeIfExists(config);
    }
  }

  /** kubeadm does not force its files to disk; what is journalled as done must be there after a power cut. */
  async #sync(run: KubeadmRun): Promise<void> {
    const folders = [this.#kubernetesFolder, this.#kubeletFolder];
    await runOrThrow(this.#commands, ["sync", "--file-system", ...folders], { deadlineMs: run.deadlineMs });
  }
}

function failure(command: string, code: number, stderr: string): BootstrapError {
  const { phase, reason } = parseFailure(redact(stderr));
  const where = phase === "" ? "" : ` in phase "${phase}"`;
  return new BootstrapError("system/kubeadm", `kubeadm ${command} failed${where}: ${reason}`, {
    details: { command: `kubeadm ${command}`, phase, exitCode: String(code) },
  });
}
