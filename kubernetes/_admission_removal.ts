/**
 * The end of an admission, and the removal of its records.
 *
 * @module
 */
import { isNodeName } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import { AddressClaims } from "./_address_claims.ts";
import type { AdmissionRecord } from "./_admission_record.ts";
import { keepsChanging, malformedAdmission } from "./_admission_refusals.ts";
import { exactly } from "./_api_objects.ts";
import type { ConfigMaps } from "./_config_maps.ts";
import type { NameClaims } from "./_name_claims.ts";
import { unlessChanged } from "./_unless.ts";
import { isIdentity, type NodeAdmissions } from "./node_admissions.ts";

/** An admission that an operator has ended. */
export interface EndedAdmission {
  readonly identity: string;
  readonly nodeName: string;
  readonly uid: string;
  /** The highest epoch of its client certificates, if that is on record. */
  readonly epoch?: number;
  /** When its last client certificate ends, milliseconds since 1970; absent if it never had one. */
  readonly untilMs?: number;
}

/** How a node's records are removed. */
export interface RecordsRemoval {
  /** The identity that has the name, or had it before a removal that was killed. Default: the one that has it now. */
  readonly identity?: string;
  /** The operator's time, milliseconds since 1970. */
  readonly nowMs: number;
  /** Whether the machine may be admitted again. */
  readonly mayReturn: boolean;
}

/** How often an admission or its end starts again because another client changed a record in between. */
export const ATTEMPTS = 8;

/** Ends admissions and removes their records, for operators. */
export class AdmissionRemoval {
  readonly #admissions: NodeAdmissions;
  readonly #names: NameClaims;
  readonly #configMaps: ConfigMaps;

  constructor(admissions: NodeAdmissions, names: NameClaims, configMaps: ConfigMaps) {
    this.#admissions = admissions;
    this.#names = names;
    this.#configMaps = configMaps;
  }

  /** See `AdmissionRecords.end()`. */
  async end(name: string, identity: string, nowMs: number): Promise<EndedAdmission | undefined> {
    if (!isNodeName(name)) {
      throw malformedAdmission("nodeName", "is not an RFC 1123 subdomain of at most 63 characters");
    }
    if (!isIdentity(identity)) return undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#admissions.find(identity);
      if (found === undefined || found.record.nodeName !== name) return undefined;
      const marked = found.removedMs !== undefined
        ? found
        : await unlessChanged(() => this.#admissions.update(found, found.record, nowMs));
      if (marked === undefined) continue;
      const { uid, status: { epoch, untilMs } } = marked;
      return { identity, nodeName: name, uid, ...present("epoch", epoch), ...present("untilMs", untilMs) };
    }
    throw keepsChanging({ node: name }, "Power the machine off before you remove it");
  }

  /** See `AdmissionRecords.remove()`. */
  async remove(name: string, options: RecordsRemoval): Promise<AdmissionRecord | undefined> {
    if (!isNodeName(name)) {
      throw malformedAdmission("nodeName", "is not an RFC 1123 subdomain of at most 63 characters");
    }
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const removal = await unlessChanged(() => this.#tryToRemove(name, options));
      if (removal !== undefined) return removal.record;
    }
    throw keepsChanging({ node: name }, "Power the machine off before you remove it");
  }

  async #tryToRemove(
    name: string,
    { identity: given, nowMs, mayReturn }: RecordsRemoval,
  ): Promise<{ readonly record: AdmissionRecord | undefined }> {
    const claim = await this.#names.find(name);
    const identity = given ?? claim?.identity ?? "";
    const ended = await this.end(name, identity, nowMs);
    const records = await this.#admissions.listNamed(name);
    const own = records.find(({ uid }) => uid === ended?.uid);
    // An admission that was killed before it claimed its name left its record behind.
    const unfinished = records.filter(({ removedMs, status }) =>
      removedMs === undefined && status.untilMs === undefined
    );
    // Address claims are found by their identity, so they are removed first.
    const identities = new Set([identity, ...unfinished.map(({ record }) => record.identity)]);
    for (const found of AddressClaims.among(await this.#configMaps.list(), identities)) {
      await this.#configMaps.remove(found.name, exactly(found));
    }
    if (claim?.identity === identity) await this.#names.remove(claim);
    for (const stored of [...unfinished, ...(own !== undefined && mayReturn ? [own] : [])]) {
      await this.#admissions.forgetEvidence(stored.name);
      await this.#admissions.remove(stored);
    }
    return { record: own?.record ?? unfinished[0]?.record };
  }
}
