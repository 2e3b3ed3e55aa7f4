/**
 * The two ways in which the founders' etcd is started.
 *
 * @module
 */
import { imageName } from "../kubernetes/image_name.ts";
import { missingImages } from "../kubernetes/images.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";

/** What a launcher's run is given. */
export interface EtcdRun {
  /** Ends etcd with SIGKILL. */
  readonly signal: AbortSignal;
  /** Receives etcd's lines. */
  readonly onLine: (line: string) => void;
}

/** Starts etcd. */
export interface EtcdLauncher {
  /**
   * Checks that etcd can be started, before anything says on disk that it was.
   *
   * @throws {BootstrapError} `unavailable/founding-etcd`, `system/command`.
   */
  check(): Promise<void>;
  /** Ends the etcd that a killed process left. */
  cleanUp(): Promise<void>;
  /** Runs etcd until it ends, and returns its exit code. Nothing of it is left then. */
  run(args: readonly string[], run: EtcdRun): Promise<number>;
}

/** The longest time of a timer: after it, etcd is started again. */
const LONGEST_RUN_MS = 2 ** 31 - 1;
const CALL_MS = 60_000;
/** A container's start takes most of a minute on a busy machine without KVM. */
const TRIAL_MS = 180_000;
/** The kernel ends etcd when this process ends, however that happens. */
const BOUND = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

/** Starts the program `etcd` of this machine. */
export function binaryLauncher(commands: CommandRunner, program = "etcd"): EtcdLauncher {
  return {
    async check() {
      const { code } = await commands.run([...BOUND, program, "--version"], { deadlineMs: CALL_MS });
      if (code !== 0) throw notThere(`${program} --version ended with exit code ${code}`);
    },
    cleanUp: () => Promise.resolve(),
    async run(args, { signal, onLine }) {
      return (await commands.run([...BOUND, program, ...args], { deadlineMs: LONGEST_RUN_MS, signal, onLine })).code;
    },
  };
}

/** The container's name: at most one founding etcd runs on a machine. */
const CONTAINER = "bootstrapper-founding-etcd";
/** The namespace of the CRI's images. */
const CTR = ["ctr", "--namespace", "k8s.io"] as const;

/**
 * Ends the founders' etcd that a killed process left: a container outlives the `ctr` that started it. It may be called
 * again.
 *
 * @throws {BootstrapError} `unavailable/founding-etcd` if it is there afterwards, or nobody can tell; `system/command`.
 */
export async function endFoundingContainer(commands: CommandRunner): Promise<void> {
  const call = (...args: readonly string[]) => commands.run([...CTR, ...args], { deadlineMs: CALL_MS });
  // Each of these fails where there is nothing to end.
  await call("tasks", "kill", "--signal", "SIGKILL", CONTAINER);
  await call("tasks", "delete", "--force", CONTAINER);
  await call("containers", "delete", CONTAINER);
  const { code, stdout, stderr } = await call("containers", "list", "--quiet");
  if (code !== 0) throw notThere(`ctr does not list containers: ${stderr.trimEnd().split("\n").at(-1) ?? ""}`);
  if (stdout.split("\n").includes(CONTAINER)) throw notThere(`the container ${CONTAINER} of an earlier run stays`);
}

/** What {@linkcode containerLauncher} needs. */
export interface ContainerParts {
  readonly commands: CommandRunner;
  /** The name of etcd's image, as kubeadm lists it. */
  readonly image: string;
  /** The folder that etcd sees at its own path: keys, certificates and data lie in it. */
  readonly folder: string;
}

/** Starts etcd from the image that the control plane will use, by containerd, in the machine's own network. */
export function containerLauncher({ commands, image, folder }: ContainerParts): EtcdLauncher {
  const cleanUp = () => endFoundingContainer(commands);
  const mount = `type=bind,src=${folder},dst=${folder},options=rbind:rw`;
  const flags = ["--rm", "--net-host", "--mount", mount] as const;
  const argv = [...BOUND, ...CTR, "run", ...flags, imageName(image), CONTAINER, "etcd"] as const;
  return {
    async check() {
      const missing = await missingImages(commands, [image], CALL_MS);
      if (missing.length > 0) throw notThere(`containerd does not have the image ${image}`);
      // A container that cannot be made here must be found now: once etcd may have voted, its start is not tried again.
      const { code, stderr } = await commands.run([...argv, "--version"], { deadlineMs: TRIAL_MS });
      await cleanUp();
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      if (code !== 0) throw notThere(`"ctr run" of ${image} ended with exit code ${code}: ${last}`);
    },
    cleanUp,
    async run(args, { signal, onLine }) {
      try {
        return (await commands.run([...argv, ...args], { deadlineMs: LONGEST_RUN_MS, signal, onLine })).code;
      } finally {
        await cleanUp();
      }
    },
  };
}

function notThere(reason: string): BootstrapError {
  return new BootstrapError("unavailable/founding-etcd", `The founders' etcd cannot be started: ${reason}`);
}
