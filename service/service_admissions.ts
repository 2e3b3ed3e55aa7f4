/**
 * The admission records as a join service's exchanges use them: after records of earlier versions have been migrated,
 * and with Events on what happens.
 *
 * Events are best effort: no ticket waits for one, and one that cannot be written is dropped.
 *
 * @module
 */
import type {
  Admission,
  AdmissionRecord,
  AdmissionRecords,
  AskedAdmission,
  AskedClaims,
  NodeCertificateRecord,
  ObjectApi,
  StoredAdmission,
} from "../kubernetes/admission_records.ts";
import { createEvent, type EventTarget, nodeTarget, type ObjectEvent } from "../kubernetes/events.ts";
import { NodeAdmissions } from "../kubernetes/node_admissions.ts";
import { migrateRecords } from "../kubernetes/records_migration.ts";
import type { Clock } from "../platform/clock.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { type AnyErrorCode, asBootstrapError, type BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { Recent } from "../platform/recent.ts";
import { type FailedTry, retry } from "../platform/retry.ts";

/** What {@linkcode ServiceAdmissions} works with. */
export interface ServiceAdmissionsParts {
  readonly api: ObjectApi;
  readonly records: Pick<AdmissionRecords, "find" | "stands" | "admit" | "renew" | "recordCertificates">;
  readonly clock: Clock;
  readonly log: Log;
  /** Numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Refusals of one machine for one reason are one Event in this time. */
const REFUSALS_MS = 10 * MINUTE_MS;
/** An exchange gets its certificates directly after the admission, and ends within minutes. */
const ADMITTED_MS = 10 * MINUTE_MS;
/** Events that wait for the API server. More are dropped. */
const MOST_WAITING = 64;
/** Machines whose refusals are counted, and admissions whose certificates are to come. The oldest give way. */
const MOST_REMEMBERED = 4096;

/** The admission records of a join service's exchanges. */
export class ServiceAdmissions {
  readonly #parts: ServiceAdmissionsParts;
  #migration: Promise<void> | undefined;
  #waiting = 0;
  /** Admissions whose certificates are to come, by UID. */
  readonly #admitted = new Recent<{ readonly nodeName: string; readonly isFirst: boolean }>({
    ...{ ageMs: ADMITTED_MS, maximum: MOST_REMEMBERED },
  });
  readonly #refusals = new Recent<{ readonly sinceMs: number; count: number }>({
    ...{ ageMs: 2 * REFUSALS_MS, maximum: MOST_REMEMBERED },
  });

  /** Sends nothing yet. */
  constructor(parts: ServiceAdmissionsParts) {
    this.#parts = parts;
  }

  /**
   * Returns when records of earlier versions are migrated.
   *
   * @throws {BootstrapError} `unavailable/records`. The next call tries again.
   */
  migrated(): Promise<void> {
    return this.#migration ??= this.#migrate().catch((error) => {
      this.#migration = undefined;
      throw error;
    });
  }

  /** Migrates records, with growing pauses until it succeeds or the signal. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random = Math.random } = this.#parts;
    let reported: AnyErrorCode | undefined;
    const onFailedTry = ({ error }: FailedTry) => {
      const { code } = asBootstrapError(error.cause);
      if (code !== reported) log.event("warn", "records-not-migrated", errorFields(error));
      reported = code;
    };
    await retry(() => this.migrated(), { clock, signal, random, onFailedTry }).catch(() => {});
  }

  /** Like `AdmissionRecords.find()`. */
  async find(identity: string): Promise<AdmissionRecord | undefined> {
    await this.migrated();
    return await this.#parts.records.find(identity);
  }

  /** Like `AdmissionRecords.stands()`. */
  stands(identity: string, uid: string): Promise<boolean> {
    return this.#parts.records.stands(identity, uid);
  }

  /** Like `AdmissionRecords.admit()`. */
  admit(asked: AskedAdmission): Promise<Admission> {
    return this.#noting(asked, () => this.#parts.records.admit(asked));
  }

  /** Like `AdmissionRecords.renew()`. */
  renew(asked: AskedAdmission): Promise<Admission> {
    return this.#noting(asked, () => this.#parts.records.renew(asked));
  }

  async #noting({ identity, nodeName }: AskedAdmission, work: () => Promise<Admission>): Promise<Admission> {
    await this.migrated();
    try {
      const admission = await work();
      const isFirst = admission.before === undefined;
      this.#admitted.set(admission.uid, { nodeName, isFirst }, this.#parts.clock.monotonicMs());
      return admission;
    } catch (cause) {
      const error = asBootstrapError(cause);
      if (!error.retriable) this.#refused(identity, error);
      throw error;
    }
  }

  /** Like `AdmissionRecords.recordCertificates()`. */
  async recordCertificates(
    identity: string,
    uid: string,
    certificates: readonly NodeCertificateRecord[],
    asked?: AskedClaims,
    written?: StoredAdmission,
  ): Promise<void> {
    await this.#parts.records.recordCertificates(identity, uid, certificates, asked, written);
    const admitted = this.#admitted.get(uid, this.#parts.clock.monotonicMs());
    if (admitted === undefined) return;
    this.#admitted.delete(uid);
    const { nodeName, isFirst } = admitted;
    const until = new Date(Math.max(...certificates.map(({ notAfterMs }) => notAfterMs), 0)).toISOString();
    const [reason, what] = isFirst ? ["Admitted", "was admitted"] : ["Renewed", "proved again what it is"];
    const message = `The machine ${what}; its certificates end at ${until}`;
    this.#emit([{ kind: "NodeAdmission", name: identity, uid }, nodeTarget(nodeName)], {
      type: "Normal",
      reason,
      message,
    });
  }

  async #migrate(): Promise<void> {
    const { api, log } = this.#parts;
    const { migrated, left } = await migrateRecords(api);
    if (migrated > 0) log.event("info", "records-migrated", { migrated });
    for (const error of left) log.event("error", "record-not-migrated", errorFields(error));
  }

  /** Counts the refusals of a machine that has a record, and says so at most once in a while. */
  #refused(identity: string, error: BootstrapError): void {
    const key = `${identity} ${error.code}`;
    const nowMs = this.#parts.clock.monotonicMs();
    const before = this.#refusals.get(key, nowMs);
    if (before !== undefined && nowMs < before.sinceMs + REFUSALS_MS) {
      before.count++;
      return;
    }
    this.#refusals.set(key, { sinceMs: nowMs, count: 1 }, nowMs);
    const times = before === undefined || before.count === 1 ? "" : ` (${before.count} times before)`;
    this.#later(async () => {
      const record = await new NodeAdmissions(this.#parts.api).find(identity);
      if (record === undefined) return;
      const target = { kind: "NodeAdmission", name: identity, uid: record.uid } as const;
      const message = `${error.code}: ${error.message}${times}`;
      await this.#write([target], { type: "Warning", reason: "Refused", message });
    });
  }

  #emit(targets: readonly EventTarget[], event: Omit<ObjectEvent, "now">): void {
    this.#later(() => this.#write(targets, event));
  }

  async #write(targets: readonly EventTarget[], event: Omit<ObjectEvent, "now">): Promise<void> {
    const { api, clock } = this.#parts;
    await Promise.all(targets.map((target) => createEvent(api, target, { ...event, now: clock.now() })));
  }

  /** Runs work that nothing waits for. */
  #later(work: () => Promise<void>): void {
    if (this.#waiting >= MOST_WAITING) return;
    this.#waiting++;
    work().catch((cause) => {
      this.#parts.log.event("warn", "event-not-written", errorFields(asBootstrapError(cause)));
    }).finally(() => this.#waiting--);
  }
}
