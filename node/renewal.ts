/**
 * Renews the certificates of this node, in time and after their end.
 *
 * A worker is attested anew by a join service of the cluster that its lock names, and judged by the policy in force. A
 * control plane has the cluster's CA and issues its kubelet's certificates itself: that shows that the machine goes on,
 * and attests nothing.
 *
 * Everything can be repeated: keys are new at each try, and every file is replaced by rename.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { admissionOf, nodeNameOf } from "../certificate/subjects.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import type { NodeCertificates } from "../kubernetes/kubelet_credentials.ts";
import { nodeCertificatePath, readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import { takeRenewalLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { exists, removeTemporaries } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import { retry } from "../platform/retry.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { isMember } from "./membership.ts";
import type { NodePaths } from "./paths.ts";
import type { RenewalRecord } from "./renewal_record.ts";
import {
  isRecordOf,
  readRenewalRecord,
  recordIssuedCertificates,
  setNextLook,
  writeRenewalRecord,
} from "./renewal_record.ts";
import type { RenewalUrgency, Validity } from "./renewal_times.ts";
import {
  afterFailure,
  commonValidity,
  isReattestationDue,
  nextLook,
  renewableFrom,
  renewalUrgency,
} from "./renewal_times.ts";
import { checkNoReset } from "./reset_marker.ts";
import { statusRefusal } from "./status.ts";

/** The certificates that are installed now; one that is missing or cannot be read is absent. */
export type InstalledCertificates = Partial<NodeCertificates>;

/** What a way to new certificates is told. */
export interface RenewalTask {
  readonly role: NodeRole;
  readonly installed: InstalledCertificates;
  readonly urgency: RenewalUrgency;
  /** The join services to ask, as the last ticket or the cluster names them. */
  readonly joinEndpoints: readonly string[];
  readonly signal: AbortSignal;
  /** Reports a refusal or a failure that another try follows. */
  onFailure(error: BootstrapError, peer?: string): void;
}

/** Certificates that were obtained and installed. */
export interface RenewedCertificates {
  readonly certificates: NodeCertificates;
  readonly joinEndpoints: readonly string[];
}

/** A way to new certificates. It installs them. */
export type RenewalWay = (task: RenewalTask) => Promise<RenewedCertificates>;

/** What a renewal works with. */
export interface RenewalDependencies {
  readonly paths: NodePaths;
  readonly clock: Clock;
  /** The source of jitter: numbers from 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
  /** Returns why the API server denies the kubelet of that name its requests; throws when it does not answer. */
  readonly denial: (nodeName: string, signal: AbortSignal) => Promise<BootstrapError | undefined>;
  /** Finds the join services of a control plane's cluster, but for its own. */
  readonly otherServices: (signal: AbortSignal) => Promise<readonly string[]>;
  /** When this machine booted. */
  readonly bootedAt: Date;
  /** A worker's way: an attestation. A control plane goes it once a day, to keep its record. */
  readonly attest: RenewalWay;
  /** A control plane's way: the CA on its disk. */
  readonly issue: RenewalWay;
  /** How long {@linkcode attest} may take, for each urgency, in milliseconds. Default: {@linkcode PATIENCE_MS}. */
  readonly patienceMs?: Readonly<Record<RenewalUrgency, number>>;
}

/** How a renewal ended. */
export type RenewalOutcome =
  | { readonly state: "renewed"; readonly record: RenewalRecord; readonly renewableFrom: Date }
  | { readonly state: "early"; readonly validity: Validity; readonly renewableFrom: Date };

/** The unit's timer starts another renewal some minutes after one that failed. Late ones ask nearly all the time. */
const PATIENCE_MS: Readonly<Record<RenewalUrgency, number>> = Object.freeze({
  early: 0,
  due: 2 * 60_000,
  late: 9 * 60_000,
});

/** A person may renew while the unit does. The second renewal then finds out that there is nothing left to do. */
const LOCK_WAIT = Object.freeze({
  backOff: { firstMs: 1_000, factor: 1, longestMs: 1_000, jitter: 0.2 },
  maximumTries: 90,
});

/** How a renewal is asked for. */
export interface RenewalRequest {
  /** Renews in the first third of the certificates' life too. */
  readonly isNow?: boolean;
}

/**
 * Renews the certificates of this node if a third of their life is over, or if the cluster does not accept them any
 * more.
 *
 * @throws {BootstrapError} `precondition/not-a-member`, `precondition/reset-under-way`, `conflict/renewal`; the last
 *   refusal or failure, which is on record for `bootstrapper status` too.
 */
