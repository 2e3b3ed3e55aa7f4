import { join } from "node:path";
import { hex, randomBytes, utf8 } from "../platform/bytes.ts";
import { type CommandResult, type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError, type BootstrapErrorOptions, type ErrorCode } from "../platform/errors.ts";
import { ensureFolder, exists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import { type KubeadmProgress, parseFailure, parseProgress, parseWarning } from "./_kubeadm_output.ts";
import { createRedactor, redact } from "./_redact.ts";
import { areKubeletFilesWhole, isWholePem } from "./_torn_files.ts";
import { hasKubeletCredentials } from "./kubelet_credentials.ts";

/** The dependencies of kubeadm. */
export interface KubeadmParts {
  /** Runs kubeadm, `systemctl` and `sync`. */
  readonly commands: CommandRunner;
  /**
   * A private folder for the time of a run, such as `/run/bootstrapper`. It is created with mode 0700 if it does not
   * exist.
   */
  readonly privateFolder: string;
  /** kubeadm's working folder. Default: `/etc/kubernetes`. */
  readonly kubernetesFolder?: string;
  /** The folder of the kubelet's configuration. Default: `/var/lib/kubelet`. */
  readonly kubeletFolder?: string;
}

/** The options of one run of kubeadm. */
export interface KubeadmRun {
  /** kubeadm is killed after this many milliseconds. */
  readonly deadlineMs: number;
  /** Ends the run early. */
  readonly signal?: AbortSignal;
  /** Called for each progress message, with secrets redacted. */
  readonly onProgress?: (progress: KubeadmProgress) => void;
  /** Called for each line of output, with secrets redacted. */
  readonly onLine?: (line: string) => void;
}

/** How to classify a failure of kubeadm. The default is `system/kubeadm`, which is not retriable. */
export interface FailureKind {
  readonly code: ErrorCode;
  /** Whether the same run may succeed later. */
  readonly retriable: boolean;
}

/** The exit code of a program that signal N killed, minus N. */
const EXIT_CODE_OF_SIGNALS = 128;
const FINAL: FailureKind = { code: "system/kubeadm", retriable: false };

/** Runs kubeadm, one process at a time, with its configuration in a private file. */
export class KubeadmProcess {
  readonly kubernetesFolder: string;
  readonly kubeletFolder: string;
  /** Called for each warning of any run, with secrets redacted. */
  readonly warningListeners: Set<(warning: string) => void> = new Set();
  readonly #commands: CommandRunner;
  readonly #privateFolder: string;

  constructor(parts: KubeadmParts) {
    this.#commands = parts.commands;
    this.#privateFolder = parts.privateFolder;
    this.kubernetesFolder = parts.kubernetesFolder ?? "/etc/kubernetes";
    this.kubeletFolder = parts.kubeletFolder ?? "/var/lib/kubelet";
  }

  /** Runs kubeadm and throws if it fails. `kindOf` classifies a failure by phase and reason. */
  async run(
    argv: readonly [string, ...string[]],
    document: string,
    run: KubeadmRun,
    kindOf: (phase: string, reason: string) => FailureKind = () => FINAL,
  ): Promise<void> {
    const { code, stderr } = await this.start(argv, document, run);
    if (code !== 0) throw failure(argv[0], code, stderr, kindOf);
  }

  /** Runs kubeadm and returns its result, whatever the exit code. */
  start(argv: readonly string[], document: string, run: KubeadmRun): Promise<CommandResult> {
    const redactors = { stdout: createRedactor(), stderr: createRedactor() };
    return this.withPrivateFile(document, (config) =>
      this.#commands.run(["kubeadm", ...argv, `--config=${config}`], {
        deadlineMs: run.deadlineMs,
        ...present("signal", run.signal),
        onLine: (raw, stream) => {
          const line = redactors[stream](raw);
          run.onLine?.(line);
          const progress = parseProgress(line);
          if (progress !== undefined) run.onProgress?.(progress);
          const warning = parseWarning(line);
          if (warning !== undefined) { for (const listener of this.warningListeners) listener(warning); }
        },
      }));
  }

  /** Writes a private file for the time of `use`. */
  async withPrivateFile<T>(text: string, use: (path: string) => Promise<T>): Promise<T> {
    await ensureFolder(this.#privateFolder, 0o700);
    const path = join(this.#privateFolder, `kubeadm-${hex(randomBytes(8))}.yaml`);
    try {
      await writeFileAtomic(path, utf8(text), { mode: 0o600 });
      return await use(path);
    } finally {
      await removeIfExists(path);
    }
  }

  /**
   * Starts or stops the kubelet if it is configured. Like kubeadm, it ignores the result: where systemd does not run
   * the kubelet, another supervisor does.
   */
  async systemctl(verb: "start" | "stop", run: KubeadmRun): Promise<void> {
    if (!await exists(join(this.kubeletFolder, "config.yaml"))) return;
    await this.#commands.run(["systemctl", verb, "kubelet.service"], { deadlineMs: run.deadlineMs });
  }

  /** Forces all files to disk, which kubeadm does not do. Steps in the journal must survive a power cut. */
  async sync(run: KubeadmRun): Promise<void> {
    const folders = [this.kubernetesFolder, this.kubeletFolder];
    await runOrThrow(this.#commands, ["sync", "--file-system", ...folders], { deadlineMs: run.deadlineMs });
  }

  /**
   * Whether the kubelet has all files that kubeadm writes, and its credentials. The credentials are there before kubeadm
   * runs, so they alone do not show that it has.
   */
  async hasJoined(): Promise<boolean> {
    return await areKubeletFilesWhole(this.kubeletFolder) &&
      await isWholePem(join(this.kubernetesFolder, "pki", "ca.crt")) && await this.hasKubeletCredentials();
  }

  /** Whether the kubelet has its credentials. */
  hasKubeletCredentials(): Promise<boolean> {
    return hasKubeletCredentials({ kubernetes: this.kubernetesFolder });
  }
}

/** The error of a failed run of kubeadm. */
export class KubeadmError extends BootstrapError {
  /** The path of the failed phase, such as `upload-config/kubeadm`; empty if kubeadm did not name it. */
  readonly phase: string;

  constructor(code: ErrorCode, message: string, phase: string, options: BootstrapErrorOptions) {
    super(code, message, { ...options, details: { ...options.details, phase } });
    this.phase = phase;
  }
}

/** Makes the error of a failed run of kubeadm. */
export function failure(
  command: string,
  exitCode: number,
  stderr: string,
  kindOf: (phase: string, reason: string) => FailureKind = () => FINAL,
): KubeadmError {
  const signal = exitCode - EXIT_CODE_OF_SIGNALS;
  // A killed process printed no final error; its last line is unrelated.
  const { phase, reason } = signal > 0
    ? { phase: "", reason: `it was killed by signal ${signal}` }
    : parseFailure(redact(stderr));
  const where = phase === "" ? "" : ` in phase "${phase}"`;
  const { code, retriable } = kindOf(phase, reason);
  return new KubeadmError(code, `kubeadm ${command} failed${where}: ${reason}`, phase, {
    retriable,
    details: { command: `kubeadm ${command}`, exitCode: String(exitCode) },
  });
}
