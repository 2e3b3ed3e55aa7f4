/**
 * Requests to remove a node from the cluster. The operator makes one, a join service answers it; as long as it stands,
 * nobody gets a ticket for that name.
 *
 * A request is a ConfigMap `removal-NAME` beside the admission records.
 *
 * @module
 */
import type { NodeRole } from "./node_role.ts";
import * as v from "valibot";
import { type AnyErrorCode, BootstrapError, readErrorCode } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import type { KubernetesApi } from "./api.ts";
import { BOOTSTRAPPER_NAMESPACE } from "./cluster_rbac.ts";

/** What is to be removed. */
export interface RemovalRequest {
  /** The Node's name, an RFC 1123 label. */
  readonly nodeName: string;
  /** What it is; a worker has no etcd member. */
  readonly role: NodeRole;
  /** The identity that has the name, 64 characters of hexadecimal, or empty for a Node that was never admitted. */
  readonly identity: string;
  /** The UID of the Node when the request was made, or empty where there was none. */
  readonly nodeUid: string;
  /** The node's addresses, as far as no other node has them. */
  readonly addresses: readonly string[];
  /** When the operator asked, ISO 8601, by the operator's clock. */
  readonly requestedAt: string;
}

/**
 * How a join service answered: the etcd member is gone, as it asked etcd to remove it (`removed`) or as it found none
 * (`absent`; another join service may have removed it), or may not go.
 */
export type RemovalAnswer =
  | { readonly state: "removed" | "absent" }
  | {
    readonly state: "refused";
    /** The error's stable code. */
    readonly code: AnyErrorCode;
    /** Why, as a sentence. */
    readonly message: string;
    /** What to do next, as a sentence, or empty. */
    readonly next: string;
  };

/** A request as it is stored. */
export interface StoredRemoval {
  /** `metadata.uid`: another one is another request. */
  readonly uid: string;
  /** `metadata.resourceVersion`. */
  readonly resourceVersion: string;
  /** What is to be removed. */
  readonly request: RemovalRequest;
  /** The answer, once there is one. */
  readonly answer?: RemovalAnswer;
}

const PATH = `/api/v1/namespaces/${BOOTSTRAPPER_NAMESPACE}/configmaps`;
/** The records of many nodes lie beside; a label keeps a list of requests short. */
const LABEL = "bootstrapper-removal";
const LONGEST_TEXT = 1000;

const nameOf = (nodeName: string) => `removal-${nodeName}`;
const pathOf = (nodeName: string) => `${PATH}/${nameOf(nodeName)}`;

const text = v.pipe(v.string(), v.maxLength(LONGEST_TEXT));
const nodeNameSchema = v.pipe(v.string(), v.check(isLabel));
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

/** The API server, as far as requests need it. */
export type RemovalApi = Pick<KubernetesApi, "find" | "get" | "create" | "replace" | "remove">;

/** The requests of a cluster. */
export class RemovalRequests {
  readonly #api: RemovalApi;

  /** Nothing is sent yet. A join service needs get, list and update for ConfigMaps; an operator makes and deletes them. */
  constructor(api: RemovalApi) {
    this.#api = api;
  }

  /**
   * The request for a name, if there is one.
   *
   * @throws {BootstrapError} `malformed/node-removal`, and what {@linkcode KubernetesApi} throws.
   */
  async find(nodeName: string): Promise<StoredRemoval | undefined> {
    const found = await this.#api.find(pathOf(nodeName), objectSchema);
    return found && readRemoval(found);
  }

  /** The requests that wait for a join service. One that cannot be read is left out: {@linkcode find} says what is wrong. */
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

  /** Makes a request. Throws `conflict/already-exists` if there is one for the name. */
  async create(request: RemovalRequest): Promise<StoredRemoval> {
    return readRemoval(await this.#api.create(PATH, object(request, undefined), objectSchema));
  }

  /**
   * Writes an answer, or takes one back so that the request waits again. Throws `conflict/changed` if the request is not as it
   * was read, and `precondition/not-found` if it is gone.
   */
  async answer(stored: StoredRemoval, answer: RemovalAnswer | undefined): Promise<StoredRemoval> {
    const { request, uid, resourceVersion } = stored;
    const changed = object(request, answer, { uid, resourceVersion });
    return readRemoval(await this.#api.replace(pathOf(request.nodeName), changed, objectSchema));
  }

  /** Deletes exactly this request, whatever its answer; gives `false` if it is gone. */
  async remove({ request, uid }: StoredRemoval): Promise<boolean> {
    try {
      return await this.#api.remove(pathOf(request.nodeName), { uid });
    } catch (error) {
      // The name has a newer request, so this one is gone.
      if (error instanceof BootstrapError && error.code === "conflict/changed") return false;
      throw error;
    }
  }
}

/**
 * Checks that nobody is removing the node of that name: for the join service, before it issues a ticket.
 *
 * @throws {BootstrapError} `unavailable/node-removal` (retriable), and what {@linkcode KubernetesApi} throws.
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
  const result = v.safeParse(dataSchema, data);
  const field = result.success
    ? metadata.name === nameOf(result.output.nodeName) ? undefined : "nodeName"
    : v.getDotPath(result.issues[0]) ?? "";
  if (!result.success || field !== undefined) {
    throw new BootstrapError("malformed/node-removal", `Cannot read "${field}" of the ConfigMap ${metadata.name}`, {
      next: `Delete the ConfigMap ${metadata.name} in ${BOOTSTRAPPER_NAMESPACE}, and run the command again`,
      details: { configMap: metadata.name, field: field ?? "" },
    });
  }
  const { nodeName, role, identity, nodeUid, addresses, requestedAt } = result.output;
  const answer = answerOf(result.output);
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