export async function renewCertificates(
  deps: RenewalDependencies,
  signal: AbortSignal,
  { isNow = false }: RenewalRequest = {},
): Promise<RenewalOutcome> {
  const { paths, clock, random, log } = deps;
  if (!await isMember(paths.state)) throw notAMember();
  using _lock = await retry(() => takeRenewalLock(paths.state), { clock, random, signal, ...LOCK_WAIT });
  await checkNoReset(paths.state);
  // A reset may have ended while this process waited for the lock.
  if (!await isMember(paths.state)) throw notAMember();
  await removeLeftKeys(paths);
  const installed = await installedCertificates(deps);
  const before = await recordOf(deps, installed);
  const validity = installed.client && installed.serving && commonValidity([installed.client, installed.serving]);
  const byTime = renewalUrgency(validity, clock.now());
  const urgency = byTime === "early" ? await earlyUrgency(deps, installed.client, isNow, signal) : byTime;
  if (validity !== undefined && urgency === "early") {
    const again = await isControlPlane(paths) ? await reattested(deps, installed, before, signal) : undefined;
    if (again !== undefined) return again;
    await setNextLook(paths.state, nextLook(validity, clock.now(), random()));
    return { state: "early", validity, renewableFrom: renewableFrom(validity) };
  }
  const way = await isControlPlane(paths) ? "own-ca" : "attestation";
  const failures = new RenewalFailures(deps, before);
  try {
    const role = way === "own-ca" ? "control-plane" : "worker";
    const task = { role, installed, urgency, joinEndpoints: before?.joinEndpoints ?? [] } as const;
    const renewed = await inTime(
      deps,
      way,
      { ...task, onFailure: (error, peer) => failures.note(error, peer) },
      signal,
    );
    return await recordRenewed(deps, way, renewed, before);
  } catch (cause) {
    const error = signal.aborted ? asBootstrapError(cause) : failures.last ?? asBootstrapError(cause);
    if (failures.last === undefined && !signal.aborted) failures.note(error);
    await failures.written;
    log.event("warn", "renewal-failed", { ...errorFields(error), urgency });
    // The unit starts a renewal that failed again, unless its time has not come.
    if (urgency === "due") await setNextLook(paths.state, afterFailure(clock.now(), random()));
    throw error;
  }
}

async function recordRenewed(
  { paths, clock, random, log }: RenewalDependencies,
  issuedBy: RenewalRecord["issuedBy"],
  renewed: RenewedCertificates,
  before: RenewalRecord | undefined,
): Promise<RenewalOutcome> {
  const attested = issuedBy === "attestation" ? clock.now() : timeOf(before?.attested);
  const look = { now: clock.now(), random: random() };
  const record = await recordIssuedCertificates(
    paths.state,
    { ...renewed, issuedBy, ...present("attested", attested) },
    look,
  );
  log.event("info", "certificates-renewed", { issuedBy, until: record.client.notAfter });
  const { client, serving } = renewed.certificates;
  return { state: "renewed", record, renewableFrom: renewableFrom(commonValidity([client, serving]) ?? client) };
}

/**
 * Attests a control plane to the others of its cluster, if that is due: its record then says what it runs. A control
 * plane holds the cluster's CA, so that no refusal ends its membership: it is logged, and the next look asks again.
 */
async function reattested(
  deps: RenewalDependencies,
  installed: InstalledCertificates,
  before: RenewalRecord | undefined,
  signal: AbortSignal,
): Promise<RenewalOutcome | undefined> {
  const { clock, bootedAt, log, otherServices } = deps;
  if (!isReattestationDue(timeOf(before?.attested), bootedAt, clock.now())) return undefined;
  let last: BootstrapError | undefined;
  try {
    const joinEndpoints = await otherServices(signal);
    if (joinEndpoints.length === 0) return undefined;
    const task = { role: "control-plane", installed, urgency: "due", joinEndpoints } as const;
    const onFailure = (error: BootstrapError) => void (last = error);
    return await recordRenewed(
      deps,
      "attestation",
      await inTime(deps, "attestation", { ...task, onFailure }, signal),
      before,
    );
  } catch (cause) {
    signal.throwIfAborted();
    log.event("warn", "control-plane-not-attested", errorFields(last ?? asBootstrapError(cause)));
    return undefined;
  }
}

/**
 * How urgent it is to renew certificates that are in the first third of their life. They may be worth nothing already:
 * the cluster may have ended their epoch, or they are those with which a kubelet starts without a record.
 */
async function earlyUrgency(
  { denial, log }: RenewalDependencies,
  client: InstalledCertificates["client"],
  isNow: boolean,
  signal: AbortSignal,
): Promise<RenewalUrgency> {
  const attributes = client?.subject.attributes ?? [];
  const nodeName = nodeNameOf(attributes) ?? "";
  if (isNow || admissionOf(attributes, nodeName) === undefined) return "due";
  try {
    const denied = await denial(nodeName, signal);
    if (denied === undefined) return "early";
    log.event("warn", "certificates-denied", errorFields(denied));
    return "late";
  } catch (cause) {
    signal.throwIfAborted();
    log.event("info", "certificates-not-checked", errorFields(asBootstrapError(cause)));
    return "early";
  }
}

