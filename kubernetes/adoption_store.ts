/**
 * The ConfigMap `adoption` of a cluster that kubeadm made and an operator adopts. It carries the founding and the
 * settings to the control planes, whose root reads it from the own API server. Nothing in it is secret, and the founding
 * proves itself.
 *
 * @module
 */
import * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import { readFields } from "./_api_objects.ts";
import type { ConfigMapApi } from "./_config_maps.ts";
import { ConfigMaps } from "./_config_maps.ts";
import { unless, unlessChanged } from "./_unless.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

/** What an adoption keeps in its cluster. */
export interface Adoption {
  /** The operators' foundings, each a founding file's text. */
  readonly foundings: readonly string[];
  /** The cluster's settings, YAML. */
  readonly clusterDocument: string;
  /** The API server's endpoints, `host:port`. */
  readonly apiEndpoints: readonly string[];
  /** The endpoints of the join services to be, `host:port`. */
  readonly joinEndpoints: readonly string[];
}

const CONFIG_MAP = "adoption";
const VERSION = "1";
const ATTEMPTS = 8;
const MOST_TEXTS = 64;
const MOST_BYTES = 1 << 16;

const texts = v.pipe(
  v.string(),
  v.maxLength(MOST_BYTES),
  v.parseJson(),
  v.array(v.string()),
  v.maxLength(MOST_TEXTS),
);
const dataSchema = v.object({
  version: v.literal(VERSION),
  foundings: texts,
  clusterDocument: v.pipe(v.string(), v.maxLength(MOST_BYTES)),
  apiEndpoints: texts,
  joinEndpoints: texts,
});

/**
 * Returns what the adoption of a cluster keeps there; `undefined` if none has begun.
 *
 * @throws {BootstrapError} `malformed/adoption` with the field; the errors of `KubernetesApi`.
 */
export async function findAdoption(api: ConfigMapApi): Promise<Adoption | undefined> {
  const found = await new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE).find(CONFIG_MAP);
  return found && readAdoption(found.data);
}

/**
 * Reads the data of the ConfigMap.
 *
 * @throws {BootstrapError} `malformed/adoption` with the field.
 */
export function readAdoption(data: Readonly<Record<string, string>>): Adoption {
  const { version: _, ...adoption } = readFields(dataSchema, data, (field) =>
    new BootstrapError(
      "malformed/adoption",
      `Cannot read "${field}" of the ConfigMap ${BOOTSTRAPPER_NAMESPACE}/${CONFIG_MAP}`,
      { details: { field } },
    ));
  return adoption;
}

/** Writes what an adoption keeps. Foundings of other operators that are there stay. */
export async function keepAdoption(api: ConfigMapApi, adoption: Adoption): Promise<void> {
  const configMaps = new ConfigMaps(api, BOOTSTRAPPER_NAMESPACE);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await configMaps.find(CONFIG_MAP);
    const before = found === undefined ? [] : readAdoption(found.data).foundings;
    const data = dataOf({ ...adoption, foundings: [...new Set([...before, ...adoption.foundings])] });
    const written = found === undefined
      ? await unless("conflict/already-exists", () => configMaps.create(CONFIG_MAP, data))
      : await unlessChanged(() => configMaps.update(found, data));
    if (written !== undefined) return;
  }
  throw new BootstrapError("conflict/changed", `The ConfigMap ${CONFIG_MAP} keeps changing`);
}

function dataOf({ foundings, clusterDocument, apiEndpoints, joinEndpoints }: Adoption): Record<string, string> {
  return {
    version: VERSION,
    foundings: JSON.stringify(foundings),
    clusterDocument,
    apiEndpoints: JSON.stringify(apiEndpoints),
    joinEndpoints: JSON.stringify(joinEndpoints),
  };
}
