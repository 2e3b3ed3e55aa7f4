/**
 * Admission records: which identity has which name and role in the cluster. They live in the cluster itself, as ConfigMaps.
 *
 * There are two for each node, one under its identity and one under its name; a node is admitted when both are there and
 * say the same. Identity, name and role never change. Only an operator removes records.
 *
 * @module
 */
import * as v from "valibot";
import { BootstrapError, type ErrorCode } from "../platform/errors.ts";
import { ConfigMaps, type StoredConfigMap } from "./_config_maps.ts";
import { type AdmissionRecord, readRecord, writeRecord } from "./_admission_record.ts";
import type { KubernetesApi } from "./api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

export type { AdmissionRecord, NodeRole } from "./_admission_record.ts";

/** How an admission ended. */
export interface Admission {
  /** Whether this identity had been admitted under this name before. */
  readonly before?: AdmissionRecord;
}

const NAMES = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const IDENTITIES = /^[0-9a-f]{64}$/;

/** How often an admission starts anew because somebody else changed a record in between. */
const ATTEMPTS = 8;

const identityName = (identity: string) => `identity-${identity}`;
const nodeName = (name: string) => `node-${name}`;

/** The admission records of a cluster. */
export class AdmissionRecords {
  readonly #api: KubernetesApi;
  readonly #configMaps: ConfigMaps;

  /** The caller needs the rights that `deploy/rbac.yaml` gives the join service. */
  constructor(api: KubernetesApi) {
    this.#api = api;
    this.#configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
  }

  /**
   * The record of an identity that was completely admitted, if there is one.
   *
   * @param identity 64 characters of lower-case hexadecimal.
   */
  async find(identity: string): Promise<AdmissionRecord | undefined> {
    const own = await this.#read(identityName(identity));
    if (own === undefined) return undefined;
    const named = await this.#read(nodeName(own.record.nodeName));
    return named?.record.identity === identity ? own.record : undefined;
  }