/** Whether this node is a control plane: it has the cluster's CA. */
function isControlPlane({ kubernetes }: NodePaths): Promise<boolean> {
  return exists(join(kubernetes, "pki", "ca.key"));
}

/** Runs a way until its time is over. */
function inTime(
  { clock, attest, issue, patienceMs = PATIENCE_MS }: RenewalDependencies,
  way: RenewalRecord["issuedBy"],
  task: Omit<RenewalTask, "signal">,
  stop: AbortSignal,
): Promise<RenewedCertificates> {
  const run = (signal: AbortSignal) => (way === "own-ca" ? issue : attest)({ ...task, signal });
  return withDeadline(clock, patienceMs[task.urgency], outOfTime, run, stop);
}

/** Reads both certificates. One that cannot be read is as good as none: it is replaced. */
async function installedCertificates({ paths, log }: RenewalDependencies): Promise<InstalledCertificates> {
  const read = async (usage: keyof NodeCertificates) => {
    try {
      return await readNodeCertificate(paths, usage);
    } catch (error) {
      log.event("warn", "certificate-unreadable", errorFields(asBootstrapError(error)));
      return undefined;
    }
  };
  const [client, serving] = await Promise.all([read("client"), read("serving")]);
  return { ...(client === undefined ? {} : { client }), ...(serving === undefined ? {} : { serving }) };
}

/** A killed renewal may have left a key in a temporary file. The renewal lock keeps other writers away. */
async function removeLeftKeys({ kubelet }: NodePaths): Promise<void> {
  for (const path of [nodeCertificatePath(kubelet, "client"), nodeCertificatePath(kubelet, "serving")]) {
    if (await exists(dirname(path))) await removeTemporaries(path);
  }
}

/**
 * Returns the record of the installed certificates. A renewal that was killed after it installed them has not written
 * it: then it is written now, as `status` would show an old end and an old refusal. Its certificates were made at their
 * beginning, so that a worker was attested then.
 */
async function recordOf(
  deps: RenewalDependencies,
  { client, serving }: InstalledCertificates,
): Promise<RenewalRecord | undefined> {
  const before = await recordBefore(deps);
  if (client === undefined || serving === undefined) return before;
  if (before !== undefined && isRecordOf(before, { client, serving })) return before;
  const { paths, clock, random } = deps;
  const isOwn = await isControlPlane(paths);
  const issuedBy = isOwn ? "own-ca" : "attestation";
  const attested = isOwn ? timeOf(before?.attested) : client.notBefore;
  const issued = { certificates: { client, serving }, joinEndpoints: before?.joinEndpoints ?? [], issuedBy } as const;
  const look = { now: clock.now(), random: random() };
  return await recordIssuedCertificates(paths.state, { ...issued, ...present("attested", attested) }, look);
}

/** Reads the record. One that cannot be read must not keep a node from its cluster: the configuration has endpoints. */
async function recordBefore({ paths, log }: RenewalDependencies): Promise<RenewalRecord | undefined> {
  try {
    return await readRenewalRecord(paths.state);
  } catch (error) {
    log.event("warn", "renewal-record-unreadable", errorFields(asBootstrapError(error)));
    return undefined;
  }
}

function timeOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}

/** The failures of one renewal, which the record keeps for `status`. A refusal is worth more than a silent service. */
class RenewalFailures {
  readonly #deps: RenewalDependencies;
  readonly #record: RenewalRecord | undefined;
  #last: BootstrapError | undefined;
  #peer: string | undefined;
  written: Promise<void> = Promise.resolve();

  constructor(deps: RenewalDependencies, record: RenewalRecord | undefined) {
    this.#deps = deps;
    this.#record = record;
  }

  get last(): BootstrapError | undefined {
    return this.#last;
  }

  note(error: BootstrapError, peer?: string): void {
    const wasRefused = this.#last !== undefined && this.#peer !== undefined;
    if (wasRefused && peer === undefined) return;
    this.#last = error;
    this.#peer = peer;
    this.written = this.written.then(() => this.#write(error, peer));
  }

  async #write(error: BootstrapError, peer: string | undefined): Promise<void> {
    if (this.#record === undefined) return;
    const { paths, clock, log } = this.#deps;
    try {
      const refusal = statusRefusal(error, clock.now(), peer);
      await writeRenewalRecord(paths.state, { ...this.#record, refusal });
    } catch (cause) {
      log.event("warn", "renewal-record-not-written", errorFields(asBootstrapError(cause)));
    }
  }
}

function notAMember(): BootstrapError {
  return new BootstrapError(
    "precondition/not-a-member",
    "Cannot renew certificates: this node is no member of a cluster",
  );
}

function outOfTime(): BootstrapError {
  return new BootstrapError(
    "timeout/renewal",
    "No join service of the cluster gave this node new certificates in time",
    {
      next: "Check that a join service runs and can be reached. The node asks again within minutes",
    },
  );
}
