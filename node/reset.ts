/**
 * `bootstrapper reset`: returns this node to the fresh state.
 *
 * The steps are a table. Each step may be repeated, and none relies on a complete earlier run: a reset that was killed
 * at any point starts again from the first step. A marker file says that the node is neither fresh nor a member; `run`
 * refuses to work until the reset has removed the marker at its end.
 *
 * @module
 */
import { join } from "node:path";
import { endFoundingContainer } from "../founding/etcd_launchers.ts";
import { CRI_SOCKET } from "../kubernetes/documents.ts";
import { LockFile } from "../nodelock/file.ts";
import { RENEWAL_LOCK_FILE, RUN_LOCK_FILE, takeRenewalLock, takeRunLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { emptyFolder, ensureFolder, exists, removeIfExists } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import { isAloneInItsCluster } from "./founder.ts";
import { JOIN_SERVICE_UNITS } from "./join_service_units.ts";
import type { OpenEtcd } from "./own_etcd.ts";
import { leaveEtcd, OwnEtcd, withForce } from "./own_etcd.ts";
import type { NodePaths } from "./paths.ts";
import { readResetMarker, removeResetMarker, RESET_MARKER_FILE, writeResetMarker } from "./reset_marker.ts";

/** What a reset needs. */
export interface ResetDependencies {
  readonly paths: NodePaths;
  /** Runs systemctl, kubeadm and findmnt. */
  readonly commands: CommandRunner;
  readonly clock: Clock;
  readonly log: Log;
  readonly openEtcd: OpenEtcd;
  /** Whether to continue if the node may not leave etcd, or cannot. */
  readonly force: boolean;
}

/** A step of a reset. */
export interface ResetStep {
  readonly name: string;
  /** A description for people. */
  readonly title: string;
  /** Runs the step; may be repeated. */
  readonly run: (reset: ResetUnderWay) => Promise<void>;
}

/** A reset in progress. */
export interface ResetUnderWay extends ResetDependencies {
  /** When the reset began, ISO 8601. */
  readonly startedAt: string;
  /** Client URLs of members of etcd, as recorded by an earlier run. */
  readonly etcdPeers: readonly string[];
  /** Records a warning, which the person sees at the end. */
  readonly warn: (warning: string) => void;
}

/** Receives the progress of a reset: a step's name and title, and whether it has started or is done. */
export type ResetProgress = (step: Pick<ResetStep, "name" | "title">, state: "started" | "done") => void;

const BOOTSTRAPPER_UNIT = "bootstrapper.service";
const RENEWAL_UNIT = "bootstrapper-renew.service";
const KUBELET_UNIT = "kubelet.service";
const SYSTEMCTL_DEADLINE_MS = 120_000;
const FINDMNT_DEADLINE_MS = 30_000;
/** kubeadm stops and removes each container of the node; each one may use its whole grace period. */
const KUBEADM_DEADLINE_MS = 10 * 60_000;
const JOURNAL = "journal";
/**
 * A path that cannot exist. Without a kubeconfig, kubeadm does not ask the cluster for settings that it can do without.
 */
const NO_KUBECONFIG = "/dev/null/none";
/** A warning or an error in klog's format, such as `W1121 05:00:00.000000 …`. */
const KUBEADM_WARNING = /^[WE]\d{4} .*?\] (.*)$/;

