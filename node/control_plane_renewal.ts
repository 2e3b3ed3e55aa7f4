/**
 * Renews what a control plane certifies for itself: kubeadm's certificates, and that of its join service. The CAs are on
 * its disk, so that it needs no network, and works after years.
 *
 * Where the kubelet does not run yet, at boot, the Pods start with the new certificates. Where it runs, one control
 * plane at a time starts its Pods anew, one after the other. Each step may be killed: files that kubeadm was writing are
 * put back first, and what is left to do is on record.
 *
 * @module
 */
import type { CertificateAuthority } from "../certificate/ca.ts";
import {
  type CertificateEnd,
  certificateEnds,
  certificateLifetimeMs,
} from "../kubernetes/control_plane_certificates.ts";
import { annotateStaticPod, STATIC_PODS, type StaticPod } from "../kubernetes/static_pods.ts";
import { takeRenewalLock } from "../nodelock/run_lock.ts";
import type { Clock } from "../platform/clock.ts";
import { DAY_MS, MINUTE_MS } from "../platform/duration.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { forgetCertificates, keepCertificates, restoreCertificates } from "./_kept_certificates.ts";
import {
  type ControlPlaneRenewalRecord,
  readControlPlaneRenewal,
  writeControlPlaneRenewal,
} from "./control_plane_renewal_record.ts";
import type { NodePaths } from "./paths.ts";
import { DUE_FILES, setNextLook } from "./renewal_record.ts";
import { checkNoReset } from "./reset_marker.ts";

/** What the renewal of a control plane's certificates works with. */
export interface ControlPlaneRenewalDependencies {
  readonly paths: NodePaths;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Reads the cluster's CA from the disk. */
  readonly readCa: () => Promise<CertificateAuthority>;
  /** kubeadm's ClusterConfiguration, YAML: the cluster's now, or what this machine last knew of it. */
  readonly clusterConfiguration: (signal: AbortSignal) => Promise<string>;
  /** Has kubeadm renew all of its certificates. */
  readonly kubeadmRenew: (clusterConfiguration: string, signal: AbortSignal) => Promise<void>;
  /** Whether the kubelet runs, and with it the control plane's Pods. */
  readonly isKubeletActive: () => Promise<boolean>;
  /** Does the work when no other control plane is at it. Throws if the API server cannot be asked. */
  readonly inTurn: <T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
  /** Waits until the Pod with that annotation is Ready. */
  readonly awaitPod: (pod: StaticPod, time: string, signal: AbortSignal) => Promise<void>;
  /** When the join service's certificate ends; `undefined` where there is no service. */
  readonly serviceEnd: () => Promise<Date | undefined>;
  /** Gives the join service a new certificate. */
  readonly renewService: (ca: CertificateAuthority) => Promise<void>;
  /** Starts the join service anew: it reads its certificate and etcd's client certificate when it starts. */
  readonly restartService: () => Promise<void>;
}

/** How a renewal is asked for. */
export interface ControlPlaneRenewalRequest {
  /** Renews before two thirds of the certificates' life are over too. */
  readonly isNow?: boolean;
  /** Believes the clock, whatever the record says. */
  readonly acceptsClock?: boolean;
}

/** How a renewal of a control plane's certificates ended. */
export interface ControlPlaneRenewalOutcome {
  readonly state: "early" | "renewed";
  /** When the first of the certificates ends. */
  readonly until: Date;
}

/** The lifetime of a join service's certificate. */
const SERVICE_LIFETIME_MS = 365 * DAY_MS;
/** The part of their life that is left when certificates are renewed. */
const DUE_BEFORE = 1 / 3;
/** The part of their life that passes at least between two renewals. */
const SHORTEST_PAUSE = 1 / 12;
/** The part of their life that is left when they are renewed even if no API server answers. */
const LATE_BEFORE = 1 / 6;
/** Certificates are valid from five minutes before they are made, and clocks of machines differ as much. */
const CLOCK_TOLERANCE_MS = 5 * MINUTE_MS;
const LOCK_WAIT = Object.freeze({
  backOff: { firstMs: 1_000, factor: 1, longestMs: 1_000, jitter: 0.2 },
  maximumTries: 90,
});

/**
 * Renews the certificates of this control plane if two thirds of their life are over, and goes on with a renewal that
 * was interrupted.
 *
 * @throws {BootstrapError} `precondition/clock-behind`, `precondition/reset-under-way`, `conflict/renewal`,
 *   `conflict/turn`, `timeout/turn`, `timeout/static-pod`; the errors of kubeadm, the CA and the API server.
 */
