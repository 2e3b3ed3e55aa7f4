/**
 * Admission records for tests with a real API server.
 *
 * @module
 */
import * as v from "valibot";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import type { KubernetesApi } from "../../../kubernetes/api.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** The collection of the claims. */
export const CONFIG_MAPS = "/api/v1/namespaces/bootstrapper-system/configmaps";
/** The collection of the records. */
export const ADMISSIONS = "/apis/bootstrapper.dev/v1/nodeadmissions";

/** The names in a list. */
export const names = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });
export const anything = v.unknown();

export const codeIs = (code: string) => (error: unknown): boolean =>
  error instanceof BootstrapError && error.code === code;

/** A record of a machine of its own, but for the given fields. */
export function recordOf(fields: Partial<AdmissionRecord>): AdmissionRecord {
  return {
    ...{ identity: hex(randomBytes(32)), nodeName: `node-${hex(randomBytes(4))}`, role: "worker", nodeKey: "AAAA" },
    ...{ addresses: [addressOf()], evidenceDigest: hex(randomBytes(32)), resetCount: 5 },
    ...fields,
  };
}

/** An address that no other node has. */
export function addressOf(): string {
  return `10.${randomBytes(3).join(".")}`;
}

/** The names of claims, and `identity-X` for each record. */
export async function recordNames(api: KubernetesApi): Promise<string[]> {
  const claims = (await api.get(CONFIG_MAPS, names)).items.map(({ metadata }) => metadata.name);
  const records = (await api.get(ADMISSIONS, names)).items.map(({ metadata }) => `identity-${metadata.name}`);
  return [...claims.filter((name) => name !== "kube-root-ca.crt"), ...records];
}