/** The steps, in the order in which they run. */
export const RESET_STEPS: readonly ResetStep[] = Object.freeze([
  {
    name: "stop-join-service",
    title: "stop the join service",
    async run({ commands }) {
      for (const unit of JOIN_SERVICE_UNITS) await stopUnit(commands, unit);
    },
  },
  // Before its files go: it must not vote with what is left of them.
  { name: "founding-etcd", title: "end the etcd of a founding, if there is one", run: endFoundingEtcd },
  // Runs while the node's own etcd still runs, because that one knows the other members best.
  { name: "leave-etcd", title: "leave etcd, if this node is a member", run: leave },
  { name: "stop-kubelet", title: "stop the kubelet", run: ({ commands }) => stopUnit(commands, KUBELET_UNIT) },
  { name: "kubeadm-reset", title: "run kubeadm reset: it ends containers and mounts", run: kubeadmReset },
  { name: "kubelet-folder", title: "empty /var/lib/kubelet", run: emptyKubeletFolder },
  { name: "etcd-folder", title: "empty /var/lib/etcd", run: ({ paths }) => emptyFolder(paths.etcd) },
  { name: "kubernetes-folder", title: "empty /etc/kubernetes", run: ({ paths }) => emptyFolder(paths.kubernetes) },
  { name: "run-folder", title: "remove the keys in /run/bootstrapper", run: ({ paths }) => emptyFolder(paths.run) },
  {
    name: "state-folder",
    title: "remove the state in /var/lib/bootstrapper",
    run: ({ paths }) => emptyFolder(paths.state, keptToTheEnd(paths)),
  },
  { name: "journal", title: "remove the journal", run: ({ paths }) => removeIfExists(join(paths.state, JOURNAL)) },
  {
    name: "lock",
    title: "remove the node lock",
    run: ({ paths }) => removeIfExists(new LockFile(paths.state).path),
  },
]);

/**
 * Checks that this node may leave etcd; changes nothing. A founder that has let nobody in takes its cluster with it, which
 * costs nobody anything, whether or not its etcd answers.
 *
 * @throws {BootstrapError} `precondition/etcd-quorum`, also for the last voting member; `unavailable/etcd…`. With
 *   `force` it throws nothing.
 */
export async function checkCanReset({ paths, openEtcd, force }: ResetDependencies): Promise<void> {
  if (force) return;
  const marker = await readResetMarker(paths.state);
  const isAlone = await isAloneInItsCluster(paths);
  try {
    using etcd = await OwnEtcd.open(paths.kubernetes, marker?.etcdPeers ?? [], openEtcd);
    if (etcd === undefined) return;
    // kubeadm by hand may have added a member, which only etcd itself knows.
    if (isAlone && (await etcd.find())?.peers.length === 0) return;
    await etcd.check();
  } catch (cause) {
    const error = asBootstrapError(cause);
    if (isAlone && error.code !== "precondition/etcd-quorum") return;
    throw withForce(error);
  }
}

/**
 * Resets this node.
 *
 * The reset holds the run lock, and writes the marker before it changes anything.
 *
 * @param onProgress Receives the start and the end of each step.
 * @returns Warnings for the person, as sentences.
 * @throws {BootstrapError} `conflict/run`, `conflict/renewal` if a bootstrapper runs that systemd did not start;
 *   `precondition/etcd-quorum`, `unavailable/etcd…`; `precondition/mounted`; `system/kubeadm-reset`, `system/unit`,
 *   `system/…`.
 */
export async function resetNode(deps: ResetDependencies, onProgress: ResetProgress): Promise<readonly string[]> {
  const { paths, commands, clock, log } = deps;
  await stopUnit(commands, BOOTSTRAPPER_UNIT);
  await stopUnit(commands, RENEWAL_UNIT);
  await ensureFolder(paths.state);
  using _runLock = await takeRunLock(paths.state);
  using _renewalLock = await takeRenewalLock(paths.state);
  const begun = await readResetMarker(paths.state);
  const { startedAt, etcdPeers } = begun ?? { startedAt: clock.now().toISOString(), etcdPeers: [] };
  await writeResetMarker(paths.state, { startedAt, etcdPeers });
  log.event("info", begun === undefined ? "reset-started" : "reset-goes-on", { startedAt });
  const warnings: string[] = [];
  const reset: ResetUnderWay = { ...deps, startedAt, etcdPeers, warn: (warning) => warnings.push(warning) };
  for (const step of RESET_STEPS) {
    onProgress(step, "started");
    await step.run(reset);
    onProgress(step, "done");
  }
  // The file is removed while it is locked: a renewal that waits for it finds no member afterwards.
  await removeIfExists(join(paths.state, RENEWAL_LOCK_FILE));
  // The marker goes after the lock: a node with a lock and no marker would continue as a member, which it no longer is.
  await removeResetMarker(paths.state);
  log.event("info", "reset-done", { warnings });
  return warnings;
}