export async function renewControlPlane(
  deps: ControlPlaneRenewalDependencies,
  signal: AbortSignal,
  request: ControlPlaneRenewalRequest = {},
): Promise<ControlPlaneRenewalOutcome> {
  const { paths, log } = deps;
  const record = await begin(deps, signal, request);
  const look = await lookAtCertificates(deps, signal, request);
  if (look.due.length === 0 && !look.isServiceDue && record.pending.length === 0) {
    await done(deps, record, look);
    return { state: "early", until: look.until };
  }
  if (!await deps.isKubeletActive()) {
    await renewFiles(deps, look, record, signal);
    await annotateAll(deps);
  } else {
    try {
      await deps.inTurn(signal, (turn) => renewAndRestart(deps, look, record, turn));
    } catch (cause) {
      const error = asBootstrapError(cause);
      if (!look.isLate || signal.aborted || error.code === "conflict/turn") throw error;
      log.event("warn", "control-plane-renewed-alone", errorFields(error));
      // The turn may have ended after the files were renewed.
      await renewFiles(deps, await lookAtCertificates(deps, signal, {}), record, signal);
      await annotateAll(deps);
    }
    await deps.restartService();
  }
  const after = await lookAtCertificates(deps, signal, {});
  await done(deps, await readControlPlaneRenewal(paths.state) ?? record, after);
  log.event("info", "control-plane-certificates-renewed", { until: after.until.toISOString() });
  return { state: "renewed", until: after.until };
}

/**
 * Nothing is left to do until certificates are in the last third of their life. Those that a CA near its own end has
 * signed always are: they are not renewed again at each look.
 */
async function done(
  { paths, clock }: ControlPlaneRenewalDependencies,
  record: ControlPlaneRenewalRecord,
  { until, dueFrom, lifetimeMs }: Look,
): Promise<void> {
  await writeControlPlaneRenewal(paths.state, { ...record, until: until.toISOString(), pending: [] });
  const soonest = clock.now().getTime() + lifetimeMs * SHORTEST_PAUSE;
  const next = new Date(Math.max(dueFrom.getTime(), record.renewedAt === undefined ? 0 : soonest));
  await setNextLook(paths.state, next, DUE_FILES.controlPlane);
}

/** Checks the clock, and puts back what an interrupted renewal left half written. */
async function begin(
  deps: ControlPlaneRenewalDependencies,
  signal: AbortSignal,
  { acceptsClock = false }: ControlPlaneRenewalRequest,
): Promise<ControlPlaneRenewalRecord> {
  const { paths, clock, random, log, readCa } = deps;
  using _lock = await retry(() => takeRenewalLock(paths.state), { clock, random, signal, ...LOCK_WAIT });
  await checkNoReset(paths.state);
  if (await restoreCertificates(paths)) log.event("warn", "control-plane-certificates-restored", {});
  const now = clock.now();
  const before = await readControlPlaneRenewal(paths.state);
  if (!acceptsClock) checkClock(now, (await readCa()).certificate.notBefore, before?.seen);
  const record = { version: 1, until: now.toISOString(), pending: [], ...before, seen: now.toISOString() } as const;
  await writeControlPlaneRenewal(paths.state, record);
  return record;
}

function checkClock(now: Date, caNotBefore: Date, seen: string | undefined): void {
  const latest = Math.max(caNotBefore.getTime(), seen === undefined ? 0 : Date.parse(seen));
  if (now.getTime() >= latest - CLOCK_TOLERANCE_MS) return;
  const [here, there] = [now.toISOString(), new Date(latest).toISOString()];
  throw new BootstrapError(
    "precondition/clock-behind",
    `This machine's clock says ${here}, and it was ${there} before: no certificate is made with such a clock`,
    {
      next: "Set the clock. If it is right and was wrong before: `bootstrapper control-plane renew --accept-clock`",
      details: { now: here, seen: there },
    },
  );
}

interface Look {
  readonly clusterConfiguration: string;
  readonly due: readonly CertificateEnd[];
  readonly isServiceDue: boolean;
  /** Whether it cannot wait for an API server. */
  readonly isLate: boolean;
  /** When the first of the certificates is due. */
  readonly dueFrom: Date;
  /** The lifetime of kubeadm's certificates. */
  readonly lifetimeMs: number;
  readonly until: Date;
}

