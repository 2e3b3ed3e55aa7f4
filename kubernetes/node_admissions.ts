/**
 * The NodeAdmission objects of a cluster (`deploy/nodeadmissions.yaml`), one for each identity, and the evidence that is
 * kept apart from them.
 *
 * @module
 */
import * as v from "valibot";
import { base64, hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import {
  type AdmissionRecord,
  admissionSpec,
  type AdmissionStatus,
  admissionStatus,
  readAdmission,
  type StoredAdmission,
} from "./_admission_record.ts";
import { exactly, listItems, type ObjectApi } from "./_api_objects.ts";

export type { StoredVersion } from "./_api_objects.ts";
export type {
  AdmissionRecord,
  AdmissionStatus,
  CertificateOnRecord,
  NodeCertificateRecord,
  StoredAdmission,
} from "./_admission_record.ts";
export { imageOf } from "./_admission_record.ts";

const API = "bootstrapper.dev/v1";
/** The collection of the records. */
export const ADMISSIONS_PATH = `/apis/${API}/nodeadmissions`;
const EVIDENCES_PATH = `/apis/${API}/nodeevidences`;
/** The schema of NodeEvidence allows as much, in base64. A quote with an EK certificate has some kilobytes. */
const MAXIMUM_EVIDENCE_BYTES = 96 << 10;

const anything = v.unknown();

const IDENTITIES = /^[0-9a-f]{64}$/;

/** Whether a text has the form of an identity, and so of a record's name. */
export function isIdentity(text: string): boolean {
  return IDENTITIES.test(text);
}

/** The records of a cluster as the API server keeps them. */
export class NodeAdmissions {
  readonly #api: ObjectApi;

  /** Sends nothing yet. */
  constructor(api: ObjectApi) {
    this.#api = api;
  }

  /** Returns the record of an identity, or `undefined`. */
  async find(identity: string): Promise<StoredAdmission | undefined> {
    if (!isIdentity(identity)) return undefined;
    const found = await this.#api.find(`${ADMISSIONS_PATH}/${identity}`, anything);
    return found === undefined ? undefined : readAdmission(found);
  }

  /** Throws `precondition/not-found` if the API server does not have the kind. */
  async checkServed(): Promise<void> {
    await this.#api.get(`${ADMISSIONS_PATH}?limit=1`, anything);
  }

  /** Returns all records, in the order of their identities. */
  async list(): Promise<StoredAdmission[]> {
    return (await listItems(this.#api, ADMISSIONS_PATH, anything)).map(readAdmission);
  }

  /** Returns all records with a Node's name: that of the node, and those of earlier ones that were removed. */
  async listNamed(nodeName: string): Promise<StoredAdmission[]> {
    const selector = `fieldSelector=${encodeURIComponent(`spec.nodeName=${nodeName}`)}`;
    return (await listItems(this.#api, ADMISSIONS_PATH, anything, selector)).map(readAdmission);
  }

  /** Creates a record. Throws `conflict/already-exists` if the identity has one. */
  async create(record: AdmissionRecord): Promise<StoredAdmission> {
    const object = { ...head(record.identity), spec: admissionSpec(record) };
    return readAdmission(await this.#api.create(ADMISSIONS_PATH, object, anything));
  }

  /**
   * Creates the record of a cluster's first node, by server-side apply. For two seconds after it began to serve a kind,
   * the API server keeps back each POST for two seconds, for the sake of other API servers (`serveResource` in
   * `customresource_handler.go`, apiextensions-apiserver 1.36). A cluster that is being founded has one, and no other
   * client that makes records.
   *
   * @returns The record; `undefined` if it is gone again.
   */
  async createFirst(record: AdmissionRecord): Promise<StoredAdmission | undefined> {
    await this.#api.apply(`${ADMISSIONS_PATH}/${record.identity}`, {
      ...head(record.identity),
      spec: admissionSpec(record),
    });
    return await this.find(record.identity);
  }

  /** Replaces the record of exactly this version. Throws `conflict/changed` if it is no longer the current version. */
  async update(
    current: StoredAdmission,
    record: AdmissionRecord,
    removedMs = current.removedMs,
  ): Promise<StoredAdmission> {
    const object = { ...head(current.name, current), spec: admissionSpec(record, removedMs) };
    return readAdmission(await this.#api.replace(`${ADMISSIONS_PATH}/${current.name}`, object, anything));
  }

  /** Replaces the status of exactly this version. Throws `conflict/changed` if it is no longer the current version. */
  async updateStatus(current: StoredAdmission, status: AdmissionStatus): Promise<StoredAdmission> {
    const { name, record, removedMs } = current;
    const object = { ...head(name, current), spec: admissionSpec(record, removedMs), status: admissionStatus(status) };
    return readAdmission(await this.#api.replace(`${ADMISSIONS_PATH}/${name}/status`, object, anything));
  }

  /** Deletes exactly this version. Throws `conflict/changed` if it is no longer the current version. */
  async remove(current: StoredAdmission): Promise<boolean> {
    return await this.#api.remove(`${ADMISSIONS_PATH}/${current.name}`, exactly(current));
  }

  /**
   * Keeps an identity's evidence in an object of its own, in place of the evidence before.
   *
   * @throws {BootstrapError} `malformed/size` if it is too large; the errors of `KubernetesApi`.
   */
  async keepEvidence(identity: string, evidence: Uint8Array): Promise<void> {
    if (evidence.length > MAXIMUM_EVIDENCE_BYTES) {
      const limit = `${MAXIMUM_EVIDENCE_BYTES} bytes`;
      throw new BootstrapError(
        "malformed/size",
        `Cannot keep evidence of more than ${limit}: it has ${evidence.length}`,
      );
    }
    const body = { digest: hex(await sha256(evidence)), evidence: base64(evidence) };
    const object = { apiVersion: API, kind: "NodeEvidence", metadata: { name: identity }, ...body };
    await this.#api.apply(`${EVIDENCES_PATH}/${identity}`, object);
  }

  /** Deletes an identity's evidence. */
  async forgetEvidence(identity: string): Promise<void> {
    await this.#api.remove(`${EVIDENCES_PATH}/${identity}`);
  }
}

function head(name: string, version?: StoredAdmission): Record<string, unknown> {
  const metadata = { name, ...present("uid", version?.uid), ...present("resourceVersion", version?.resourceVersion) };
  return { apiVersion: API, kind: "NodeAdmission", metadata };
}
