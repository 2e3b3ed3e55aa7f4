/**
 * The ConfigMap with the policy of a running cluster's join services. The init creates it, and only operators change
 * it.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { ConfigMapApi } from "./_config_maps.ts";
import { ConfigMaps } from "./_config_maps.ts";

/** The namespace of the ConfigMap. */
export const POLICY_NAMESPACE = "kube-system";
/** The name of the ConfigMap. */
export const POLICY_CONFIG_MAP = "bootstrapper-policy";
/** The key of the document. */
export const POLICY_KEY = "policy.yaml";

/**
 * Returns the document in the ConfigMap, or `undefined` if there is no such ConfigMap.
 *
 * @throws {BootstrapError} `usage/policy-config-map` if the document is missing; the errors of the API server's calls.
 */
export async function findPolicyDocument(api: ConfigMapApi): Promise<string | undefined> {
  const found = await new ConfigMaps(api, POLICY_NAMESPACE).find(POLICY_CONFIG_MAP);
  if (found === undefined) return undefined;
  const document = found.data[POLICY_KEY];
  if (document !== undefined) return document;
  throw new BootstrapError(
    "usage/policy-config-map",
    `The ConfigMap ${POLICY_NAMESPACE}/${POLICY_CONFIG_MAP} has no key ${POLICY_KEY}`,
    { details: { key: POLICY_KEY }, next: `Put the policy under ${POLICY_KEY}` },
  );
}

/** Creates the ConfigMap if there is none. An existing one belongs to the cluster's operators. */
export async function createPolicyConfigMap(api: ConfigMapApi, document: string): Promise<void> {
  try {
    await new ConfigMaps(api, POLICY_NAMESPACE).create(POLICY_CONFIG_MAP, { [POLICY_KEY]: document });
  } catch (error) {
    if (!(error instanceof BootstrapError && error.code === "conflict/already-exists")) throw error;
  }
}
