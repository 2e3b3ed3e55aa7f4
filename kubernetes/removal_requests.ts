/**
 * Requests to remove a node from the cluster. An operator makes a request, and a join service answers it. While it
 * exists, no node gets a ticket for that name.
 *
 * A request is a ConfigMap `removal-NAME`, stored with the admission records.
 *
 * @module
 */
import type { NodeRole } from "./node_role.ts";
import * as v from "valibot";
import { type AnyErrorCode, BootstrapError, readErrorCode } from "../platform/errors.ts";
import { isNodeName } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import { readFields } from "./_api_objects.ts";
import type { KubernetesApi } from "./api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

/** The node to be removed. */
export interface RemovalRequest {
  /** The Node's name, an RFC 1123 subdomain. */
  readonly nodeName: string;
  /** The node's role. A worker has no etcd member. */
  readonly role: NodeRole;
  /** The identity that has the name, 64 hexadecimal digits; empty for a Node that was never admitted. */
  readonly identity: string;
  /** The UID of the Node when the request was made; empty if there was none. */
  readonly nodeUid: string;
  /** The node's addresses, except those that another node has. */
  readonly addresses: readonly string[];
  /** The time of the request by the operator's clock, ISO 8601. */
  readonly requestedAt: string;
}

/**
 * The answer of a join service. `removed`: etcd removed the member for this join service. `absent`: there was no
 * member; another join service may have removed it. `refused`: the member may not be removed.
 */
export type RemovalAnswer =
  | { readonly state: "removed" | "absent" }
  | {
    readonly state: "refused";
    readonly code: AnyErrorCode;
    /** The reason, as a sentence. */
    readonly message: string;
    /** The next action, as a sentence; may be empty. */
    readonly next: string;
  };

/** A request as it is stored. */
export interface StoredRemoval {
  /** `metadata.uid`. Another request has another one. */
  readonly uid: string;
  /** `metadata.resourceVersion`. */
  readonly resourceVersion: string;
  readonly request: RemovalRequest;
  /** The answer; absent while the request waits. */
  readonly answer?: RemovalAnswer;
}

const PATH = `/api/v1/namespaces/${BOOTSTRAPPER_NAMESPACE}/configmaps`;
/**
 * A label on requests. It keeps lists of requests short, because the records of many nodes are in the same namespace.
 */
const LABEL = "bootstrapper-removal";
const LONGEST_TEXT = 1000;

const nameOf = (nodeName: string) => `removal-${nodeName}`;
const pathOf = (nodeName: string) => `${PATH}/${nameOf(nodeName)}`;

const text = v.pipe(v.string(), v.maxLength(LONGEST_TEXT));
const nodeNameSchema = v.pipe(v.string(), v.check(isNodeName));
const codeSchema = v.custom<AnyErrorCode>((code) => typeof code === "string" && readErrorCode(code) !== undefined);

const requestEntries = {
  version: v.literal("1"),
  nodeName: nodeNameSchema,
  role: v.picklist(["worker", "control-plane"]),
  identity: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{64})?$/)),
  nodeUid: text,
  addresses: v.pipe(v.string(), v.parseJson(), v.array(text)),
  requestedAt: v.pipe(v.string(), v.isoTimestamp()),
};
const dataSchema = v.variant("state", [
  v.object({ ...requestEntries, state: v.literal("requested") }),
  v.object({ ...requestEntries, state: v.picklist(["removed", "absent"]) }),
  v.object({ ...requestEntries, state: v.literal("refused"), code: codeSchema, message: text, next: text }),
]);

const objectSchema = v.object({
  metadata: v.object({ name: v.string(), uid: v.string(), resourceVersion: v.string() }),
  data: v.optional(v.record(v.string(), v.string()), {}),
});
const listSchema = v.object({ items: v.array(objectSchema) });

/** The part of the API that requests need. */
export type RemovalApi = Pick<KubernetesApi, "find" | "get" | "create" | "replace" | "remove">;

/** The removal requests of a cluster. */
export class RemovalRequests {
  readonly #api: RemovalApi;

  /**
   * Sends nothing yet. A join service needs get, list and update for ConfigMaps; an operator creates and deletes them.
   */
  constructor(api: RemovalApi) {
    this.#api = api;
  }

