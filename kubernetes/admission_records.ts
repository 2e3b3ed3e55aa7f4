/**
 * Admission records: which identity has which name, role and addresses in the cluster. They are stored in the cluster
 * itself, as ConfigMaps.
 *
 * Each node has two records, one under its identity and one under its name. A node is admitted when both exist and are
 * equal. Identity, name and role never change. Only an operator removes records. A third record for each address states
 * which node has it: no two nodes have the same address.
 *
 * @module
 */
import * as v from "valibot";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";
import { base64 } from "../platform/bytes.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { AddressClaims } from "./_address_claims.ts";
import { type ConfigMapApi, ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { type AdmissionRecord, readRecord, writeRecord } from "./_admission_record.ts";
import { checkIdentity, checkResetCount, keepsChanging, nameTaken, nodeWithoutRecord } from "./_admission_refusals.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

export type { AdmissionRecord } from "./_admission_record.ts";
export type { ConfigMapApi } from "./_config_maps.ts";

/** The result of an admission. */
export interface Admission {
  /** The record of an earlier admission of this identity under this name; absent for the first admission. */
  readonly before?: AdmissionRecord;
  /** The UID of the identity's record: the admission's own name. Certificates carry it. */
  readonly uid: string;
}

/** A record to be admitted, with what is kept apart from it. */
export interface AskedAdmission extends AdmissionRecord {
  /** The evidence, kept in an object of its own. */
  readonly evidence?: Uint8Array;
}

/** A certificate that is about to be signed for a node. */
export interface NodeCertificateRecord {
  readonly usage: "client" | "serving";
  /** Lower-case hexadecimal. */
  readonly serial: string;
  /** The SHA-256 of the TBSCertificate, lower-case hexadecimal. */
  readonly digest: string;
  readonly notAfterMs: number;
}

const IDENTITIES = /^[0-9a-f]{64}$/;

/** How often an admission starts again because another client changed a record in between. */
const ATTEMPTS = 8;

const identityName = (identity: string) => `identity-${identity}`;
const nodeName = (name: string) => `node-${name}`;

/** Checks a name that has no record yet. Throws if it must not get one. */
type NoRecordCheck = (asked: AdmissionRecord) => Promise<void>;

/** The admission records of a cluster. */
export class AdmissionRecords {
  readonly #api: ConfigMapApi;
  readonly #configMaps: ConfigMaps;
  readonly #claims: AddressClaims;

  /** Sends nothing yet. The caller needs the permissions that `deploy/rbac.yaml` gives the join service. */
  constructor(api: ConfigMapApi) {
    this.#api = api;
    this.#configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
    this.#claims = new AddressClaims(this.#configMaps, (identity) => this.find(identity));
  }

  /**
   * Returns the record of a completely admitted identity, or `undefined`.
   *
   * @param identity 64 lower-case hexadecimal digits.
   */
  async find(identity: string): Promise<AdmissionRecord | undefined> {
    if (!IDENTITIES.test(identity)) return undefined;
    const own = await this.#read(identityName(identity));
    if (own === undefined) return undefined;
    const named = await this.#read(nodeName(own.record.nodeName));
    return named?.record.identity === identity ? own.record : undefined;
  }

  /**
   * Returns the record of the node that was completely admitted under a name, or `undefined`. Its addresses are only
   * those that the node claims.
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

  /** Returns the record of the node that has an address, or `undefined`. */
  byAddress(address: string): Promise<AdmissionRecord | undefined> {
    return this.#claims.holder(address);
  }

  /**
   * Admits an identity under a name, after its evidence was completely verified. The same identity may ask again at any
   * time. It gets the same name and role; its key, addresses and evidence digest are replaced.
   *
   * @returns When all records exist and were read back.
   * @throws {BootstrapError}
   *   - `conflict/identity`: the identity has another name or role;
   *   - `conflict/node-name`: another identity has the name;
   *   - `conflict/node-address`: another identity has one of the addresses;
   *   - `conflict/node-without-record`: the cluster has a Node of that name that was never admitted;
   *   - `refused/reset-count`: the TPM's reset counter decreased;
   *   - `unavailable/admission-changed`: the same identity asks several times at once;
   *   - `malformed/admission-record`, with the field; and the errors of {@linkcode KubernetesApi}.
   */
  admit(record: AskedAdmission): Promise<Admission> {
    return this.#admit(record, (asked) => this.#refuseUnknownNode(asked));
  }

  /**
   * Records the node that initialised the cluster. Its Node exists before its record. Throws like {@linkcode admit},
   * except `conflict/node-without-record`.
   */
  admitFounder(record: AdmissionRecord): Promise<Admission> {
    return this.#admit(record, () => Promise.resolve());
  }

  /**
   * Records certificates of an admission before they are signed: the newest of each usage, and the latest end of any
   * client certificate.
   *
   * @param identity The admitted identity, 64 lower-case hexadecimal digits.
   * @param uid The admission's UID, from {@linkcode admit}.
   * @throws {BootstrapError} `unavailable/admission-changed`: the admission is another one now, or none; and the errors
   *   of {@linkcode KubernetesApi}.
   */
  async recordCertificates(
    identity: string,
    uid: string,
    certificates: readonly NodeCertificateRecord[],
  ): Promise<void> {
    const name = identityName(identity);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const found = await this.#read(name);
      if (found?.stored.uid !== uid) break;
      const data = withCertificates(found.stored.data, certificates);
      if (await unlessChanged(() => this.#configMaps.update(found.stored, data)) !== undefined) return;
    }
    throw keepsChanging({ identity, node: name }, "Ask again; only one machine may use an identity");
  }

  async #admit({ evidence, ...record }: AskedAdmission, checkNoRecord: NoRecordCheck): Promise<Admission> {
    if (!isLabel(record.nodeName)) throw malformed("nodeName", "is not an RFC 1123 label");
    if (!IDENTITIES.test(record.identity)) throw malformed("identity", "is not 64 characters of hexadecimal");
    if (!record.addresses.every((address) => addressBytes(address) !== undefined)) {
      throw malformed("addresses", "are not all IP addresses");
    }
    const { identity, nodeName: node } = record;
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const admission = await this.#tryToAdmit(record, checkNoRecord);
        if (admission === undefined) continue;
        if (evidence !== undefined) await this.#keepEvidence(identity, evidence);
        return admission;
      }
    } catch (error) {
      // Claims that are left behind have no effect, so a failure here is ignored.
      if (!asBootstrapError(error).retriable) await this.#claims.release(identity, record.addresses).catch(() => {});
      throw error;
    }
    throw keepsChanging({ identity, node }, "Ask again; only one machine may use an identity");
  }

  /**
   * Removes all records under a name, for an operator: the caller must be allowed to list and delete ConfigMaps.
   * Calling it again completes a removal that was killed, because the record of the name is removed last.
   *
   * @param name The Node's name.
   * @returns The record that the name had, or `undefined`.
   * @throws {BootstrapError} `unavailable/admission-changed` if admissions of the node keep changing its records;
   *   `malformed/admission-record`, with the ConfigMap; and the errors of {@linkcode KubernetesApi}.
   */
  async remove(name: string): Promise<AdmissionRecord | undefined> {
    if (!isLabel(name)) throw malformed("nodeName", "is not an RFC 1123 label");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const removal = await unlessChanged(() => this.#tryToRemove(name));
      if (removal !== undefined) return removal.record;
    }
    throw keepsChanging({ node: name }, "Power the machine off before you remove it");
  }

  async #tryToRemove(name: string): Promise<{ readonly record: AdmissionRecord | undefined }> {
    const named = await this.#configMaps.find(nodeName(name));
    // All records are listed, because an identity may have left a record of the name without ever getting the name.
    const all = await this.#configMaps.list();
    const own = all.filter((found) => found.name.startsWith(identityName("")) && found.data["nodeName"] === name);
    const first = named ?? own[0];
    const records = named === undefined ? own : [...own, named];
    // Claims are found by their identity, so they are removed first.
    const claims = AddressClaims.among(all, new Set(records.map(({ data }) => data["identity"])));
    for (const found of [...claims, ...records]) await this.#configMaps.remove(found.name, found);
    return { record: first && readRecord(first.data, first.name) };
  }

  /** Makes one attempt. Returns `undefined` if another client changed a record in between. */
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
      // This removes exactly the object created above. Another admission of the same identity that continued with it
      // has changed it.
      if (own.created) await unlessChanged(() => this.#configMaps.remove(own.stored.name, own.stored));
      this.#checkName(named.record, record);
    }
    for (const current of [own, named]) {
      checkResetCount(current.record, record);
      if (current.created) continue;
      const data = { ...certificatesIn(current.stored.data), ...writeRecord(record) };
      const updated = await unlessChanged(() => this.#configMaps.update(current.stored, data));
      if (updated === undefined) return undefined;
    }
    if (!await this.#isWhole(record)) return undefined;
    const isKept = own.record.addresses.every((address) => record.addresses.includes(address));
    if (!isKept) await this.#claims.release(record.identity, own.record.addresses);
    const { uid } = own.stored;
    return before === undefined ? { uid } : { before: before.record, uid };
  }

  async #keepEvidence(identity: string, evidence: Uint8Array): Promise<void> {
    const name = `evidence-${identity}`;
    const data = { evidence: base64(evidence) };
    if (await unless("conflict/already-exists", () => this.#configMaps.create(name, data)) !== undefined) return;
    const found = await this.#configMaps.find(name);
    if (found !== undefined) await unlessChanged(() => this.#configMaps.update(found, data));
  }

  /** Whether the records, read back, are as written. */
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
   * Whether an identity's record is left over from an admission that was killed before its second record, and another
   * identity has got the name since. Then this identity was never admitted, and is free.
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

const CERTIFICATE_KEYS = ["client", "serving", "clientUntilMs"] as const;

function certificatesIn(data: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(CERTIFICATE_KEYS.flatMap((key) => data[key] === undefined ? [] : [[key, data[key]]]));
}

function withCertificates(
  data: Readonly<Record<string, string>>,
  certificates: readonly NodeCertificateRecord[],
): Record<string, string> {
  const untilMs = certificates.filter(({ usage }) => usage === "client").map(({ notAfterMs }) => notAfterMs);
  const newest = certificates.map(({ usage, ...rest }) => [usage, JSON.stringify(rest)]);
  const clientUntilMs = Math.max(Number(data["clientUntilMs"] ?? 0), ...untilMs);
  return { ...data, ...Object.fromEntries(newest), clientUntilMs: String(clientUntilMs) };
}

function malformed(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/admission-record", `Cannot admit as "${field}" ${problem}`, {
    details: { field },
  });
}
