/**
 * `bootstrapper run`: the race with the real effects.
 *
 * @module
 */
import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import { combinedName } from "../attestation/combined.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { StagedInitFolder } from "../init/staged_init.ts";
import { removeJoinSecrets, removeLeftovers } from "../join/run_folder.ts";
import type { PhaseRecorder } from "../journal/journal.ts";
import { Journals } from "../journal/journals.ts";
import { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { openNodeLock } from "../nodelock/lock.ts";
import { measureTrust } from "../nodelock/measure.ts";
import type { LockOwner } from "../nodelock/record.ts";
import { LOCK_OWNERS } from "../nodelock/record.ts";
import { takeRunLock } from "../nodelock/run_lock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { ensureFolder, removeTemporaries } from "../platform/files.ts";
import { errorFields } from "../platform/log.ts";
import { endpointText } from "../platform/endpoint.ts";
import { present } from "../platform/present.ts";
import { readClusterCa } from "./cluster_ca.ts";
import { guardedIssuer } from "./guarded_issuer.ts";
import type { ImageFinding } from "./image_measured.ts";
import { runInitServer } from "./init_contender.ts";
import { JOIN_SERVICE_PORT, upgradeJoinService } from "./join_service_install.ts";
import { isMember, recordMembership } from "./membership.ts";
import type { NodeCheck } from "./preflight.ts";
import { neededPorts, nodeChecks } from "./preflight.ts";
import type { Detected, RaceEvent } from "./race.ts";
import { createRaceMachine } from "./race.ts";
import { isInsecure } from "./configuration.ts";
import { checkNoReset } from "./reset_marker.ts";
import type { Contender, RunDependencies } from "./run_dependencies.ts";
import { statusRefusal, StatusWriter } from "./status.ts";
import { TimelineRecorder } from "./timeline.ts";

export type { RunDependencies } from "./run_dependencies.ts";

const STATE_FOLDER_MODE = 0o755;
const RUN_FOLDER_MODE = 0o700;

/**
 * Makes this node a member of its cluster; returns when it is one.
 *
 * @param signal Stops the run. A later run continues.
 * @throws {BootstrapError} The reason for the failure, which is also in the status and the log.
 */
export async function runNode(deps: RunDependencies, signal: AbortSignal): Promise<void> {
  const { paths, clock, log } = deps;
  await ensureFolder(paths.state, STATE_FOLDER_MODE);
  await ensureFolder(paths.run, RUN_FOLDER_MODE);
  using _runLock = await takeRunLock(paths.state);
  for (const path of [paths.status, paths.timeline]) await removeTemporaries(path);
  await removeLeftovers(paths.run);
  const node = new RunningNode(deps, await TimelineRecorder.open({ path: paths.timeline, clock, log }));
  try {
    await node.bootstrap(signal);
    await node.status.update({ phase: "member", waitsFor: undefined, error: undefined });
    log.event("info", "member");
  } catch (cause) {
    const error = asBootstrapError(cause);
    await node.status.update({ phase: "failed", waitsFor: undefined, error: statusRefusal(error, clock.now()) });
    log.event("error", "run-failed", errorFields(error));
    throw error;
  }
}

/** One run, which provides the effects of the race. */
class RunningNode {
  readonly status: StatusWriter;
  readonly #deps: RunDependencies;
  readonly #timeline: TimelineRecorder;
  readonly #kubeadm: Kubeadm;
  readonly #initFolder: StagedInitFolder;
  readonly #journals: Readonly<Record<LockOwner, Journals>>;
  #lock: NodeLock | undefined;

  constructor(deps: RunDependencies, timeline: TimelineRecorder) {
    const { paths, commands, clock, log } = deps;
    this.#deps = deps;
    this.#timeline = timeline;
    this.#initFolder = new StagedInitFolder(paths.state);
    const { self: { name: nodeName, role } } = deps;
    const recorder: PhaseRecorder = { phase: (name, work) => this.#step(name, work) };
    this.#journals = {
      init: new Journals(paths.state, { owner: "init", role: "control-plane", nodeName }, { clock, recorder }),
      join: new Journals(paths.state, { owner: "join", role, nodeName }, { clock, recorder }),
    };
    this.#kubeadm = new Kubeadm({
      commands,
      privateFolder: paths.run,
      kubernetesFolder: paths.kubernetes,
      kubeletFolder: paths.kubelet,
    });
    this.status = new StatusWriter({ path: paths.status, clock, log });
  }

  async bootstrap(signal: AbortSignal): Promise<void> {
    const actor = createActor(createRaceMachine({
      detect: fromPromise(() => this.#timeline.phase("detect", () => this.#detect())),
      initServer: contender(
        "INIT",
        (stop, locked) => runInitServer(this.#contender("init", stop, locked), this.#initFolder),
        () => this.#whyStopped("init"),
      ),
      joinClient: contender(
        "JOIN",
        async (stop, locked) => {
          // Loading gRPC blocks for a tenth of a second, in which the InitServer's front starts.
          const { joinCluster } = await import("./join_contender.ts");
          await joinCluster(this.#contender("join", stop, locked));
        },
        () => this.#whyStopped("join"),
      ),
    }));
    actor.subscribe(({ value }) => {
      if (value !== "failed" && value !== "detecting") this.#deps.log.event("info", "race", { state: value });
    });
    actor.start();
    try {
      const { context } = await waitFor(actor, ({ status }) => status === "done", { signal });
      if (context.error !== undefined) throw context.error;
    } catch (error) {
      throw signal.aborted ? stopped : error;
    } finally {
      actor.stop();
    }
    await removeJoinSecrets(this.#deps.paths.run);
    await recordMembership(this.#deps.paths.state, this.#deps.clock);
    await this.#upgradeJoinService();
  }

  /** Goes on with a join service of an earlier version. A control plane without one is still a member. */
  async #upgradeJoinService(): Promise<void> {
    const { paths, self, clock, commands, log } = this.#deps;
    const service = { folder: paths.joinService, nodeName: self.name, clock, commands };
    try {
      if (await upgradeJoinService(service, () => readClusterCa(paths))) log.event("info", "join-service-upgraded");
    } catch (error) {
      log.event("error", "join-service-not-upgraded", errorFields(asBootstrapError(error)));
    }
  }

  /** Runs a step of a journal, and records it in the timeline and in the status. */
  #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { aroundStep } = this.#deps;
    this.status.update({ step: name });
    return this.#timeline.phase(name, aroundStep === undefined ? work : () => aroundStep(name, work));
  }

  /** Measures the node before any port opens, and returns its state. */
  async #detect(): Promise<Detected> {
    const { configuration, self, registers, paths, clock, log, unmeasured } = this.#deps;
    const { trust, evidence } = configuration;
    await this.status.update({
      phase: "detecting",
      clusterName: trust.clusterName,
      nodeName: self.name,
      address: self.address,
      role: self.role,
      evidence: combinedName(evidence.kinds.map(({ name }) => name)),
      ...(unmeasured.length === 0 ? {} : { warnings: unmeasured.map(({ message }) => message) }),
    });
    for (const { check, message } of unmeasured) log.event("warn", "image-not-measured", { check, message });
    if (unmeasured.length > 0 && !configuration.allowUnmeasuredImage) throw unmeasuredImage(unmeasured);
    if (isInsecure(evidence)) log.event("warn", "insecure-evidence-none");
    if (registers !== undefined) await measureTrust(registers, trust);
    await checkNoReset(paths.state);
    const lock = await openNodeLock({ folder: paths.state, clock, ...present("registers", registers) });
    this.#lock = lock;
    const state = lock.state();
    // Staged keys and journals that do not belong to the lock are of no use any more.
    if (state.name !== "locked" || state.lock.owner !== "init") await this.#initFolder.discard();
    for (const owner of LOCK_OWNERS) {
      if (state.name !== "locked" || state.lock.owner !== owner) await this.#journals[owner].discard();
    }
    if (state.name !== "locked") return "fresh";
    const { owner, clusterId } = state.lock;
    await this.status.update({ owner, clusterId });
    if (await isMember(paths.state)) return "member";
    return owner === "init" ? "locked by init" : "locked by join";
  }

  #contender(owner: LockOwner, signal: AbortSignal, onLocked: () => void): Contender {
    const lock = this.#openLock();
    return {
      deps: this.#deps,
      lock,
      kubeadm: this.#kubeadm,
      journals: this.#journals[owner],
      status: this.status,
      issuer: guardedIssuer(this.#deps.issuer, lock),
      checks: this.#nodeChecks(owner),
      waitsFor: this.#waitsFor(),
      signal,
      onLocked,
    };
  }

  #nodeChecks(owner: LockOwner): NodeCheck[] {
    const { configuration: { allowUnmeasuredImage }, self, paths, clock, commands, unmeasured, registers } = this.#deps;
    const ports = neededPorts(owner === "init" ? "control-plane" : self.role, JOIN_SERVICE_PORT);
    const facts = { paths, clock, commands, unmeasured, allowUnmeasuredImage, ports };
    return nodeChecks({ ...facts, ...present("registers", registers) });
  }

  #waitsFor(): string {
    const { init, join } = this.#deps.configuration;
    const ways = [
      ...(init.enabled ? ["an operator's init"] : []),
      ...(join.endpoints.length > 0 ? [`a ticket from ${join.endpoints.map(endpointText).join(", ")}`] : []),
    ];
    return ways.join(", or ");
  }

  /**
   * Returns the reason why a contender is stopped, which the InitServer sends to its callers. Logs it if the other
   * contender won.
   */
  #whyStopped(contender: LockOwner): BootstrapError {
    const state = this.#openLock().state();
    if (state.name !== "locked" || state.lock.owner === contender) return stopped;
    const reason = contender === "join" ? whyJoinLost : whyInitLost(state.lock.clusterId);
    const { init, join } = this.#deps.configuration;
    const ran = contender === "join" ? join.endpoints.length > 0 : init.enabled;
    if (ran) this.#deps.log.event("info", "race-lost", { contender, ...errorFields(reason) });
    return reason;
  }

  #openLock(): NodeLock {
    if (this.#lock === undefined) {
      throw new BootstrapError("internal/race", "A contender began before the lock was read");
    }
    return this.#lock;
  }
}

