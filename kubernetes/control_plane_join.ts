/**
 * `kubeadm join` of a control plane, in steps of which each can be repeated.
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

/** A step of a control plane's join: at most one process of kubeadm. */
export interface ControlPlaneJoinPhase {
  /** Its name. */
  readonly name: "prepare" | "etcd" | "finish";
  /** The phases of `kubeadm join` that it runs. */
  readonly kubeadmPhases: readonly string[];
}

/**
 * The steps, in their order. After a restart all are run from the first one; what is done already costs little.
 *
 * As few as a resumable join needs, as on a slow machine each process of kubeadm costs seconds. `etcd` stands alone: it
 * alone changes the cluster for others, it is what fails under load, and before it this node's old member is looked after.
 * What is before it may be repeated freely; what is after it needs this node's API server, and that needs its etcd.
 */
export const CONTROL_PLANE_JOIN_PHASES: readonly ControlPlaneJoinPhase[] = Object.freeze([
  // Certificates, kubeconfigs and manifests; the kubelet's configuration, and its start.
  { name: "prepare", kubeadmPhases: ["control-plane-prepare", "kubelet-start"] },
  // The member is added as a learner, its manifest written, and it is promoted.
  { name: "etcd", kubeadmPhases: ["etcd-join"] },
  // The kubelet has its certificate by this node's API server; label and taint; all components are healthy.
  { name: "finish", kubeadmPhases: ["kubelet-wait-bootstrap", "control-plane-join", "wait-control-plane"] },
]);

/**
 * `preflight` was run before the lock. `check-etcd` waits `etcdAPICall` for every member that does not answer, this node's
 * own after a restart among them; etcd itself refuses a new member while it is not healthy.
 */
const SKIPPED_PHASES = ["preflight", "check-etcd"] as const;

/** What a {@linkcode ControlPlaneJoin} works with. */
export interface ControlPlaneJoinParts extends KubeadmParts {
  /** Time. */
  readonly clock: Clock;
  /** Where etcd keeps its data. Default: `/var/lib/etcd`. */
  readonly etcdFolder?: string;
}

const MANIFEST_DEADLINE_MS = 30_000;

/** Makes this machine a control plane. Runs are one at a time: that is the caller's concern. */
export class ControlPlaneJoin {
  readonly #parts: ControlPlaneJoinParts;
  readonly #process: KubeadmProcess;
  readonly #etcdFolder: string;

  /** Nothing is run yet. */
  constructor(parts: ControlPlaneJoinParts) {
    this.#parts = parts;
    this.#process = new KubeadmProcess(parts);
    this.#etcdFolder = parts.etcdFolder ?? "/var/lib/etcd";
  }

  /**
   * Runs one step. It may be run again after it failed, was killed or the power went, as may all steps from the first one;
   * run when it is done, it changes nothing. The cluster's keys lie below `/etc/kubernetes/pki` before: `ca.{crt,key}`,
   * `sa.{key,pub}`, `front-proxy-ca.{crt,key}`, `etcd/ca.{crt,key}`.
   *
   * @param facts Every step reads the cluster's configuration by the ticket, so it must be valid, until the kubelet has
   *   credentials of its own. The kubelet keeps the ticket that `prepare` gave it; after that one has run out `prepare` must
   *   be run again, with a fresh one.
   * @throws {BootstrapError} `precondition/cluster-keys`; `unavailable/etcd` (retriable: this step alone may be run again);
   *   `system/kubeadm`, retriable where waiting may mend it; `conflict/etcd-member`; `timeout/command`, `timeout/etcd`,
   *   `aborted/command`, `system/command`; in `etcd` also the errors of the API and of etcd.
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
   * Starts the kubelet where an earlier try has configured it; does nothing elsewhere.
   *
   * A node that was killed while its kubelet was stopped may have the vote that etcd needs for a quorum. Then no API server
   * answers, and no service gives a ticket, until this node's etcd runs again.
   *
   * @throws {BootstrapError} `timeout/command`, `system/command` where systemctl cannot be run; its exit code does not matter.
   */
  async resume(run: KubeadmRun): Promise<void> {
    await this.#process.systemctl("start", run);
  }

  /** Whether the cluster's keys, which {@linkcode run} needs, are all there and whole. */
  async hasClusterKeys(): Promise<boolean> {
    return (await missingSharedKeys(this.#process.kubernetesFolder)).length === 0;
  }

  /**
   * Whether etcd has this node as a voter, with its data: then the step `etcd` neither adds nor removes a member.
   *
   * @throws {BootstrapError} The errors of the API and of etcd.
   */
  async isVoter({ node }: JoinFacts): Promise<boolean> {
    using etcd = await etcdOfCluster(this.#process.kubernetesFolder);
    return await isOwnVoter({ etcd, node, etcdFolder: this.#etcdFolder });
  }

  async #prepare(facts: JoinFacts, run: KubeadmRun): Promise<void> {
    const { kubernetesFolder } = this.#process;
    // What the kubelet writes should hold still while it is looked at.
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
        // The kubelet of an earlier run was faster, and kubeadm refuses because its Node is Ready.
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
   * Forces etcd's manifest to disk while the member is still a learner: a voter whose manifest a power cut took away could
   * leave etcd without a quorum, and then nothing can make the manifest anew.
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
      await pollUntil(look, { ...poll, code: "timeout/etcd", failure: "There was no manifest of etcd" });
      await this.#process.sync(run);
    } catch {
      // Everything is forced to disk again at the end of the step, which fails then.
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
   * What replaces the ticket once the kubelet has joined: its certificate, at the cluster's endpoint, as its own kubeconfig
   * names this node's API server, which may not run yet. kubeadm does not take the administrator's: whoever may read the
   * ConfigMap `cluster-info` but finds none is made to wait for it.
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
 * What another try may mend. Nearly every phase waits for the cluster or for the kubelet; `control-plane-prepare` only
 * works on local files, but whichever phase is first reads the cluster's configuration, which its error alone tells.
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
    `Cannot join as a control plane as the cluster's keys are not whole: ${names.join(", ")}`,
    { details: { missing: names.join(", ") } },
  );
}