async function leave({ paths, openEtcd, etcdPeers, force, clock, startedAt, log, warn }: ResetUnderWay): Promise<void> {
  if (etcdPeers.length === 0 && await isAloneInItsCluster(paths)) {
    log.event("info", "reset-etcd", { outcome: "this node is the only one of its cluster" });
    return;
  }
  const { outcome, warning } = await leaveEtcd({
    kubernetesFolder: paths.kubernetes,
    peers: etcdPeers,
    openEtcd,
    force,
    clock,
    remember: (peers) => writeResetMarker(paths.state, { startedAt, etcdPeers: peers }),
  });
  log.event("info", "reset-etcd", { outcome });
  if (warning !== undefined) warn(warning);
}

/** A machine that founds nothing may have no `ctr`. */
async function endFoundingEtcd({ paths, commands }: ResetUnderWay): Promise<void> {
  if (await exists(paths.founding)) await endFoundingContainer(commands);
}

/**
 * Skips kubeadm's phase `remove-etcd-member`, which needs the API server, ignores the quorum, and only warns on
 * failure.
 */
async function kubeadmReset({ commands, log, warn }: ResetUnderWay): Promise<void> {
  const argv = [
    ...["kubeadm", "reset", "--force", "--skip-phases=remove-etcd-member"] as const,
    ...[`--cri-socket=${CRI_SOCKET}`, `--kubeconfig=${NO_KUBECONFIG}`],
  ] as const;
  const { code, stderr } = await commands.run([...argv], {
    deadlineMs: KUBEADM_DEADLINE_MS,
    onLine: (line) => log.event("debug", "kubeadm", { line }),
  });
  const said = stderr.split("\n").flatMap((line) => KUBEADM_WARNING.exec(line)?.[1] ?? []);
  for (const warning of said) warn(`kubeadm: ${warning}`);
  if (code === 0) return;
  const reason = stderr.trimEnd().split("\n").at(-1) ?? "";
  throw new BootstrapError("system/kubeadm-reset", `kubeadm reset ended with exit code ${code}: ${reason}`, {
    next: "Fix the cause, and run `bootstrapper reset` again: it continues",
    details: { exitCode: String(code) },
  });
}

/** Refuses while volumes are mounted in the folder: emptying it would delete the data on them. */
async function emptyKubeletFolder({ paths, commands }: ResetUnderWay): Promise<void> {
  const mounts = await runOrThrow(commands, ["findmnt", "--list", "--noheadings", "--output", "TARGET"], {
    deadlineMs: FINDMNT_DEADLINE_MS,
  });
  const below = mounts.split("\n").map((line) => line.trim()).filter((path) => path.startsWith(`${paths.kubelet}/`));
  if (below.length > 0) {
    throw new BootstrapError("precondition/mounted", `Cannot empty ${paths.kubelet} as volumes are mounted there`, {
      next: "Unmount them, or restart the machine, and run `bootstrapper reset` again: it continues",
      details: { mounts: below.join(", ") },
    });
  }
  await emptyFolder(paths.kubelet);
}

/**
 * The files of the state folder that remain until the last steps. The lock files are held. The run lock stays for good:
 * every process must lock the same file.
 */
function keptToTheEnd(paths: NodePaths): readonly string[] {
  return [RESET_MARKER_FILE, JOURNAL, RUN_LOCK_FILE, RENEWAL_LOCK_FILE].map((name) => join(paths.state, name))
    .concat(new LockFile(paths.state).path);
}

/** Stops a unit. A unit that does not exist counts as stopped. */
async function stopUnit(commands: CommandRunner, unit: string): Promise<void> {
  const run = (verb: string) => commands.run(["systemctl", verb, unit], { deadlineMs: SYSTEMCTL_DEADLINE_MS });
  const { stderr } = await run("stop");
  if ((await run("is-active")).code !== 0) return;
  const reason = stderr.trimEnd().split("\n").at(-1) ?? "";
  throw new BootstrapError("system/unit", `Cannot stop ${unit}: ${reason}`, {
    next: `Run systemctl status ${unit}. A reset needs root`,
    details: { unit },
  });
}
