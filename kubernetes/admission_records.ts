/**
 * Admission records: which identity has which name, role and addresses in the cluster, on what evidence, and until when
 * its certificates hold. They are stored in the cluster itself.
 *
 * Each identity has one record, a NodeAdmission whose name is the identity. Each name and each address has a claim, a
 * ConfigMap whose name is the claimed thing: the API server lets only one client create it. A node is admitted when its
 * record exists and the claim of its name has its identity. Identity, name and role never change. A record's UID is the
 * admission's own name, which the node's certificates carry.
 *
 * Only an operator removes nodes. The record of a removed node stays, so that the machine is not admitted again, until
 * an operator deletes it.
 *
 * @module
 */
import * as v from "valibot";
import { asBootstrapError } from "../platform/errors.ts";
import { isNodeName } from "../platform/label.ts";
import { type Clock, systemClock } from "../platform/clock.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { present } from "../platform/present.ts";
import { AddressClaims } from "./_address_claims.ts";
import { AdmissionRemoval, ATTEMPTS, type EndedAdmission, type RecordsRemoval } from "./_admission_removal.ts";
import {
  type AdmissionRecord,
  type NodeCertificateRecord,
  type StoredAdmission,
  withCertificates,
} from "./_admission_record.ts";
import {
  checkIdentity,
  checkResetCount,
  isRemoved,
  keepsChanging,
  malformedAdmission,
  nameOfAdopted,
  nameTaken,
  nodeWithoutRecord,
  notAdmitted,
} from "./_admission_refusals.ts";
import { type ObjectApi } from "./_api_objects.ts";
import { ConfigMaps } from "./_config_maps.ts";
import { type NameClaim, NameClaims } from "./_name_claims.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";
import { isIdentity, NodeAdmissions } from "./node_admissions.ts";

export type { AdmissionRecord, NodeCertificateRecord, StoredAdmission } from "./_admission_record.ts";
export type { EndedAdmission, RecordsRemoval } from "./_admission_removal.ts";
export type { ObjectApi } from "./_api_objects.ts";
export type { ConfigMapApi } from "./_config_maps.ts";

/** The result of an admission. */
export interface Admission {
  /** The record of an earlier admission of this identity under this name; absent for the first admission. */
  readonly before?: AdmissionRecord;
  /** The UID of the identity's record: the admission's own name. Certificates carry it. */
  readonly uid: string;
  /** The record as this admission wrote it. */
  readonly written?: StoredAdmission;
}

/** A record to be admitted, with what is kept apart from it. */
export interface AskedAdmission extends AdmissionRecord {
  /** The evidence, kept in an object of its own. */
  readonly evidence?: Uint8Array;
}

/** What a node's certificates are made from, and what each admission of it replaces. */
export type AskedClaims = Pick<AdmissionRecord, "nodeKey" | "addresses">;

/**
 * How an admission is made: only where it stands, as that of a cluster's first node, or also anew. `checkNoRecord` checks a name that has no record yet,
 * and throws if it must not get one.
 */
type HowToAdmit = "standing" | "founder" | { readonly checkNoRecord: (asked: AdmissionRecord) => Promise<void> };

/** The admission records of a cluster. */
export class AdmissionRecords {
  readonly #api: ObjectApi;
  readonly #admissions: NodeAdmissions;
  readonly #configMaps: ConfigMaps;
  readonly #names: NameClaims;
  readonly #addresses: AddressClaims;
  readonly #removal: AdmissionRemoval;

  /**
   * Sends nothing yet. The caller needs the permissions that `deploy/rbac.yaml` gives the join service.
   *
   * @param clock Tells whether an address of a node's earlier certificate is still held. Default: the system's.
   */
  constructor(api: ObjectApi, clock: Pick<Clock, "now"> = systemClock) {
    this.#api = api;
    this.#admissions = new NodeAdmissions(api);
    this.#configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
    this.#names = new NameClaims(this.#configMaps);
    this.#addresses = new AddressClaims(this.#configMaps, (identity) => this.find(identity), clock);
    this.#removal = new AdmissionRemoval(this.#admissions, this.#names, this.#configMaps);
  }

