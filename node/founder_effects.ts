/**
 * What founding among equals does to this node: the lock, the keys, the cluster, the join service.
 *
 * @module
 */
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf, clusterIdText, readClusterId } from "../certificate/cluster_id.ts";
import type { FounderEffects, OwnLock } from "../founding/ceremony_parts.ts";
import { StagedKeys } from "../founding/staged_keys.ts";
import type { ClusterPlan } from "../init/found_cluster.ts";
import { documentsOf, foundCluster } from "../init/found_cluster.ts";
import type { PreflightCheck } from "../init/preflight.ts";
import { kubernetesChecks, preflight, settingsCheck } from "../init/preflight.ts";
import type { Journal } from "../journal/journal.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { removeIfExists } from "../platform/files.ts";
import { createTokenFounding } from "../protocol/token_founding.ts";
import { foundingHere, recordFounderCertificates } from "./founding_here.ts";
import type { JoinGate } from "./join_gate.ts";
import { startStagedJoinService } from "./join_service_install.ts";
import { JOIN_SERVICE_UNITS } from "./join_service_units.ts";
import { readMembership } from "./membership.ts";
import type { Contender } from "./run_dependencies.ts";

const SYSTEMCTL_DEADLINE_MS = 120_000;
const CRICTL_DEADLINE_MS = 120_000;
/** The static Pods of a control plane (kubeadm's `constants.go`). */
const STATIC_PODS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;

/** What the effects work with. */
export interface FounderEffectsParts {
  readonly contender: Contender;
  readonly gate: JoinGate;
  readonly staged: StagedKeys;
  /** The name, the settings and the first policy of the cluster to be. */
  readonly plan: ClusterPlan["request"];
  /** Called when the own join service has been started: the cluster stands, and this node is its member. */
  onServing(): Promise<void>;
}

/** Returns the effects of a founder on this node. */
export function founderEffects(parts: FounderEffectsParts): FounderEffects {
  return new NodeEffects(parts);
}

class NodeEffects implements FounderEffects {
  readonly #parts: FounderEffectsParts;
  #ca: CertificateAuthority<KeyPair> | undefined;
  #draft: Journal | undefined;

  constructor(parts: FounderEffectsParts) {
    this.#parts = parts;
  }

  lock(): Promise<OwnLock | undefined> {
    const state = this.#parts.contender.lock.state();
    if (state.name === "failed") return Promise.reject(state.error);
    if (state.name !== "locked") return Promise.resolve(undefined);
    return Promise.resolve({ owner: state.lock.owner, clusterId: clusterIdText(state.lock.clusterId) });
  }

