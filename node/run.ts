/**
 * `bootstrapper run`: the race with its real effects.
 *
 * @module
 */
import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import { proveChannelBinding } from "../attestation/channel/finished.ts";
import type { EvidenceIssuer, MeasurementRegisters } from "../attestation/evidence.ts";
import { clusterIdText } from "../certificate/cluster_id.ts";
import type { FoundClusterDependencies } from "../init/found_cluster.ts";
import { documentsOf, foundCluster } from "../init/found_cluster.ts";
import { InitServer } from "../init/init_server.ts";
import { kubernetesChecks, preflight } from "../init/preflight.ts";
import { StagedInitFolder } from "../init/staged_init.ts";
import { removeJoinSecrets, runJoinClient } from "../join/client.ts";
import type { PhaseRecorder } from "../journal/journal.ts";
import { Journals } from "../journal/journals.ts";
import type { KubeadmRun } from "../kubernetes/kubeadm.ts";
import { Kubeadm } from "../kubernetes/kubeadm.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { openNodeLock } from "../nodelock/lock.ts";
import { measureTrust } from "../nodelock/measure.ts";
import type { LockOwner } from "../nodelock/record.ts";
import { LOCK_OWNERS } from "../nodelock/record.ts";
import { takeRunLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { ensureFolder, removeTemporaries } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { NodeSelf } from "./configuration_defaults.ts";
import { controlPlaneMaker } from "./control_plane_maker.ts";
import { endpointText } from "./endpoint.ts";
import type { ImageFinding } from "./image_measured.ts";
import { installJoinService, JOIN_SERVICE_PORT } from "./join_service_install.ts";
import { kubeletVersion, systemdKubelet } from "./kubelet.ts";
import { isMember, recordMembership } from "./membership.ts";
import type { NodePaths } from "./paths.ts";
import type { NodeCheck } from "./preflight.ts";
import { failedChecks, nodeChecks } from "./preflight.ts";
import type { Detected, RaceEvent } from "./race.ts";
import { createRaceMachine } from "./race.ts";
import { checkNoReset } from "./reset_marker.ts";
import { statusRefusal, StatusWriter } from "./status.ts";
import { TimelineRecorder } from "./timeline.ts";

/** What `run` runs on. */
export interface RunDependencies {
  /** The node's configuration. */
  readonly configuration: NodeConfiguration;
  /** What the node calls itself. */
  readonly self: NodeSelf;
  /** Where everything is. */
  readonly paths: NodePaths;
  /** Makes the node's evidence. */
  readonly issuer: EvidenceIssuer;
  /** The TPM's registers; none for evidence of the kind `none`. */
  readonly registers?: MeasurementRegisters;
  /** What of the image is not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** Other programs. */
  readonly commands: CommandRunner;
  /** Time. */
  readonly clock: Clock;
  /** What happens. */
  readonly log: Log;
  /** Stands around each step; only for tests, which end the process there. */
  readonly aroundStep?: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

const STATE_FOLDER_MODE = 0o755;
const RUN_FOLDER_MODE = 0o700;

/**
 * Makes this node a member of its cluster, and returns when it is one.
 *
 * @param signal Ends it; started again, it goes on.
 * @throws {BootstrapError} What made it fail; the status and the log have said so already.
 */
export async function runNode(deps: RunDependencies, signal: AbortSignal): Promise<void> {
  const { paths, clock, log } = deps;
  await ensureFolder(paths.state, STATE_FOLDER_MODE);
  await ensureFolder(paths.run, RUN_FOLDER_MODE);
  using _runLock = await takeRunLock(paths.state);
  for (const path of [paths.status, paths.timeline]) await removeTemporaries(path);
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

/** One run, with the effects of the race. */
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
      initServer: contender("INIT", (stop, locked) => this.#initialise(stop, locked), () => this.#whyStopped("init")),
      joinClient: contender("JOIN", (stop, locked) => this.#join(stop, locked), () => this.#whyStopped("join")),
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
  }

  /** A step of a journal, in the timeline and in the status too. */
  #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { aroundStep } = this.#deps;
    this.status.update({ step: name });
    return this.#timeline.phase(name, aroundStep === undefined ? work : () => aroundStep(name, work));
  }

  /** Measures before any port opens, and says what the node is. */
  async #detect(): Promise<Detected> {
    const { configuration, self, registers, paths, clock, log, unmeasured } = this.#deps;
    const { trust, evidence } = configuration;
    await this.status.update({
      phase: "detecting",
      clusterName: trust.clusterName,
      nodeName: self.name,
      address: self.address,
      role: self.role,
      evidence: evidence.variant,
      ...(unmeasured.length === 0 ? {} : { warnings: unmeasured.map(({ message }) => message) }),
    });
    for (const { check, message } of unmeasured) log.event("warn", "image-not-measured", { check, message });
    if (unmeasured.length > 0 && !configuration.allowUnmeasuredImage) throw unmeasuredImage(unmeasured);
    if (evidence.variant === "none") log.event("warn", "insecure-evidence-none");
    await proveChannelBinding();
    if (registers !== undefined) await measureTrust(registers, trust);
    await checkNoReset(paths.state);
    const lock = await openNodeLock({ folder: paths.state, clock, ...(registers === undefined ? {} : { registers }) });
    this.#lock = lock;
    const state = lock.state();
    // Keys of an init that the lock does not name are nobody's, and so are journals.
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

  async #initialise(signal: AbortSignal, onLocked: () => void): Promise<void> {
    const { configuration, self, commands, clock, log } = this.#deps;
    const { trust, init } = configuration;
    const lock = this.#openLock();
    // An init that is locked goes on, whatever the configuration says by now.
    if (!init.enabled && lock.state().name !== "locked") return await untilAborted(signal);
    const server = new InitServer({
      ...{ host: init.listen.host, port: init.listen.port, lock, folder: this.#initFolder },
      ...{ issuer: this.#guardedIssuer(), trust, clock, log },
      journals: this.#journals.init,
      preflight: (staged, journal, signal) => {
        const documents = documentsOf(staged, self);
        const checks = [...this.#nodeChecks(), ...kubernetesChecks(this.#kubeadm, commands, documents, signal)];
        return preflight(checks, (check) => journal.detail("preflight", check), signal);
      },
      found: (staged, journal, signal) => foundCluster(this.#founding(), staged, journal, signal),
      onLocked: () => {
        onLocked();
        const state = lock.state();
        const clusterId = state.name === "locked" ? { clusterId: state.lock.clusterId } : {};
        this.status.update({
          phase: "initialising",
          role: "control-plane",
          owner: "init",
          waitsFor: undefined,
          ...clusterId,
        });
      },
      onListening: (port) => {
        log.event("info", "init-server-listening", { host: init.listen.host, port });
        if (lock.state().name === "locked") this.status.update({ phase: "initialising" });
        else this.status.update({ phase: "racing", waitsFor: this.#waitsFor() });
      },
    });
    await server.run(signal);
  }

  #founding(): FoundClusterDependencies {
    const { configuration: { trust }, issuer, self, paths, commands, clock } = this.#deps;
    return {
      ...{ node: self, kubernetesFolder: paths.kubernetes, kubeadm: this.#kubeadm, clock },
      identity: () => issuer.ownIdentity(),
      joinServicePort: JOIN_SERVICE_PORT,
      installJoinService: ({ ca, founding, request }, { apiEndpoints, joinEndpoints }) =>
        installJoinService({ folder: paths.joinService, address: self.address, trust, clock, commands }, {
          ...{ ca, foundings: [founding], apiEndpoints, joinEndpoints },
          ...{ policyDocument: request.policyDocument, clusterDocument: request.clusterDocument },
        }),
    };
  }

  async #join(signal: AbortSignal, onLocked: () => void): Promise<void> {
    const { configuration, self, paths, commands, clock, log } = this.#deps;
    const { trust, join } = configuration;
    if (join.endpoints.length === 0) {
      if (this.#openLock().state().name !== "locked") return await untilAborted(signal);
      throw new BootstrapError(
        "precondition/join-endpoints",
        "This node is locked for a join, and knows no join service",
        {
          next: "Name the cluster's join services in join.endpoints of the node's configuration",
        },
      );
    }
    if (this.#openLock().state().name === "locked") await this.status.update({ phase: "joining" });
    else if (!configuration.init.enabled) await this.status.update({ phase: "racing", waitsFor: this.#waitsFor() });
    const kubeadm = this.#kubeadm;
    const facts = { nodeName: self.name, kubernetesFolder: paths.kubernetes, kubeadm, commands, clock };
    const dependencies = {
      ...{ trust, self, endpoints: join.endpoints, issuer: this.#guardedIssuer(), lock: this.#openLock(), clock, log },
      kubeadm: {
        join: (document: string, run: KubeadmRun) => kubeadm.join(document, run),
        preflight: async (command: "init" | "join", document: string, run: KubeadmRun) => [
          ...await failedChecks(this.#nodeChecks()),
          ...await kubeadm.preflight(command, document, run),
        ],
      },
      kubelet: systemdKubelet(facts),
      kubeletVersion: await kubeletVersion(commands),
      runFolder: paths.run,
      controlPlane: controlPlaneMaker({ paths, self, trust, kubeadm, commands, clock }),
      journals: this.#journals.join,
    };
    let wasRefused = false;
    const end = await runJoinClient(dependencies, {
      signal,
      onEndpointFailure: ({ endpoint, error, kind }) => {
        // What a service has said matters more than that another one is not there.
        wasRefused ||= kind === "refused";
        if (wasRefused && kind === "unreachable") return;
        this.status.update({ lastRefusal: statusRefusal(error, clock.now(), endpoint) });
      },
      onStepFailure: (error) => {
        this.status.update({ lastRefusal: statusRefusal(error, clock.now()) });
      },
      onLocked: (clusterId) => {
        onLocked();
        this.status.update({ phase: "joining", owner: "join", clusterId, waitsFor: undefined, lastRefusal: undefined });
      },
    });
    if (end === "lost") await untilAborted(signal);
  }

  /** No evidence is made between the lock and the measurement that shows it: the two would contradict each other. */
  #guardedIssuer(): EvidenceIssuer {
    const { issuer } = this.#deps;
    const lock = this.#openLock();
    const isSettled = (name: string) => name === "unlocked" || name === "locked";
    return {
      variant: issuer.variant,
      activate: (challenge) => issuer.activate(challenge),
      ownIdentity: () => issuer.ownIdentity(),
      async issue(statement) {
        const before = lock.state().name;
        const evidence = isSettled(before) ? await issuer.issue(statement) : undefined;
        if (evidence !== undefined && lock.state().name === before) return evidence;
        throw new BootstrapError("unavailable/locking", "This node is being locked just now, and makes no evidence");
      },
    };
  }

  #nodeChecks(): NodeCheck[] {
    const { configuration: { allowUnmeasuredImage }, paths, clock, unmeasured, registers } = this.#deps;
    const facts = { paths, clock, unmeasured, allowUnmeasuredImage };
    return nodeChecks({ ...facts, ...(registers === undefined ? {} : { registers }) });
  }

  #waitsFor(): string {
    const { init, join } = this.#deps.configuration;
    const ways = [
      ...(init.enabled ? ["an operator's init"] : []),
      ...(join.endpoints.length > 0 ? [`a ticket from ${join.endpoints.map(endpointText).join(", ")}`] : []),
    ];
    return ways.join(", or ");
  }

  /** Why a contender is stopped; the InitServer's callers hear it, and the log does where the other one won. */
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

const stopped = new BootstrapError("aborted/run", "The bootstrapper was stopped; started again, it goes on");
const whyJoinLost = new BootstrapError("aborted/lost-race", "An operator initialises a cluster on this node");

function whyInitLost(clusterId: Uint8Array): BootstrapError {
  const id = clusterIdText(clusterId);
  return new BootstrapError("precondition/joining", `This node is joining ${id}, and belongs to it for good`, {
    next: "Use a fresh machine for the init",
  });
}

/** A contender as the race sees it: it is aborted with a reason when it is stopped. */
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

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
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