  /**
   * Returns the record of a completely admitted identity, or `undefined`.
   *
   * @param identity 64 lower-case hexadecimal digits.
   */
  async find(identity: string): Promise<AdmissionRecord | undefined> {
    if (!isIdentity(identity)) return undefined;
    const own = await this.#admissions.find(identity);
    if (own === undefined || own.removedMs !== undefined) return undefined;
    const name = await this.#names.find(own.record.nodeName);
    return name?.identity === identity ? own.record : undefined;
  }

  /**
   * Whether an admission that was complete still is: one request, as a removal marks the record before it deletes the
   * name's claim.
   *
   * @param identity The admitted identity, 64 lower-case hexadecimal digits.
   * @param uid The admission's UID, from {@linkcode admit}.
   */
  async stands(identity: string, uid: string): Promise<boolean> {
    const own = await this.#admissions.find(identity);
    return own?.uid === uid && own.removedMs === undefined;
  }

  /**
   * Returns the record of the node that was completely admitted under a name, or `undefined`. Its addresses are only
   * those that the node claims.
   *
   * @param name The Node's name.
   */
  async byName(name: string): Promise<AdmissionRecord | undefined> {
    const own = await this.#named(name);
    return own && { ...own.record, addresses: await this.#addresses.ownOf(own.record) };
  }

  /** Returns the identity that is admitted under a name, and the admission's UID, or `undefined`. */
  async admittedAs(name: string): Promise<{ readonly identity: string; readonly uid: string } | undefined> {
    const own = await this.#named(name);
    return own && { identity: own.record.identity, uid: own.uid };
  }

  async #named(name: string): Promise<StoredAdmission | undefined> {
    if (!isNodeName(name)) return undefined;
    const claim = await this.#names.find(name);
    const own = claim && await this.#admissions.find(claim.identity);
    return own === undefined || own.removedMs !== undefined || own.record.nodeName !== name ? undefined : own;
  }

  /** Returns the record of the node that has an address, or `undefined`. */
  byAddress(address: string): Promise<AdmissionRecord | undefined> {
    return this.#addresses.holder(address);
  }

  /**
   * Admits an identity under a name, after its evidence was completely verified. The same identity may ask again at any
   * time. It gets the same name and role; its key, addresses and what its evidence showed are replaced.
   *
   * @returns When all records exist.
   * @throws {BootstrapError}
   *   - `conflict/identity`: the identity has another name or role;
   *   - `conflict/node-name`: another identity has the name;
   *   - `conflict/node-address`: another identity has one of the addresses;
   *   - `unavailable/node-addresses`: the node leaves its address, and holds as many earlier ones as it may;
   *   - `conflict/node-without-record`: the cluster has a Node of that name that was never admitted;
   *   - `refused/removed`: an operator has removed the machine;
   *   - `refused/reset-count`: the TPM's reset counter decreased;
   *   - `unavailable/admission-changed`: the same identity asks several times at once;
   *   - `malformed/admission-record`, with the field; and the errors of {@linkcode KubernetesApi}.
   */
  admit(record: AskedAdmission): Promise<Admission> {
    return this.#admit(record, { checkNoRecord: (asked) => this.#refuseUnknownNode(asked) });
  }

  /**
   * Replaces what a standing admission says: its key, addresses and what its evidence showed. It never makes a record:
   * a node that an operator removes meanwhile stays removed. Throws like {@linkcode admit}, and `refused/not-admitted`
   * if the identity is not admitted under this name and role.
   */
  renew(record: AskedAdmission): Promise<Admission> {
    return this.#admit(record, "standing");
  }