  async prepare(): Promise<string> {
    this.#ca = await createCertificateAuthority(this.#parts.contender.deps.clock.now());
    return clusterIdText(await clusterIdOf(this.#ca.certificate));
  }

  async discard(): Promise<void> {
    this.#ca = undefined;
    const { contender: { lock, journals }, staged } = this.#parts;
    const state = lock.state();
    // A lock that failed may be on the disk, and name these keys: the next start finds out.
    const isUnnamed = state.name === "unlocked" || (state.name === "locked" && state.lock.owner === "join");
    if (!isUnnamed) return;
    await staged.discard();
    await journals.discard();
  }

  async stage(clusterId: string, signal: AbortSignal): Promise<void> {
    const { contender, staged } = this.#parts;
    const { journals } = contender;
    const ca = await this.#caOf(clusterId);
    const journal = journals.draft();
    await journal.phase("preflight", () => this.#preflight(journal, signal));
    await staged.stage(ca);
    await journals.keep(journal, readClusterId(clusterId, "cluster ID"));
    this.#draft = journal;
  }

  async takeLock(clusterId: string, signal: AbortSignal): Promise<OwnLock> {
    const { contender: { lock, status, onLocked } } = this.#parts;
    const bytes = readClusterId(clusterId, "cluster ID");
    const journal = this.#draft ?? this.#parts.contender.journals.draft();
    await journal.phase("lock", () => lock.take({ owner: "init", clusterId: bytes, confirm: () => !signal.aborted }));
    const taken = await this.lock();
    if (taken === undefined) throw new BootstrapError("aborted/run", "The founding was stopped before its lock");
    if (taken.owner === "init") {
      onLocked();
      await status.update({ phase: "initialising", role: "control-plane", owner: "init", clusterId: bytes });
    }
    return taken;
  }

  async found(clusterId: string, signal: AbortSignal): Promise<readonly string[]> {
    const { contender } = this.#parts;
    const { deps, journals, kubeadm } = contender;
    const journal = await journals.read(readClusterId(clusterId, "cluster ID"));
    using _warnings = kubeadm.listenToWarnings((warning) => journal.detail("kubeadm-init", warning));
    const { foundingToken, configuration: { trust } } = deps;
    const bytes = readClusterId(clusterId, "cluster ID");
    const tokenFounding = foundingToken && await createTokenFounding(foundingToken, bytes, trust);
    const work = foundingHere(contender, { foundings: [], isStaged: true, ...(tokenFounding && { tokenFounding }) });
    const cluster = await foundCluster(work, await this.#planOf(clusterId), journal, signal);
    await recordFounderCertificates(deps, cluster.joinEndpoints);
    return cluster.joinEndpoints;
  }

  async serve(): Promise<void> {
    const { contender: { deps: { paths, commands } }, staged, onServing } = this.#parts;
    await startStagedJoinService({ folder: paths.joinService, commands });
    await staged.discard();
    await onServing();
  }

  async supersede(reason: string): Promise<void> {
    const { contender: { deps: { paths, commands, log } } } = this.#parts;
    log.event("error", "founder-superseded", { reason });
    await stopForGood(commands);
    for (const name of STATIC_PODS) await removeIfExists(join(paths.kubernetes, "manifests", `${name}.yaml`));
    await stopContainers(commands);
  }

  openJoin(gate: Parameters<FounderEffects["openJoin"]>[0]): void {
    const { gate: ours } = this.#parts;
    if (gate.kind === "hold") ours.hold();
    else if (gate.kind === "any") ours.open();
    else ours.open(readClusterId(gate.clusterId, "cluster ID"));
  }

  async isMember(): Promise<boolean> {
    return await readMembership(this.#parts.contender.deps.paths.state) !== undefined;
  }

  async #caOf(clusterId: string): Promise<CertificateAuthority<KeyPair>> {
    const bytes = readClusterId(clusterId, "cluster ID");
    if (this.#ca !== undefined) return this.#ca;
    return this.#ca = await this.#parts.staged.read(bytes);
  }

  async #planOf(clusterId: string): Promise<ClusterPlan> {
    return { ca: await this.#caOf(clusterId), request: this.#parts.plan };
  }

  async #preflight(journal: Journal, signal: AbortSignal): Promise<void> {
    const { contender, plan } = this.#parts;
    await preflight(foundingChecks(contender, plan, signal), (check) => journal.detail("preflight", check), signal);
  }
}

/** The checks of an init, on a node where nobody has asked for one yet. */
export function foundingChecks(
  { deps, kubeadm, checks }: Contender,
  request: ClusterPlan["request"],
  signal: AbortSignal,
): readonly PreflightCheck[] {
  const { self, commands, networks = [] } = deps;
  return [
    settingsCheck(request.clusterDocument, { ...self, networks }),
    ...checks,
    ...kubernetesChecks(kubeadm, commands, documentsOf({ request }, self), signal),
  ];
}

/** A join enables the kubelet again. The service's units stay enabled, and start only where its folder is. */
async function stopForGood(commands: CommandRunner): Promise<void> {
  const bounds = { deadlineMs: SYSTEMCTL_DEADLINE_MS };
  await runOrThrow(commands, ["systemctl", "disable", "--now", "kubelet.service"], bounds);
  await runOrThrow(commands, ["systemctl", "stop", ...JOIN_SERVICE_UNITS], bounds);
}

/** Stops every Pod of this machine: none but the cluster's own can be there. */
async function stopContainers(commands: CommandRunner): Promise<void> {
  const pods = await runOrThrow(commands, ["crictl", "pods", "--quiet"], { deadlineMs: CRICTL_DEADLINE_MS });
  const ids = pods.split("\n").map((line) => line.trim()).filter((id) => id !== "");
  if (ids.length > 0) await runOrThrow(commands, ["crictl", "stopp", ...ids], { deadlineMs: CRICTL_DEADLINE_MS });
}
