import * as v from "valibot";
import type { KubernetesApi } from "./api.ts";
import type { ManifestObject } from "./manifest.ts";

/** A kind of objects, as the API server offers it. */
interface ApiResource {
  /** The plural in its paths, such as `daemonsets`. */
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const listSchema = v.object({
  resources: v.array(v.object({ name: v.string(), kind: v.string(), namespaced: v.boolean() })),
});

/** The kinds of the API server, by its discovery. A version that has a kind is asked for once. */
export class ApiResources {
  readonly #api: Pick<KubernetesApi, "find">;
  readonly #known = new Map<string, readonly ApiResource[]>();

  constructor(api: Pick<KubernetesApi, "find">) {
    this.#api = api;
  }

  /**
   * Returns the path of an object, without a query; `undefined` if the API server does not have its kind.
   *
   * @throws {BootstrapError} Those of `KubernetesApi.find()`.
   */
  async pathOf(object: ManifestObject): Promise<string | undefined> {
    const { apiVersion, kind, name, namespace = "default" } = object;
    const root = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const resource = (await this.#resources(root, kind)).find((one) => one.kind === kind);
    if (resource === undefined) return undefined;
    const scope = resource.namespaced ? `/namespaces/${namespace}` : "";
    return `${root}${scope}/${resource.name}/${encodeURIComponent(name)}`;
  }

  async #resources(root: string, kind: string): Promise<readonly ApiResource[]> {
    const known = this.#known.get(root);
    // A definition may have been added since.
    if (known?.some((one) => one.kind === kind)) return known;
    const list = await this.#api.find(root, listSchema);
    // A part of an object has a name with a slash, and sometimes the object's kind.
    const resources = (list?.resources ?? []).filter((one) => !one.name.includes("/"));
    this.#known.set(root, resources);
    return resources;
  }
}
