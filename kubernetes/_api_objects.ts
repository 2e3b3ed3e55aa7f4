import * as v from "valibot";
import type { BootstrapError } from "../platform/errors.ts";
import type { DeletePreconditions, KubernetesApi } from "./api.ts";

/** The part of the API that stored objects need. */
export type ObjectApi = Pick<KubernetesApi, "find" | "get" | "create" | "replace" | "remove" | "apply">;

/** What identifies an object and one version of it. */
export interface StoredVersion {
  /** `metadata.name`. */
  readonly name: string;
  /** `metadata.uid`. A recreated object has another one. */
  readonly uid: string;
  /** `metadata.resourceVersion`. It changes with each update. */
  readonly resourceVersion: string;
}

/** The metadata that is read of every object. */
export const metadataSchema = v.object({ name: v.string(), uid: v.string(), resourceVersion: v.string() });

/** The page size of lists. It keeps an answer far below its size limit. */
const LIST_PAGE = 500;

/**
 * Returns the items of a list, page by page, in the order of their names.
 *
 * @param path The collection.
 * @param schema The form of an item.
 * @param selector A part of the query, such as `labelSelector=a%3Db`.
 */
export async function listItems<T>(
  api: Pick<KubernetesApi, "get">,
  path: string,
  schema: v.GenericSchema<unknown, T>,
  selector = "",
): Promise<T[]> {
  const page = v.object({
    metadata: v.object({ continue: v.optional(v.string(), "") }),
    items: v.array(schema),
  });
  const found: T[] = [];
  let next = "";
  do {
    const query = [selector, `limit=${LIST_PAGE}`, `continue=${encodeURIComponent(next)}`];
    const { metadata, items } = await api.get(`${path}?${query.filter((part) => part !== "").join("&")}`, page);
    found.push(...items);
    next = metadata.continue;
  } while (next !== "");
  return found;
}

/**
 * Reads fields of an object that another program may have written.
 *
 * @param error Makes the error, which names the wrong field by its path: `spec.role`.
 * @param wrongField Returns the field that contradicts another one. Default: none does.
 */
export function readFields<T>(
  schema: v.GenericSchema<unknown, T>,
  value: unknown,
  error: (field: string) => BootstrapError,
  wrongField: (fields: T) => string | undefined = () => undefined,
): T {
  const result = v.safeParse(schema, value);
  if (!result.success) throw error(v.getDotPath(result.issues[0]) ?? "");
  const field = wrongField(result.output);
  if (field !== undefined) throw error(field);
  return result.output;
}

/** The preconditions of deleting exactly one version of an object. */
export function exactly({ uid, resourceVersion }: StoredVersion): DeletePreconditions {
  return { uid, resourceVersion };
}
