/**
 * `kubeadm join` of a control plane, in repeatable steps.
 *
 * @module
 */
import { join } from "node:path";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import {
  type FailureKind,
  KubeadmError,
  type KubeadmParts,
  KubeadmProcess,
  type KubeadmRun,
} from "./_kubeadm_process.ts";
import { etcdOfCluster } from "./_etcd_of_cluster.ts";
import { isOwnVoter, settleOwnMember } from "./_own_etcd_member.ts";
import { pollUntil } from "./_poll.ts";
import {
  isControlPlanePrepared,
  isWholeKubeconfig,
  isWholeManifest,
  missingSharedKeys,
  removeTornFiles,
} from "./_torn_files.ts";
import { joinDocument, type JoinFacts } from "./documents.ts";
import { kubeconfig, readKubeconfig } from "./kubeconfig.ts";

/** A step of a control plane's join. It runs at most one process of kubeadm. */
export interface ControlPlaneJoinPhase {
  readonly name: "prepare" | "etcd" | "finish";
  /** The phases of `kubeadm join` that it runs. */
  readonly kubeadmPhases: readonly string[];
}

/**
 * The steps, in their order. After a restart all of them run from the first one; steps that are already done cost
 * little.
 *
 * There are only as many steps as a resumable join needs, because each process of kubeadm costs seconds on a slow
 * machine. `etcd` is separate: only this step changes the cluster for other nodes, it is the one that fails under load,
 * and it begins with a check of this node's old member. Steps before it may be repeated freely; steps after it need
 * this node's API server, which needs its etcd.
 */
export const CONTROL_PLANE_JOIN_PHASES: readonly ControlPlaneJoinPhase[] = Object.freeze([
  // Writes certificates, kubeconfigs, manifests and the kubelet's configuration, and starts the kubelet.
  { name: "prepare", kubeadmPhases: ["control-plane-prepare", "kubelet-start"] },
  // Adds the member as a learner, writes its manifest, and promotes it.
  { name: "etcd", kubeadmPhases: ["etcd-join"] },
  // Sets label and taint of the Node, which must be registered, and waits until all components are healthy.
  { name: "finish", kubeadmPhases: ["kubelet-wait-bootstrap", "control-plane-join", "wait-control-plane"] },
]);

/**
 * The phases that are skipped. `preflight` ran before the lock. `check-etcd` would wait `etcdAPICall` for every member
 * that does not answer, including this node's own after a restart; etcd itself refuses a new member while it is
 * unhealthy.
 */
const SKIPPED_PHASES = ["preflight", "check-etcd"] as const;

/** The dependencies of a {@linkcode ControlPlaneJoin}. */
export interface ControlPlaneJoinParts extends KubeadmParts {
  readonly clock: Clock;
  /** etcd's data folder. Default: `/var/lib/etcd`. */
  readonly etcdFolder?: string;
}

const MANIFEST_DEADLINE_MS = 30_000;

/** Makes this machine a control plane. The caller makes sure that only one run is active at a time. */
export class ControlPlaneJoin {
  readonly #parts: ControlPlaneJoinParts;
  readonly #process: KubeadmProcess;
  readonly #etcdFolder: string;

  /** Runs nothing yet. */
  constructor(parts: ControlPlaneJoinParts) {
    this.#parts = parts;
    this.#process = new KubeadmProcess(parts);
    this.#etcdFolder = parts.etcdFolder ?? "/var/lib/etcd";
  }

