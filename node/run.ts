/**
 * `bootstrapper run`: the race with the real effects.
 *
 * @module
 */
import { join } from "node:path";
import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import { combinedName } from "../attestation/combined.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { NO_IDENTITY } from "../attestation/evidence.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import { StagedInitFolder } from "../init/staged_init.ts";
import { removeJoinSecrets, removeLeftovers } from "../join/run_folder.ts";
import type { PhaseRecorder } from "../journal/journal.ts";
import { Journals } from "../journal/journals.ts";
import { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { openNodeLock } from "../nodelock/lock.ts";
import { measureTrust } from "../nodelock/measure.ts";
import type { LockOwner } from "../nodelock/record.ts";
import { LOCK_OWNERS } from "../nodelock/record.ts";
import { asBootstrapError, BootstrapError, hasCode } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import { errorFields } from "../platform/log.ts";
import { sourceText } from "../platform/endpoint_source.ts";
import { present } from "../platform/present.ts";
import { readClusterCa } from "./cluster_ca.ts";
import { FOUNDER_FILES, isFounder } from "../founding/founder_key.ts";
import { guardedIssuer } from "./guarded_issuer.ts";
import type { ImageFinding } from "./image_measured.ts";
import { runInitServer } from "./init_contender.ts";
import { JOIN_SERVICE_PORT, upgradeJoinService } from "./join_service_install.ts";
import { JoinGate } from "./join_gate.ts";
import type { MachineIdentity } from "./membership.ts";
import { checkMembership, readMembership, recordMembership } from "./membership.ts";
import type { NodeCheck } from "./preflight.ts";
import { neededPorts, nodeChecks } from "./preflight.ts";
import type { Detected, RaceEvent } from "./race.ts";
import { createRaceMachine } from "./race.ts";
import { isInsecure } from "./configuration.ts";
import { checkNoReset } from "./reset_marker.ts";
import type { Contender, RunDependencies } from "./run_dependencies.ts";
import { RunSession, stopped } from "./run_session.ts";
import type { StatusWriter } from "./status.ts";
import { TimelineRecorder } from "./timeline.ts";
import { watchedIssuer } from "./watched_issuer.ts";

export type { RunDependencies } from "./run_dependencies.ts";

/**
 * Makes this node a member of its cluster; returns when it is one, or when it was asked to stop.
 *
 * @param signal Stops the run. A later run continues.
 * @throws {BootstrapError} The reason for the failure, which is also in the status and the log.
 */
export async function runNode(deps: RunDependencies, signal: AbortSignal): Promise<void> {
  const { paths, clock, log } = deps;
  using own = deps.session === undefined ? await RunSession.open({ paths, clock, log }) : undefined;
  const session = deps.session ?? own;
  if (session === undefined) throw new BootstrapError("internal/race", "A run began without its session");
  try {
    await session.guard(async () => {
      await own?.pauseAfterFailures(signal);
      await removeLeftovers(paths.run);
      const timeline = await TimelineRecorder.open({ path: paths.timeline, clock, log });
      await new RunningNode(deps, session, timeline).bootstrap(signal);
      await session.status.update({ phase: "member", ...NOTHING_AWAITED, error: undefined, failures: undefined });
      log.event("info", "member");
    }, signal);
  } catch (error) {
    if (!hasCode(error, "aborted/run")) throw error;
  }
}

const NOTHING_AWAITED = { waitsFor: undefined, endpoints: undefined } as const;

/** How often a node that waits says so in its log: the last line of a log must not be days old. */
const HEARTBEAT_MS = 60 * 60_000;

/** kubeadm prints a handful of warnings; the status must stay small whatever it prints. */
const MOST_WARNINGS = 20;
const LONGEST_WARNING = 500;

/** One run, which provides the effects of the race. */
class RunningNode {
  readonly status: StatusWriter;
  readonly #deps: RunDependencies;
  readonly #session: RunSession;
  readonly #timeline: TimelineRecorder;
  /** The steps under way, the one that began last at the end: a join's step asks for a ticket, and that is one too. */
  readonly #running: string[] = [];
  readonly #kubeadm: Kubeadm;
  readonly #initFolder: StagedInitFolder;
  readonly #journals: Readonly<Record<LockOwner, Journals>>;
  /** Rejects when a device of this machine has failed. */
  readonly #broken = Promise.withResolvers<never>();
  readonly #issuer: EvidenceIssuer;
  readonly #gate = new JoinGate();
  /** Settles when the founder's work has ended. */
  #founding: Promise<void> = Promise.resolve();
  #lock: NodeLock | undefined;
  #machineNow: Promise<MachineIdentity> | undefined;

  constructor(deps: RunDependencies, session: RunSession, timeline: TimelineRecorder) {
    const { paths, commands, clock } = deps;
    this.#deps = deps;
    this.status = session.status;
    this.#session = session;
    this.#broken.promise.catch(() => {});
    this.#issuer = watchedIssuer(deps.issuer, this.#broken.reject);
    deps.deviceEnd?.catch(this.#broken.reject);
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
    this.#kubeadm.listenToWarnings((warning) => {
      deps.log.event("warn", "kubeadm-warning", { warning });
      const warnings = [...this.status.said.warnings ?? [], `kubeadm: ${warning.slice(0, LONGEST_WARNING)}`];
      this.status.update({ warnings: warnings.slice(-MOST_WARNINGS) });
    });
  }

  async bootstrap(signal: AbortSignal): Promise<void> {
    const actor = createActor(createRaceMachine({
      detect: fromPromise(() => this.#timeline.phase("detect", () => this.#detect())),
      initServer: contender(
        "INIT",
        async (stop, locked) => {
          await runInitServer(this.#contender("init", stop, locked), this.#initFolder);
          await this.#becomeMember();
        },
        () => this.#whyStopped("init"),
      ),
      founder: this.#founder(),
      joinClient: contender(
        "JOIN",
        async (stop, locked) => {
          // Loading gRPC blocks for a tenth of a second, in which the InitServer's front starts.
          const { joinCluster } = await import("./join_contender.ts");
          await joinCluster(this.#contender("join", stop, locked), this.#gate);
          await this.#becomeMember();
        },
        () => this.#whyStopped("join"),
      ),
    }));
    let shown = "detecting";
    actor.subscribe(({ value }) => {
      if (value === "failed" || value === shown) return;
      shown = value;
      if (value === "leaving") this.status.update({ phase: "leaving", waitsFor: "the other founders to join" });
      this.#deps.log.event("info", "race", { state: value });
    });
    actor.start();
    const ended = new AbortController();
    this.#saySoWhileWaiting(ended.signal).catch(() => {});
    try {
      const { context } = await Promise.race([
        waitFor(actor, ({ status }) => status === "done", { signal }),
        this.#broken.promise,
      ]);
      if (context.error !== undefined) throw context.error;
    } catch (error) {
      throw signal.aborted ? stopped : error;
    } finally {
      ended.abort();
      actor.stop();
      // Its etcd must have ended before this process does.
      await this.#founding;
    }
    // Also of a member: an earlier version may have recorded less.
    await this.#becomeMember();
    await this.#upgradeJoinService();
  }

  /** The founder as an actor. It does not load its code on a node that founds nothing. */
  #founder(): ReturnType<typeof fromCallback<RaceEvent>> {
    return fromCallback<RaceEvent>(({ sendBack }) => {
      const { configuration, paths } = this.#deps;
      const controller = new AbortController();
      const work = async () => {
        if (configuration.founding === undefined && !await exists(paths.founding)) return;
        const { runFounder } = await import("./founder_contender.ts");
        const locked = () => sendBack({ type: "FOUND_LOCKED" });
        await runFounder(this.#contender("init", controller.signal, locked), this.#gate, async () => {
          await this.#becomeMember();
          sendBack({ type: "FOUND_DONE" });
        });
      };
      this.#founding = work().then(
        () => sendBack({ type: "FOUNDER_LEFT" }),
        (error: unknown) => sendBack({ type: "FOUND_FAILED", error: asBootstrapError(error) }),
      );
      return () => controller.abort(stopped);
    });
  }

  /** Records that the cluster stands, or that this node has joined it. A founder may go on voting. */
  async #becomeMember(): Promise<void> {
    await removeJoinSecrets(this.#deps.paths.run);
    await this.#recordMembership();
  }

  /** Writes a line from time to time, until the signal. */
  async #saySoWhileWaiting(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const startedMs = clock.monotonicMs();
    for (;;) {
      await clock.sleep(HEARTBEAT_MS, signal);
      const { phase, step, waitsFor, lastRefusal } = this.status.said;
      const hours = Math.round((clock.monotonicMs() - startedMs) / HEARTBEAT_MS);
      const last = lastRefusal === undefined
        ? {}
        : { lastRefusal: lastRefusal.code, ...present("peer", lastRefusal.peer) };
      log.event("info", "still-waiting", { hours, phase, step, waitsFor, ...last });
      await this.status.update({});
    }
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
  async #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { aroundStep } = this.#deps;
    this.#running.push(name);
    this.status.update({ step: name });
    try {
      const result = await this.#timeline.phase(name, aroundStep === undefined ? work : () => aroundStep(name, work));
      this.#session.noteProgress();
      return result;
    } finally {
      this.#running.splice(this.#running.lastIndexOf(name), 1);
      const outer = this.#running.at(-1);
      if (outer !== undefined) this.status.update({ step: outer });
    }
  }

  /** Measures the node before any port opens, and returns its state. */
  async #detect(): Promise<Detected> {
    const { configuration, self, registers, paths, clock, log, unmeasured, metadata } = this.#deps;
    const { trust, evidence } = configuration;
    await this.status.update({
      phase: "detecting",
      clusterName: trust.clusterName,
      nodeName: self.name,
      address: self.address,
      role: this.#roleOf(undefined),
      evidence: combinedName(evidence.kinds.map(({ name }) => name)),
      ...present("metadata", metadata && { source: metadata.source, ...metadata.texts }),
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
    // Whoever has pledged may be held back already; the ceremony says so in a moment.
    if (state.name !== "locked" && await exists(join(paths.founding, FOUNDER_FILES.pledge))) this.#gate.hold();
    if (state.name !== "locked") return "fresh";
    const { owner, clusterId } = state.lock;
    const role = this.#roleOf(owner);
    await this.status.update({ owner, clusterId, role });
    const membership = await readMembership(paths.state);
    if (membership === undefined) return owner === "init" ? "locked by init" : "locked by join";
    await checkMembership(paths, membership, state.lock, await this.#machine());
    return await isFounder(paths.founding) ? "member that founds" : "member";
  }

  /** The role that the node has, or asks for. An init makes a control plane of any node. */
  #roleOf(owner: LockOwner | undefined): NodeRole {
    const { configuration: { init, join }, self } = this.#deps;
    const onlyInit = owner === undefined && init.enabled && join.endpoints.length === 0;
    return owner === "init" || onlyInit ? "control-plane" : self.role;
  }

  /** What this machine is now, to compare with the member that its disk records. A TPM is asked once. */
  #machine(): Promise<MachineIdentity> {
    return this.#machineNow ??= this.#lookAtMachine();
  }

  async #lookAtMachine(): Promise<MachineIdentity> {
    const { configuration, issuer, machineId } = this.#deps;
    // A key on the disk goes where the disk goes, and an identity of one boot tells nothing at the next.
    const isOfHardware = issuer.identityIsKey !== true && issuer.identityIsOfBoot !== true;
    return {
      ...present("configuredName", configuration.node.name),
      ...present("identity", isOfHardware ? await issuer.ownIdentity(NO_IDENTITY) : undefined),
      ...present("machineId", machineId),
    };
  }

  async #recordMembership(): Promise<void> {
    const { paths, clock, self } = this.#deps;
    const state = this.#openLock().state();
    const role = this.#roleOf(state.name === "locked" ? state.lock.owner : undefined);
    const { configuredName: _, ...machine } = await this.#machine();
    await recordMembership(paths.state, clock, { nodeName: self.name, role, ...machine });
  }

  #contender(owner: LockOwner, signal: AbortSignal, onLocked: () => void): Contender {
    const lock = this.#openLock();
    return {
      deps: this.#deps,
      lock,
      kubeadm: this.#kubeadm,
      journals: this.#journals[owner],
      status: this.status,
      issuer: guardedIssuer(this.#issuer, lock),
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
    const { init, join, founding } = this.#deps.configuration;
    const ways = [
      ...(init.enabled ? ["an operator's init"] : []),
      ...(founding === undefined ? [] : ["the other founders"]),
      ...(join.endpoints.length > 0 ? [`a ticket from ${join.endpoints.map(sourceText).join(", ")}`] : []),
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
    const { init, join, founding } = this.#deps.configuration;
    const reason = contender === "join" ? whyJoinLost(founding !== undefined) : whyInitLost(state.lock.clusterId);
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

/** A founder has no InitServer, so no operator can have asked for its cluster. */
function whyJoinLost(isFounder: boolean): BootstrapError {
  const who = isFounder
    ? "This node founds the cluster, as the founders decided"
    : "An operator initialises a cluster on this node";
  return new BootstrapError("aborted/lost-race", who);
}

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

/** Both ways on, and what the second costs. */
const UNMEASURED_IMAGE_WAYS =
  "Either start this machine from a measured image (a unified kernel image, /usr and / on " +
  "dm-verity or in memory, a TPM or a confidential VM), or set allowUnmeasuredImage: true in this node's " +
  "configuration and in the policy (`policy make --allow-unmeasured-image`). The second way costs the proof of what " +
  "this machine runs: whoever can write to its disk can change it unseen";

function unmeasuredImage(findings: readonly ImageFinding[]): BootstrapError {
  return new BootstrapError(
    "precondition/unmeasured-image",
    `The image is not measured completely: ${findings.map(({ message }) => message).join("; ")}`,
    {
      next: UNMEASURED_IMAGE_WAYS,
      details: Object.fromEntries(findings.map(({ check, message }) => [check, message])),
    },
  );
}
