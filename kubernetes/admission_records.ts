/**
 * Admission records: which identity has which name, role and addresses in the cluster. They live in the cluster itself, as
 * ConfigMaps.
 *
 * There are two for each node, one under its identity and one under its name; a node is admitted when both are there and
 * say the same. Identity, name and role never change. Only an operator removes records. Each address has a third, which says
 * whose it is: no two nodes have the same.
 *
 * @module
 */
import * as v from "valibot";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { AddressClaims } from "./_address_claims.ts";
import { type ConfigMapApi, ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { type AdmissionRecord, readRecord, writeRecord } from "./_admission_record.ts";
import { checkIdentity, checkResetCount, keepsChanging, nameTaken, nodeWithoutRecord } from "./_admission_refusals.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

export type { AdmissionRecord } from "./_admission_record.ts";
export type { ConfigMapApi } from "./_config_maps.ts";

/** How an admission ended. */
export interface Admission {
  /** Whether this identity had been admitted under this name before. */
  readonly before?: AdmissionRecord;
}

const IDENTITIES = /^[0-9a-f]{64}$/;

/** How often an admission starts anew because somebody else changed a record in between. */
const ATTEMPTS = 8;

const identityName = (identity: string) => `identity-${identity}`;
const nodeName = (name: string) => `node-${name}`;

/** Looks at a name that has no record yet; throws if it must not get one. */
type NoRecordCheck = (asked: AdmissionRecord) => Promise<void>;

/** The admission records of a cluster. */
export class AdmissionRecords {
  readonly #api: ConfigMapApi;
  readonly #configMaps: ConfigMaps;
  readonly #claims: AddressClaims;

  /** The caller needs the rights that `deploy/rbac.yaml` gives the join service. */
  constructor(api: ConfigMapApi) {
    this.#api = api;
    this.#configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
    this.#claims = new AddressClaims(this.#configMaps, (identity) => this.find(identity));
  }

  /**
   * The record of an identity that was completely admitted, if there is one.
   *
   * @param identity 64 characters of lower-case hexadecimal.
   */
  async find(identity: string): Promise<AdmissionRecord | undefined> {
    if (!IDENTITIES.test(identity)) return undefined;
    const own = await this.#read(identityName(identity));
    if (own === undefined) return undefined;
    const named = await this.#read(nodeName(own.record.nodeName));
    return named?.record.identity === identity ? own.record : undefined;
  }

  /**
   * The record of the node that was completely admitted under a name, if there is one, with those of its addresses that are
   * claimed by it.
   *
   * @param name The Node's name.
   */
  async byName(name: string): Promise<AdmissionRecord | undefined> {
    if (!isLabel(name)) return undefined;
    const named = await this.#read(nodeName(name));
    if (named === undefined) return undefined;
    const own = await this.#read(identityName(named.record.identity));
    if (own?.record.nodeName !== name) return undefined;
    return { ...own.record, addresses: await this.#claims.ownOf(own.record) };
  }

  /** The record of the node that has an address, if there is one. */
  byAddress(address: string): Promise<AdmissionRecord | undefined> {
    return this.#claims.holder(address);
  }

  /**
   * Admits an identity under a name, after its evidence was verified completely. The same identity may ask again at any
   * time and gets the same, with its key, addresses and evidence digest replaced.
   *
   * @returns When all records are there and were read back.
   * @throws {BootstrapError}
   *   - `conflict/identity`: the identity has another name or role;
   *   - `conflict/node-name`: another identity has the name;
   *   - `conflict/node-address`: another identity has one of the addresses;
   *   - `conflict/node-without-record`: the cluster has a Node of that name that was never admitted;
   *   - `refused/reset-count`: the TPM's reset counter went back;
   *   - `unavailable/admission-changed`: the same identity asks several times at once;
   *   - `malformed/admission-record`, naming the field; and what {@linkcode KubernetesApi} throws.
   */
  admit(record: AdmissionRecord): Promise<Admission> {
    return this.#admit(record, (asked) => this.#refuseUnknownNode(asked));
  }

  /**
   * Records the node that has initialised the cluster, whose Node is there before its record. Throws as {@linkcode admit}, but
   * not `conflict/node-without-record`.
   */
  admitFounder(record: AdmissionRecord): Promise<Admission> {
    return this.#admit(record, () => Promise.resolve());
  }

  async #admit(record: AdmissionRecord, checkNoRecord: NoRecordCheck): Promise<Admission> {
    if (!isLabel(record.nodeName)) throw malformed("nodeName", "is no RFC 1123 label");
    if (!IDENTITIES.test(record.identity)) throw malformed("identity", "is not 64 characters of hexadecimal");
    if (!record.addresses.every((address) => addressBytes(address) !== undefined)) {
      throw malformed("addresses", "are not all IP addresses");
    }
    const { identity, nodeName: node } = record;
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const admission = await this.#tryToAdmit(record, checkNoRecord);
        if (admission !== undefined) return admission;
      }
    } catch (error) {
      // What is left counts for nothing, so a failure here may be left alone.
      if (!asBootstrapError(error).retriable) await this.#claims.release(identity, record.addresses).catch(() => {});
      throw error;
    }
    throw keepsChanging({ identity, node }, "Ask again; only one machine may use an identity");
  }

  /**
   * Removes what is recorded under a name, for an operator: the caller must be allowed to list and delete ConfigMaps. What was
   * killed in between is finished by calling it again: the record of the name goes last.
   *
   * @param name The Node's name.
   * @returns The record that the name had, if there was one.
   * @throws {BootstrapError} `unavailable/admission-changed`: the node is being admitted all the while;
   *   `malformed/admission-record`, naming the ConfigMap; and what {@linkcode KubernetesApi} throws.
   */
  async remove(name: string): Promise<AdmissionRecord | undefined> {
    if (!isLabel(name)) throw malformed("nodeName", "is no RFC 1123 label");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const removal = await unlessChanged(() => this.#tryToRemove(name));
      if (removal !== undefined) return removal.record;
    }
    throw keepsChanging({ node: name }, "Power the machine off before you remove it");
  }

  async #tryToRemove(name: string): Promise<{ readonly record: AdmissionRecord | undefined }> {
    const named = await this.#configMaps.find(nodeName(name));
    // By a list, as one identity may have left a record of the name without ever getting it.
    const all = await this.#configMaps.list();
    const own = all.filter((found) => found.name.startsWith(identityName("")) && found.data["nodeName"] === name);
    const first = named ?? own[0];
    const records = named === undefined ? own : [...own, named];
    // Claims are known by their identity, so they go first.
    const claims = AddressClaims.among(all, new Set(records.map(({ data }) => data["identity"])));
    for (const found of [...claims, ...records]) await this.#configMaps.remove(found.name, found);
    return { record: first && readRecord(first.data, first.name) };
  }

  /** One attempt; `undefined` if somebody else changed a record in between. */
  async #tryToAdmit(record: AdmissionRecord, checkNoRecord: NoRecordCheck): Promise<Admission | undefined> {
    const before = await this.#read(nodeName(record.nodeName));
    if (before !== undefined) this.#checkName(before.record, record);
    else await checkNoRecord(record);
    if (!await this.#claims.claim(record)) return undefined;

    const own = await this.#createOrRead(identityName(record.identity), record);
    if (own === undefined) return undefined;
    if (await this.#isOrphan(own.record, record)) {
      checkResetCount(own.record, record);
      await unlessChanged(() => this.#configMaps.update(own.stored, writeRecord(record)));
      return undefined;
    }
    checkIdentity(own.record, record);
    const named = await this.#createOrRead(nodeName(record.nodeName), record);
    if (named === undefined) return undefined;
    if (named.record.identity !== record.identity) {
      // Exactly what was created here: an admission of the same identity that has gone on with it has changed it.
      if (own.created) await unlessChanged(() => this.#configMaps.remove(own.stored.name, own.stored));
      this.#checkName(named.record, record);
    }
    for (const current of [own, named]) {
      checkResetCount(current.record, record);
      if (current.created) continue;
      const updated = await unlessChanged(() => this.#configMaps.update(current.stored, writeRecord(record)));
      if (updated === undefined) return undefined;
    }
    if (!await this.#isWhole(record)) return undefined;
    const isKept = own.record.addresses.every((address) => record.addresses.includes(address));
    if (!isKept) await this.#claims.release(record.identity, own.record.addresses);
    return before === undefined ? {} : { before: before.record };
  }

  /** Reads back what was written. */
  async #isWhole(record: AdmissionRecord): Promise<boolean> {
    const expected = JSON.stringify(writeRecord(record));
    const names = [identityName(record.identity), nodeName(record.nodeName)];
    const [areHeld, ...found] = await Promise.all([
      this.#claims.areHeld(record),
      ...names.map((name) => this.#read(name)),
    ]);
    return areHeld && found.every((one) => one !== undefined && JSON.stringify(writeRecord(one.record)) === expected);
  }

  async #read(
    name: string,
  ): Promise<{ readonly stored: StoredConfigMap; readonly record: AdmissionRecord } | undefined> {
    const stored = await this.#configMaps.find(name);
    return stored && { stored, record: readRecord(stored.data, name) };
  }

  async #createOrRead(name: string, record: AdmissionRecord): Promise<
    { readonly stored: StoredConfigMap; readonly record: AdmissionRecord; readonly created: boolean } | undefined
  > {
    const created = await unless("conflict/already-exists", () => this.#configMaps.create(name, writeRecord(record)));
    if (created !== undefined) return { stored: created, record, created: true };
    const found = await this.#read(name);
    return found && { ...found, created: false };
  }

  /**
   * Whether the record of an identity is left over from an admission that was killed before its second record, and whose name
   * another identity has got since: then this identity was never admitted, and is free.
   */
  async #isOrphan(own: AdmissionRecord, asked: AdmissionRecord): Promise<boolean> {
    if (own.nodeName === asked.nodeName) return false;
    const named = await this.#read(nodeName(own.nodeName));
    return named !== undefined && named.record.identity !== asked.identity;
  }

  #checkName(found: AdmissionRecord, asked: AdmissionRecord): void {
    if (found.identity !== asked.identity) throw nameTaken(found, asked);
    checkIdentity(found, asked);
  }

  async #refuseUnknownNode(asked: AdmissionRecord): Promise<void> {
    const schema = v.object({ metadata: v.object({ name: v.string() }) });
    if (await this.#api.find(`/api/v1/nodes/${asked.nodeName}`, schema) !== undefined) throw nodeWithoutRecord(asked);
  }
}

function malformed(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/admission-record", `Cannot admit as "${field}" ${problem}`, {
    details: { field },
  });
}