  /**
   * Records the node that initialised the cluster. Its Node exists before its record. Throws like {@linkcode admit},
   * except `conflict/node-without-record`.
   */
  admitFounder(record: AskedAdmission): Promise<Admission> {
    return this.#admit(record, "founder");
  }

  /**
   * Records a node that was in the cluster before it had signers. Its identity is a placeholder, and `adoptedMs` is set.
   * Throws like {@linkcode admit}, except `conflict/node-without-record`.
   */
  adopt(record: AskedAdmission): Promise<Admission> {
    return this.#admit(record, { checkNoRecord: () => Promise.resolve() });
  }

  /**
   * Says which machine an adopted node is: only that one may take its name over.
   *
   * @param name The Node's name.
   * @param successor The machine's identity, 64 lower-case hexadecimal digits.
   * @returns The node's role; `undefined` if no adopted node that is not attested has that name.
   * @throws {BootstrapError} `unavailable/admission-changed`; and the errors of {@linkcode KubernetesApi}.
   */
  async nameSuccessor(name: string, successor: string): Promise<AdmissionRecord["role"] | undefined> {
    if (!isIdentity(successor)) throw malformedAdmission("identity", "is not 64 characters of hexadecimal");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const own = await this.#named(name);
      if (own?.record.adoptedMs === undefined) return undefined;
      if (own.record.successor === successor) return own.record.role;
      const record = { ...own.record, successor };
      if (await unlessChanged(() => this.#admissions.update(own, record)) !== undefined) return record.role;
    }
    throw keepsChanging({ node: name }, "Run the command again");
  }

  /**
   * Records certificates of an admission before they are signed: the newest of each usage, and the latest end of any.
   *
   * @param identity The admitted identity, 64 lower-case hexadecimal digits.
   * @param uid The admission's UID, from {@linkcode admit}.
   * @param asked What the admission was asked with: another one of the same identity may have replaced it since, and
   *   released the addresses. Default: any.
   * @param written The record as {@linkcode admit} wrote it, which nearly always still stands. Default: it is read.
   * @throws {BootstrapError} `refused/removed`; `unavailable/admission-changed`: the admission is another one now, or
   *   none; and the errors of {@linkcode KubernetesApi}.
   */
  async recordCertificates(
    identity: string,
    uid: string,
    certificates: readonly NodeCertificateRecord[],
    asked?: AskedClaims,
    written?: StoredAdmission,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = (attempt === 0 ? written : undefined) ?? await this.#admissions.find(identity);
      if (found?.uid !== uid) break;
      if (found.removedMs !== undefined) throw isRemoved(found.record);
      if (asked !== undefined && !says(found.record, asked)) break;
      const status = withCertificates(found.status, certificates);
      if (await unlessChanged(() => this.#admissions.updateStatus(found, status)) !== undefined) return;
    }
    throw keepsChanging({ identity, node: identity }, "Ask again; only one machine may use an identity");
  }

  async #admit({ evidence, ...record }: AskedAdmission, how: HowToAdmit): Promise<Admission> {
    if (!isNodeName(record.nodeName)) {
      throw malformedAdmission("nodeName", "is not an RFC 1123 subdomain of at most 63 characters");
    }
    if (!isIdentity(record.identity)) throw malformedAdmission("identity", "is not 64 characters of hexadecimal");
    if (!record.addresses.every((address) => addressBytes(address) !== undefined)) {
      throw malformedAdmission("addresses", "are not all IP addresses");
    }
    const { identity, nodeName: node } = record;
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const admission = await this.#tryToAdmit(record, how);
        if (admission === undefined) continue;
        if (evidence !== undefined) await this.#admissions.keepEvidence(identity, evidence);
        return admission;
      }
    } catch (error) {
      // Claims that are left behind have no effect, so a failure here is ignored.
      if (!asBootstrapError(error).retriable) {
        await this.#addresses.release(identity, record.addresses).catch(() => {});
      }
      throw error;
    }
    throw keepsChanging({ identity, node }, "Ask again; only one machine may use an identity");
  }

  /**
   * Ends a node's admission, for an operator: from now on, no certificate is recorded for it, and so none is signed.
   * Everything else of the node stays, for {@linkcode remove}. It may be called again.
   *
   * @param name The Node's name.
   * @param identity The identity that has the name, or had it before a removal that was killed.
   * @param nowMs The operator's time.
   * @returns The admission; `undefined` if the identity has none under the name.
   * @throws {BootstrapError} `unavailable/admission-changed` if admissions of the node keep changing its record;
   *   `malformed/admission-record`; and the errors of {@linkcode KubernetesApi}.
   */
  end(name: string, identity: string, nowMs: number): Promise<EndedAdmission | undefined> {
    return this.#removal.end(name, identity, nowMs);
  }

  /**
   * Removes a node's records, for an operator: the caller must be allowed to list and delete them. Calling it again
   * completes a removal that was killed.
   *
   * The identity's record stays, as removed, so that the machine is not admitted again; if it may return, it is deleted.
   * Records of admissions that never ended are deleted.
   *
   * @param name The Node's name.
   * @returns The record that the name had, or `undefined`.
   * @throws {BootstrapError} Like {@linkcode end}.
   */
  remove(name: string, options: RecordsRemoval): Promise<AdmissionRecord | undefined> {
    return this.#removal.remove(name, options);
  }

  /** Makes one attempt. Returns `undefined` if another client changed a record in between. */
  async #tryToAdmit(record: AdmissionRecord, how: HowToAdmit): Promise<Admission | undefined> {
    const { identity, nodeName } = record;
    const claimed = await this.#names.find(nodeName);
    const standing = how === "standing" ? await this.#standing(record, claimed?.identity) : undefined;
    if (claimed === undefined && typeof how !== "string") await how.checkNoRecord(record);
    else if (claimed !== undefined && claimed.identity !== identity) {
      await this.#succeed(claimed, record);
      return undefined;
    }
    // A node that asks again nearly always has a record.
    const there = standing ?? (claimed === undefined ? undefined : await this.#admissions.find(identity));
    if (there !== undefined && there.removedMs === undefined && left(there.record, record).length > 0) {
      await this.#addresses.checkMayMove(record);
    }
    if (!await this.#addresses.claim(record, there?.record.addresses)) return undefined;

    // What was found is updated exactly, or this attempt fails.
    const own = there === undefined ? await this.#createOrFind(record, how) : { stored: there, created: false };
    if (own === undefined) return undefined;
    const { stored, created } = own;
    if (stored.removedMs !== undefined) throw isRemoved(stored.record);
    if (await this.#isOrphan(stored.record, record)) {
      checkResetCount(stored.record, record);
      await unlessChanged(() => this.#admissions.remove(stored));
      return undefined;
    }
    checkIdentity(stored.record, record);
    const claim = claimed ?? await this.#names.create(nodeName, identity) ?? await this.#names.find(nodeName);
    if (claim === undefined) return undefined;
    if (claim.identity !== identity) {
      // This removes exactly the object created above. Another admission of the same identity that continued with it
      // has changed it.
      if (created) await unlessChanged(() => this.#admissions.remove(stored));
      throw nameTaken(claim.identity, record);
    }
    checkResetCount(stored.record, record);
    const given = left(stored.record, record);
    let written = stored;
    if (!created) {
      // Until its certificates for them have ended, the node can serve at its earlier addresses.
      await this.#addresses.hold(identity, given, stored.status.servingUntilMs ?? 0);
      const updated = await unlessChanged(() => this.#admissions.update(stored, record));
      if (updated === undefined) return undefined;
      written = updated;
    }
    // A removal deletes the claim before the record: it may have passed between the claim, as found, and a new record.
    const mayLackItsName = claimed !== undefined && created;
    if (mayLackItsName && (await this.#names.find(nodeName))?.identity !== identity) return undefined;
    // Until the record lists them, others may take over the claims of the addresses.
    const wereListed = claimed !== undefined && !created && newIn(stored.record, record).length === 0;
    if (!wereListed && !await this.#addresses.areHeld(record)) return undefined;
    await this.#addresses.release(identity, given);
    return { ...present("before", claimed && !created ? stored.record : undefined), uid: stored.uid, written };
  }

  /**
   * Lets the machine of an adopted node take its name over, if its operator has named it: the claim changes, and then
   * nothing belongs to the placeholder any more.
   *
   * @throws {BootstrapError} `conflict/node-name` for every other machine, and for every other node.
   */
  async #succeed(claimed: NameClaim, asked: AdmissionRecord): Promise<void> {
    const holder = await this.#admissions.find(claimed.identity);
    if (holder?.record.adoptedMs === undefined) throw nameTaken(claimed.identity, asked);
    if (holder.record.successor !== asked.identity || holder.record.role !== asked.role) {
      throw nameOfAdopted(holder.record, asked);
    }
    const isHandedOver = await unlessChanged(async () => {
      await this.#names.handOver(claimed, asked.identity);
      return true;
    });
    if (isHandedOver) await unlessChanged(() => this.#admissions.remove(holder));
  }

  /** Returns the record of an identity that is admitted as it asks. */
  async #standing(asked: AdmissionRecord, holder: string | undefined): Promise<StoredAdmission> {
    const found = await this.#admissions.find(asked.identity);
    if (found?.removedMs !== undefined) throw isRemoved(found.record);
    if (found === undefined || holder !== asked.identity) {
      throw notAdmitted(asked, found?.record.nodeName === asked.nodeName ? undefined : found?.record);
    }
    return found;
  }

  /** Creates the record, or finds the one that there is. */
  async #createOrFind(
    record: AdmissionRecord,
    how: HowToAdmit,
  ): Promise<{ readonly stored: StoredAdmission; readonly created: boolean } | undefined> {
    if (how === "founder") {
      const stored = await this.#admissions.find(record.identity);
      if (stored !== undefined) return { stored, created: false };
      const first = await this.#admissions.createFirst(record);
      return first && { stored: first, created: true };
    }
    const created = await unless("conflict/already-exists", () => this.#admissions.create(record));
    if (created !== undefined) return { stored: created, created: true };
    const found = await this.#admissions.find(record.identity);
    return found && { stored: found, created: false };
  }

  /**
   * Whether an identity's record is left over from an admission that was killed before it claimed its name, and another
   * identity has got the name since. Then this identity was never admitted, and is free.
   */
  async #isOrphan(own: AdmissionRecord, asked: AdmissionRecord): Promise<boolean> {
    if (own.nodeName === asked.nodeName) return false;
    const claim = await this.#names.find(own.nodeName);
    return claim !== undefined && claim.identity !== asked.identity;
  }

  async #refuseUnknownNode(asked: AdmissionRecord): Promise<void> {
    const schema = v.object({ metadata: v.object({ name: v.string() }) });
    if (await this.#api.find(`/api/v1/nodes/${asked.nodeName}`, schema) !== undefined) throw nodeWithoutRecord(asked);
  }
}

/** The addresses of a record that are not asked for again. */
function left({ addresses }: AdmissionRecord, asked: AdmissionRecord): string[] {
  return addresses.filter((address) => !asked.addresses.includes(address));
}

/** The addresses that a record does not have yet. */
function newIn({ addresses }: AdmissionRecord, asked: AdmissionRecord): string[] {
  return asked.addresses.filter((address) => !addresses.includes(address));
}

function says({ nodeKey, addresses }: AskedClaims, asked: AskedClaims): boolean {
  return nodeKey === asked.nodeKey && JSON.stringify(addresses) === JSON.stringify(asked.addresses);
}