async function lookAtCertificates(
  deps: ControlPlaneRenewalDependencies,
  signal: AbortSignal,
  { isNow = false }: ControlPlaneRenewalRequest,
): Promise<Look> {
  const { paths, clock } = deps;
  const clusterConfiguration = await deps.clusterConfiguration(signal);
  const lifetimeMs = certificateLifetimeMs(clusterConfiguration);
  const [ends, service] = await Promise.all([certificateEnds(paths.kubernetes), deps.serviceEnd()]);
  if (ends.length === 0) throw notAControlPlane(paths);
  const all = [
    ...ends.map(({ path, notAfter }) => ({ path, notAfter, lifetimeMs })),
    ...(service === undefined ? [] : [{ path: "", notAfter: service, lifetimeMs: SERVICE_LIFETIME_MS }]),
  ].map((end) => ({ ...end, dueFrom: end.notAfter.getTime() - end.lifetimeMs * DUE_BEFORE }));
  const now = clock.now().getTime();
  const due = all.filter(({ dueFrom }) => isNow || now >= dueFrom);
  return {
    ...{ clusterConfiguration, lifetimeMs },
    due: due.filter(({ path }) => path !== ""),
    isServiceDue: due.some(({ path }) => path === ""),
    isLate: all.some(({ notAfter, lifetimeMs }) => notAfter.getTime() - now < lifetimeMs * LATE_BEFORE),
    dueFrom: new Date(Math.min(...all.map(({ dueFrom }) => dueFrom))),
    until: new Date(Math.min(...all.map(({ notAfter }) => notAfter.getTime()))),
  };
}

/** Renews the files; the record then names the Pods that have to start anew. */
async function renewFiles(
  deps: ControlPlaneRenewalDependencies,
  { clusterConfiguration, due, isServiceDue }: Look,
  record: ControlPlaneRenewalRecord,
  signal: AbortSignal,
): Promise<void> {
  const { paths, clock, random, log } = deps;
  using _lock = await retry(() => takeRenewalLock(paths.state), { clock, random, signal, ...LOCK_WAIT });
  await checkNoReset(paths.state);
  if (isServiceDue) await deps.renewService(await deps.readCa());
  if (due.length === 0) return;
  for (const { path, notAfter } of due) {
    log.event("info", "control-plane-certificate-due", { path, notAfter: notAfter.toISOString() });
  }
  await keepCertificates(paths);
  try {
    await deps.kubeadmRenew(clusterConfiguration, signal);
  } catch (error) {
    await restoreCertificates(paths);
    throw error;
  }
  // The record is first: a Pod that runs with certificates that end must not be forgotten.
  const renewedAt = clock.now().toISOString();
  await writeControlPlaneRenewal(paths.state, { ...record, renewedAt, pending: STATIC_PODS });
  await forgetCertificates(paths);
}

async function renewAndRestart(
  deps: ControlPlaneRenewalDependencies,
  look: Look,
  before: ControlPlaneRenewalRecord,
  signal: AbortSignal,
): Promise<void> {
  const { paths, log } = deps;
  await renewFiles(deps, look, before, signal);
  const record = await readControlPlaneRenewal(paths.state) ?? before;
  for (let pending = record.pending; pending.length > 0; pending = pending.slice(1)) {
    const [pod = "etcd"] = pending;
    await checkNoReset(paths.state);
    const time = record.renewedAt ?? record.seen;
    if (await annotateStaticPod(paths.kubernetes, pod, time)) {
      await deps.awaitPod(pod, time, signal);
      log.event("info", "static-pod-restarted", { pod });
    }
    await writeControlPlaneRenewal(paths.state, { ...record, pending: pending.slice(1) });
  }
}

/** Nobody waits for these Pods: the kubelet starts them anew when it runs. */
async function annotateAll({ paths }: ControlPlaneRenewalDependencies): Promise<void> {
  const record = await readControlPlaneRenewal(paths.state);
  if (record?.renewedAt === undefined || record.pending.length === 0) return;
  for (const pod of record.pending) await annotateStaticPod(paths.kubernetes, pod, record.renewedAt);
}

function notAControlPlane({ kubernetes }: NodePaths): BootstrapError {
  return new BootstrapError(
    "precondition/not-a-control-plane",
    `Cannot renew a control plane's certificates: there are none in ${kubernetes}`,
    { next: "Run the command on a control plane, or `bootstrapper renew` on a worker" },
  );
}