  /**
   * Runs one step. It may be repeated after it failed, was killed or the power was cut, as may all steps from the first
   * one. A step that is already done changes nothing. The cluster's keys must be below `/etc/kubernetes/pki`:
   * `ca.{crt,key}`, `sa.{key,pub}`, `front-proxy-ca.{crt,key}`, `etcd/ca.{crt,key}`.
   *
   * @param facts Until kubeadm has written all files of the kubelet, every step reads the cluster's configuration with
   *   the ticket, which must be valid; after that, with the kubelet's certificate.
   * @throws {BootstrapError} `precondition/cluster-keys`; `unavailable/etcd` (retriable: this step alone may be
   *   repeated); `system/kubeadm`, retriable if waiting may fix it; `conflict/etcd-member`; `timeout/command`,
   *   `timeout/etcd`, `aborted/command`, `system/command`; in `etcd` also the errors of the API and of etcd.
   */
  async run(phase: ControlPlaneJoinPhase["name"], facts: JoinFacts, run: KubeadmRun): Promise<void> {
    switch (phase) {
      case "prepare":
        await this.#prepare(facts, run);
        break;
      case "etcd":
        await this.#joinEtcd(facts, run);
        break;
      case "finish":
        await this.#kubeadm(kubeadmPhasesOf("finish"), facts, run);
        break;
    }
    await this.#process.sync(run);
  }

  /**
   * Starts the kubelet if an earlier attempt has configured it; otherwise does nothing.
   *
   * A node that was killed while its kubelet was stopped may have the vote that etcd needs for a quorum. Then no API
   * server answers, and no service issues a ticket, until this node's etcd runs again.
   *
   * @throws {BootstrapError} `timeout/command`, `system/command` if systemctl cannot be run. Its exit code is ignored.
   */
  async resume(run: KubeadmRun): Promise<void> {
    await this.#process.systemctl("start", run);
  }

