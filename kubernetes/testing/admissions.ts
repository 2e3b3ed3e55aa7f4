/**
 * Admission records over an API server in memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BootstrapError } from "../../platform/errors.ts";
import { ADMISSIONS, MemoryApi } from "./memory_api.ts";
import { type AdmissionRecord, AdmissionRecords } from "../admission_records.ts";

/** The record of a worker whose identity and name are of that number. */
export function recordOf(number: number, ...addresses: readonly string[]): AdmissionRecord {
  return {
    ...{ identity: number.toString(16).padStart(64, "0"), nodeName: `node-${number}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses, evidenceDigest: "00" },
  };
}

/** What is stored as the status of an admission. */
export const statusOf = (api: MemoryApi, { identity }: AdmissionRecord) =>
  api.objects.get(`${ADMISSIONS}/${identity}`)?.status ?? {};

/** A removal after which the machine may return. */
export const GONE = { nowMs: 0, mayReturn: true };

/** Records without an admission, at a time in milliseconds since 1970. */
export function newRecords(nowMs = () => 0): { readonly api: MemoryApi; readonly records: AdmissionRecords } {
  const api = new MemoryApi();
  return { api, records: new AdmissionRecords(api, { now: () => new Date(nowMs()) }) };
}

/** The claimed addresses, with the names of their nodes. */
export const claimsIn = (api: MemoryApi) =>
  Object.fromEntries(
    [...api.objects.values()].filter(({ metadata }) => metadata.name.startsWith("address-"))
      .map(({ metadata, data }) => [metadata.name.slice("address-".length), data?.["nodeName"]]),
  );

/** Kills the work at the change of that number, counted from 0. Returns whether the work got that far. */
export async function killedAt(api: MemoryApi, change: number, work: () => Promise<unknown>): Promise<boolean> {
  let changes = 0;
  api.onChange = () => {
    if (changes++ >= change) throw new BootstrapError("unavailable/kubernetes-api", "killed");
  };
  await work().catch((error) => assert.equal(error.message, "killed"));
  api.onChange = () => {};
  return changes > change;
}