  /**
   * Returns the request for a name, or `undefined`.
   *
   * @throws {BootstrapError} `malformed/node-removal`, and the errors of {@linkcode KubernetesApi}.
   */
  async find(nodeName: string): Promise<StoredRemoval | undefined> {
    const found = await this.#api.find(pathOf(nodeName), objectSchema);
    return found && readRemoval(found);
  }

  /**
   * Lists the requests that wait for a join service. It skips unreadable requests: {@linkcode find} reports their
   * errors.
   */
  async listWaiting(): Promise<readonly StoredRemoval[]> {
    const { items } = await this.#api.get(`${PATH}?labelSelector=${LABEL}%3Dtrue`, listSchema);
    return items.flatMap((item) => {
      try {
        const stored = readRemoval(item);
        return stored.answer === undefined ? [stored] : [];
      } catch {
        return [];
      }
    });
  }

  /** Makes a request. Throws `conflict/already-exists` if the name already has one. */
  async create(request: RemovalRequest): Promise<StoredRemoval> {
    return readRemoval(await this.#api.create(PATH, object(request, undefined), objectSchema));
  }

  /**
   * Writes an answer, or withdraws one so that the request waits again. Throws `conflict/changed` if the request
   * changed since it was read, and `precondition/not-found` if it no longer exists.
   */
  async answer(stored: StoredRemoval, answer: RemovalAnswer | undefined): Promise<StoredRemoval> {
    const { request, uid, resourceVersion } = stored;
    const changed = object(request, answer, { uid, resourceVersion });
    return readRemoval(await this.#api.replace(pathOf(request.nodeName), changed, objectSchema));
  }

  /** Deletes exactly this request, whatever its answer. Returns `false` if it no longer exists. */
  async remove({ request, uid }: StoredRemoval): Promise<boolean> {
    try {
      return await this.#api.remove(pathOf(request.nodeName), { uid });
    } catch (error) {
      // The name has a newer request, so this one no longer exists.
      if (error instanceof BootstrapError && error.code === "conflict/changed") return false;
      throw error;
    }
  }
}

/**
 * Checks that no removal of the node of that name is under way. The join service calls it before it issues a ticket.
 *
 * @throws {BootstrapError} `unavailable/node-removal` (retriable), and the errors of {@linkcode KubernetesApi}.
 */
export async function checkNotBeingRemoved(api: Pick<RemovalApi, "find">, nodeName: string): Promise<void> {
  const schema = v.object({ metadata: v.object({ name: v.string() }) });
  if (await api.find(pathOf(nodeName), schema) === undefined) return;
  throw new BootstrapError("unavailable/node-removal", `An operator is removing ${nodeName} from the cluster`, {
    next: `Wait until \`bootstrapper node remove ${nodeName}\` has ended, or run it again where it was interrupted`,
    details: { node: nodeName },
  });
}

function object(
  request: RemovalRequest,
  answer: RemovalAnswer | undefined,
  version: { readonly uid: string; readonly resourceVersion: string } | Record<string, never> = {},
): unknown {
  const { addresses, ...rest } = request;
  return {
    metadata: { name: nameOf(request.nodeName), labels: { [LABEL]: "true" }, ...version },
    data: {
      version: "1",
      ...rest,
      addresses: JSON.stringify(addresses),
      ...(answer === undefined
        ? { state: "requested" }
        : Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, value.slice(0, LONGEST_TEXT)]))),
    },
  };
}

function readRemoval({ metadata, data }: v.InferOutput<typeof objectSchema>): StoredRemoval {
  const error = (field: string) =>
    new BootstrapError("malformed/node-removal", `Cannot read "${field}" of the ConfigMap ${metadata.name}`, {
      next: `Delete the ConfigMap ${metadata.name} in ${BOOTSTRAPPER_NAMESPACE}, and run the command again`,
      details: { configMap: metadata.name, field },
    });
  const fields = readFields(
    dataSchema,
    data,
    error,
    (read) => metadata.name === nameOf(read.nodeName) ? undefined : "nodeName",
  );
  const { nodeName, role, identity, nodeUid, addresses, requestedAt } = fields;
  const answer = answerOf(fields);
  return {
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    request: { nodeName, role, identity, nodeUid, addresses, requestedAt },
    ...present("answer", answer),
  };
}

function answerOf(data: v.InferOutput<typeof dataSchema>): RemovalAnswer | undefined {
  switch (data.state) {
    case "requested":
      return undefined;
    case "refused":
      return { state: data.state, code: data.code, message: data.message, next: data.next };
    default:
      return { state: data.state };
  }
}