  /**
   * Admits an identity under a name, after its evidence was verified completely. The same identity may ask again at any
   * time and gets the same, with its key, addresses and evidence digest replaced.
   *
   * @returns When both records are there and were read back.
   * @throws {BootstrapError}
   *   - `conflict/identity`: the identity has another name or role;
   *   - `conflict/node-name`: another identity has the name;
   *   - `conflict/node-without-record`: the cluster has a Node of that name that was never admitted;
   *   - `refused/reset-count`: the TPM's reset counter went back;
   *   - `unavailable/admission-changed`: the same identity asks several times at once;
   *   - `malformed/admission-record`, naming the field; and what {@linkcode KubernetesApi} throws.
   */
  async admit(record: AdmissionRecord): Promise<Admission> {
    if (!NAMES.test(record.nodeName)) throw malformed("nodeName", "is no RFC 1123 label");
    if (!IDENTITIES.test(record.identity)) throw malformed("identity", "is not 64 characters of hexadecimal");
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const admission = await this.#tryToAdmit(record);
      if (admission !== undefined) return admission;
    }
    throw new BootstrapError(
      "unavailable/admission-changed",
      `The admission record of ${record.nodeName} keeps changing`,
      {
        next: "Ask again; only one machine may use an identity",
        details: { identity: record.identity, node: record.nodeName },
      },
    );
  }

  /** One attempt; `undefined` if somebody else changed a record in between. */
  async #tryToAdmit(record: AdmissionRecord): Promise<Admission | undefined> {
    const before = await this.#read(nodeName(record.nodeName));
    if (before !== undefined) this.#checkName(before.record, record);
    else await this.#refuseUnknownNode(record);

    const own = await this.#createOrRead(identityName(record.identity), record);
    if (own === undefined) return undefined;
    checkIdentity(own.record, record);
    const named = await this.#createOrRead(nodeName(record.nodeName), record);
    if (named === undefined) return undefined;
    if (named.record.identity !== record.identity) {
      // Exactly what was created here: an admission of the same identity that has gone on with it has changed it.
      if (own.created) await this.#unlessChanged(() => this.#configMaps.remove(own.stored.name, own.stored));
      this.#checkName(named.record, record);
    }
    for (const current of [own, named]) {
      checkResetCount(current.record, record);
      if (current.created) continue;
      const updated = await this.#unlessChanged(() => this.#configMaps.update(current.stored, writeRecord(record)));
      if (updated === undefined) return undefined;
    }
    const expected = JSON.stringify(writeRecord(record));
    for (const name of [identityName(record.identity), nodeName(record.nodeName)]) {
      const found = await this.#read(name);
      if (found === undefined || JSON.stringify(writeRecord(found.record)) !== expected) return undefined;
    }
    return before === undefined ? {} : { before: before.record };
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

  async #unlessChanged<T>(change: () => Promise<T>): Promise<T | undefined> {
    return await unless("precondition/not-found", () => unless("conflict/changed", change));
  }

  #checkName(found: AdmissionRecord, asked: AdmissionRecord): void {
    if (found.identity !== asked.identity) {
      throw new BootstrapError(
        "conflict/node-name",
        `The name ${asked.nodeName} belongs to the identity ${found.identity}; ${asked.identity} cannot have it`,
        {
          next:
            `Give this machine another name; or, if ${found.identity} is gone for good, have an operator delete the Node ` +
            `and the ConfigMaps ${nodeName(found.nodeName)} and ${
              identityName(found.identity)
            } in ${BOOTSTRAPPER_NAMESPACE}`,
          details: { node: asked.nodeName, expected: found.identity, seen: asked.identity },
        },
      );
    }
    checkIdentity(found, asked);
  }

  async #refuseUnknownNode({ nodeName: name, identity }: AdmissionRecord): Promise<void> {
    const node = await this.#api.find(`/api/v1/nodes/${name}`, v.object({ metadata: v.object({ name: v.string() }) }));
    if (node === undefined) return;
    throw new BootstrapError(
      "conflict/node-without-record",
      `The cluster has a Node ${name} that was never admitted by a record`,
      {
        next: `Give this machine another name; or, if the Node ${name} is gone for good, have an operator delete it`,
        details: { node: name, seen: identity },
      },
    );
  }
}

async function unless<T>(code: ErrorCode, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BootstrapError && error.code === code) return undefined;
    throw error;
  }
}

function checkIdentity(found: AdmissionRecord, asked: AdmissionRecord): void {
  if (found.nodeName === asked.nodeName && found.role === asked.role) return;
  throw new BootstrapError(
    "conflict/identity",
    `The identity ${asked.identity} is admitted as ${found.role} ${found.nodeName}; it cannot be ${asked.role} ${asked.nodeName}`,
    {
      next:
        `Ask as ${found.role} ${found.nodeName}; or, if that Node is to go for good, have an operator delete it and the ` +
        `ConfigMaps ${nodeName(found.nodeName)} and ${identityName(asked.identity)} in ${BOOTSTRAPPER_NAMESPACE}`,
      details: {
        identity: asked.identity,
        expected: `${found.role} ${found.nodeName}`,
        seen: `${asked.role} ${asked.nodeName}`,
      },
    },
  );
}

function checkResetCount(found: AdmissionRecord, asked: AdmissionRecord): void {
  if (found.resetCount === undefined) return;
  if (asked.resetCount !== undefined && asked.resetCount >= found.resetCount) return;
  throw new BootstrapError(
    "refused/reset-count",
    `The TPM of ${asked.nodeName} counts fewer resets than at its last admission`,
    {
      next: "The machine's TPM was rolled back or cloned: find out by whom before you admit it again",
      details: {
        check: "reset-count",
        expected: `at least ${found.resetCount}`,
        seen: String(asked.resetCount ?? "none"),
      },
    },
  );
}

function malformed(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/admission-record", `Cannot admit as "${field}" ${problem}`, {
    details: { field },
  });
}
