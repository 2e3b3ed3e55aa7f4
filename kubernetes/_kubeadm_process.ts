import { join } from "node:path";
import { hex, isZero, randomBytes, utf8 } from "../platform/bytes.ts";
import { type CommandResult, type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError, type BootstrapErrorOptions, type ErrorCode } from "../platform/errors.ts";
import { ensureFolder, exists, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import { type KubeadmProgress, parseFailure, parseProgress } from "./_kubeadm_output.ts";
import { createRedactor, redact } from "./_redact.ts";
import { isWholeKubeconfig, isWholePem } from "./_torn_files.ts";

/** What kubeadm works with. */
export interface KubeadmParts {
  /** Runs kubeadm, `systemctl` and `sync`. */
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

/** How an error of kubeadm is to be taken; the default is `system/kubeadm`, which no waiting mends. */
export interface FailureKind {
  /** The error's code. */
  readonly code: ErrorCode;
  /** Whether the same may succeed later. */
  readonly retriable: boolean;
}

const KUBELET_FILE_MAXIMUM_BYTES = 1 << 20;
/** The exit code of a program that signal N ended is this and N. */
const EXIT_CODE_OF_SIGNALS = 128;
const FINAL: FailureKind = { code: "system/kubeadm", retriable: false };

/** One process of kubeadm at a time, with its configuration in a file of our own, and what has to be done around it. */
export class KubeadmProcess {
  readonly kubernetesFolder: string;
  readonly kubeletFolder: string;
  readonly #commands: CommandRunner;
  readonly #privateFolder: string;

  constructor(parts: KubeadmParts) {
    this.#commands = parts.commands;
    this.#privateFolder = parts.privateFolder;
    this.kubernetesFolder = parts.kubernetesFolder ?? "/etc/kubernetes";
    this.kubeletFolder = parts.kubeletFolder ?? "/var/lib/kubelet";
  }

  /** Runs kubeadm, which must succeed; `kindOf` says how a failure in a phase is to be taken. */
  async run(
    argv: readonly [string, ...string[]],
    document: string,
    run: KubeadmRun,
    kindOf: (phase: string, reason: string) => FailureKind = () => FINAL,
  ): Promise<void> {
    const { code, stderr } = await this.start(argv, document, run);
    if (code !== 0) throw failure(argv[0], code, stderr, kindOf);
  }

  /** Runs kubeadm, and gives its end whatever the exit code. */
  start(argv: readonly string[], document: string, run: KubeadmRun): Promise<CommandResult> {
    const redactors = { stdout: createRedactor(), stderr: createRedactor() };
    return this.withPrivateFile(document, (config) =>
      this.#commands.run(["kubeadm", ...argv, `--config=${config}`], {
        deadlineMs: run.deadlineMs,
        ...present("signal", run.signal),
        onLine(raw, stream) {
          const line = redactors[stream](raw);
          run.onLine?.(line);
          const progress = parseProgress(line);
          if (progress !== undefined) run.onProgress?.(progress);
        },
      }));
  }

  /** Does something with a file that nobody else may read and that is gone afterwards. */
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
   * Starts or stops the kubelet where it has been configured. Without minding the outcome, like kubeadm: where systemd
   * does not run the kubelet, somebody else does.
   */
  async systemctl(verb: "start" | "stop", run: KubeadmRun): Promise<void> {
    if (!await exists(join(this.kubeletFolder, "config.yaml"))) return;
    await this.#commands.run(["systemctl", verb, "kubelet.service"], { deadlineMs: run.deadlineMs });
  }

  /** kubeadm does not force its files to disk; what is journalled as done must be there after a power cut. */
  async sync(run: KubeadmRun): Promise<void> {
    const folders = [this.kubernetesFolder, this.kubeletFolder];
    await runOrThrow(this.#commands, ["sync", "--file-system", ...folders], { deadlineMs: run.deadlineMs });
  }

  /** Whether the kubelet has all that kubeadm writes, and its own credentials. */
  async hasJoined(): Promise<boolean> {
    for (const name of ["config.yaml", "kubeadm-flags.env"]) {
      const content = await readFileIfExists(join(this.kubeletFolder, name), KUBELET_FILE_MAXIMUM_BYTES);
      if (content === undefined || isZero(content)) return false;
    }
    return await isWholePem(join(this.kubernetesFolder, "pki", "ca.crt")) &&
      await isWholeKubeconfig(join(this.kubernetesFolder, "kubelet.conf"));
  }
}

/** A run of kubeadm that failed. */
export class KubeadmError extends BootstrapError {
  /** The phase in which it failed, by its path, as `upload-config/kubeadm`; empty where it did not say so. */
  readonly phase: string;

  constructor(code: ErrorCode, message: string, phase: string, options: BootstrapErrorOptions) {
    super(code, message, { ...options, details: { ...options.details, phase } });
    this.phase = phase;
  }
}

/** The error of a run of kubeadm that failed. */
export function failure(
  command: string,
  exitCode: number,
  stderr: string,
  kindOf: (phase: string, reason: string) => FailureKind = () => FINAL,
): KubeadmError {
  const signal = exitCode - EXIT_CODE_OF_SIGNALS;
  // Whoever is killed had no last words: what stands last is of something else.
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
