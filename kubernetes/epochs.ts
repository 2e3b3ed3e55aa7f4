/**
 * The epoch of the cluster's node certificates. API servers accept only certificates of accepted epochs.
 *
 * @module
 */
import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { type ConfigMapApi, ConfigMaps } from "./_config_maps.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

/** The ConfigMap with the epochs. */
export const EPOCHS_CONFIG_MAP = "epochs";

/** The epoch of a cluster that never raised it. */
export const FIRST_EPOCH = 1;

const dataSchema = v.object({
  current: v.pipe(v.string(), v.regex(/^[1-9]\d{0,8}$/), v.transform(Number)),
});

/**
 * Returns the epoch that new node certificates carry.
 *
 * @throws {BootstrapError} `malformed/epochs`, and the errors of `KubernetesApi`.
 */
export async function currentEpoch(api: ConfigMapApi): Promise<number> {
  const found = await new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE).find(EPOCHS_CONFIG_MAP);
  if (found === undefined) return FIRST_EPOCH;
  const result = v.safeParse(dataSchema, found.data);
  if (result.success) return result.output.current;
  const field = v.getDotPath(result.issues[0]) ?? "";
  throw new BootstrapError("malformed/epochs", `Cannot read "${field}" of the ConfigMap ${EPOCHS_CONFIG_MAP}`, {
    next: `Correct the ConfigMap ${EPOCHS_CONFIG_MAP} in ${BOOTSTRAPPER_NAMESPACE}`,
    details: { configMap: EPOCHS_CONFIG_MAP, field },
  });
}