const stopped = new BootstrapError("aborted/run", "The bootstrapper was stopped; a restart continues it");
const whyJoinLost = new BootstrapError("aborted/lost-race", "An operator initialises a cluster on this node");

function whyInitLost(clusterId: Uint8Array): BootstrapError {
  const id = clusterIdText(clusterId);
  return new BootstrapError("precondition/joining", `This node is joining ${id}, and belongs to it for good`, {
    next: "Use a fresh machine for the init",
  });
}

/** Wraps a contender for the state machine. Stopping it aborts its signal with a reason. */
function contender(
  name: "INIT" | "JOIN",
  work: (signal: AbortSignal, onLocked: () => void) => Promise<void>,
  whyLost: () => BootstrapError,
): ReturnType<typeof fromCallback<RaceEvent>> {
  return fromCallback<RaceEvent>(({ sendBack }) => {
    const controller = new AbortController();
    work(controller.signal, () => sendBack({ type: `${name}_LOCKED` })).then(
      () => sendBack({ type: `${name}_DONE` }),
      (error: unknown) => sendBack({ type: `${name}_FAILED`, error: asBootstrapError(error) }),
    );
    return () => controller.abort(whyLost());
  });
}

function unmeasuredImage(findings: readonly ImageFinding[]): BootstrapError {
  return new BootstrapError(
    "precondition/unmeasured-image",
    `The image is not measured completely: ${findings.map(({ message }) => message).join("; ")}`,
    {
      next: "Build the image as the documentation says; for tests, set allowUnmeasuredImage: true in the configuration",
      details: Object.fromEntries(findings.map(({ check, message }) => [check, message])),
    },
  );
}