  /** Whether all cluster keys that {@linkcode run} needs are present and whole. */
  async hasClusterKeys(): Promise<boolean> {
    return (await missingSharedKeys(this.#process.kubernetesFolder)).length === 0;
  }

  /**
   * Whether this node is a voter in etcd with its data. If so, the step `etcd` neither adds nor removes a member.
   *
   * @throws {BootstrapError} The errors of the API and of etcd.
   */
  async isVoter({ node }: JoinFacts): Promise<boolean> {
    using etcd = await etcdOfCluster(this.#process.kubernetesFolder);
    return await isOwnVoter({ etcd, node, etcdFolder: this.#etcdFolder });
  }

  async #prepare(facts: JoinFacts, run: KubeadmRun): Promise<void> {
    const { kubernetesFolder } = this.#process;
    // The kubelet must not write its files while they are checked.
    await this.#process.systemctl("stop", run);
    await removeTornFiles(kubernetesFolder);
    const joined = await this.#process.hasJoined();
    // Without this node's member etcd may have no quorum, and then no API server answers kubeadm.
    await this.#process.systemctl("start", run);
    const missing = await missingSharedKeys(kubernetesFolder);
    if (missing.length > 0) throw keysMissing(missing);
    if (!joined) {
      try {
        return await this.#kubeadm(kubeadmPhasesOf("prepare"), facts, run);
      } catch (error) {
        // The kubelet of an earlier run finished first, and kubeadm refuses because its Node is Ready.
        const refused = error instanceof KubeadmError && error.phase === "kubelet-start";
        if (!refused || !await this.#process.hasJoined()) throw error;
      }
    } else if (!await isControlPlanePrepared(kubernetesFolder)) {
      await this.#kubeadm(kubeadmPhasesOf("prepare").filter((name) => name !== "kubelet-start"), facts, run);
    }
  }

  async #joinEtcd(facts: JoinFacts, run: KubeadmRun): Promise<void> {
    const manifest = join(this.#process.kubernetesFolder, "manifests", "etcd.yaml");
    using etcd = await etcdOfCluster(this.#process.kubernetesFolder);
    const own = await settleOwnMember({
      etcd,
      manifest,
      isListening,
      node: facts.node,
      clock: this.#parts.clock,
      etcdFolder: this.#etcdFolder,
      ...present("signal", run.signal),
    });
    if (own === "member") return;
    const ended = new AbortController();
    let synced: Promise<void> | undefined;
    try {
      await this.#kubeadm(kubeadmPhasesOf("etcd"), facts, {
        ...run,
        onProgress: (progress) => {
          const writes = progress.phase === "etcd" && progress.detail.startsWith("Creating static Pod manifest");
          if (writes) synced ??= this.#syncManifest(manifest, run, ended.signal);
          run.onProgress?.(progress);
        },
      });
    } finally {
      ended.abort();
      await synced;
    }
  }

  /**
   * Forces etcd's manifest to disk while the member is still a learner. If a power cut deleted a voter's manifest, etcd
   * could lose its quorum, and then the manifest could not be made again.
   */
  async #syncManifest(manifest: string, run: KubeadmRun, ended: AbortSignal): Promise<void> {
    const look = async () => await isWholeManifest(manifest) || undefined;
    const poll = {
      clock: this.#parts.clock,
      signal: ended,
      deadlineMs: MANIFEST_DEADLINE_MS,
      firstMs: 20,
      longestMs: 20,
    };
    try {
      await pollUntil(look, { ...poll, code: "timeout/etcd", failure: "etcd had no manifest" });
      await this.#process.sync(run);
    } catch {
      // The end of the step forces everything to disk again, and fails if this failed.
    }
  }

  async #kubeadm(phases: readonly string[], facts: JoinFacts, run: KubeadmRun): Promise<void> {
    const others = CONTROL_PLANE_JOIN_PHASES.flatMap(({ kubeadmPhases }) => kubeadmPhases)
      .filter((name) => !phases.includes(name));
    const argv = ["join", `--skip-phases=${[...SKIPPED_PHASES, ...others].join(",")}`] as const;
    const by = (discoveryKubeconfigPath: string) => {
      const document = joinDocument({ ...facts, discoveryKubeconfigPath }, "control-plane");
      return this.#process.run(argv, document, run, kindOfFailure);
    };
    const own = await this.#ownKubeconfig();
    await (own === undefined ? by(facts.discoveryKubeconfigPath) : this.#process.withPrivateFile(own, by));
  }

  /**
   * Returns the kubeconfig that replaces the ticket once the kubelet has joined: the kubelet's certificate with the
   * cluster's endpoint. The kubelet's own kubeconfig names this node's API server, which may not run yet. The
   * administrator's credentials do not work: kubeadm makes any client that may read the ConfigMap `cluster-info`, but
   * does not find it, wait for it.
   */
  async #ownKubeconfig(): Promise<string | undefined> {
    const { kubernetesFolder } = this.#process;
    const admin = join(kubernetesFolder, "admin.conf");
    if (!await isWholeKubeconfig(admin) || !await this.#process.hasJoined()) return undefined;
    const { server } = await readKubeconfig(admin);
    const own = await readKubeconfig(join(kubernetesFolder, "kubelet.conf"));
    return kubeconfig({ ...own, server, clusterName: "kubernetes", userName: "kubelet" });
  }
}

function kubeadmPhasesOf(name: ControlPlaneJoinPhase["name"]): readonly string[] {
  return CONTROL_PLANE_JOIN_PHASES.find((phase) => phase.name === name)?.kubeadmPhases ?? [];
}

/**
 * Classifies a failure by whether a retry may fix it. Nearly every phase waits for the cluster or for the kubelet.
 * `control-plane-prepare` works on local files, but the first phase of a run also reads the cluster's configuration,
 * and only the error text reveals a failure of that.
 */
function kindOfFailure(phase: string, reason: string): FailureKind {
  if (phase === "etcd-join") return { code: "unavailable/etcd", retriable: true };
  const local = phase === "" || phase.startsWith("control-plane-prepare");
  const retriable = !local || /unable to fetch the kubeadm-config ConfigMap|identity of the API Server/.test(reason);
  return { code: "system/kubeadm", retriable };
}

async function isListening(hostname: string, port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname, port })).close();
    return true;
  } catch {
    return false;
  }
}

function keysMissing(names: readonly string[]): BootstrapError {
  return new BootstrapError(
    "precondition/cluster-keys",
    `Cannot join as a control plane as the cluster's keys are missing or torn: ${names.join(", ")}`,
    { details: { missing: names.join(", ") } },
  );
}
