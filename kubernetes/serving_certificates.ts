/**
 * Requests for the serving certificates of kubelets, in the Kubernetes CSR API.
 *
 * A kubelet with `serverTLSBootstrap` makes them, the controller manager signs them, and nothing in Kubernetes approves
 * them.
 *
 * @module
 */
import * as v from "valibot";
import { fromBase64, fromUtf8 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readPem } from "../certificate/pem.ts";
import type { KubernetesApi } from "./api.ts";

/** The signer of kubelets' serving certificates. */
export const KUBELET_SERVING_SIGNER = "kubernetes.io/kubelet-serving";

/**
 * A request as stored by the API server. The API server has verified the requester; everything else is only a claim.
 */
export interface ServingRequest {
  /** `metadata.name`. */
  readonly name: string;
  /** `metadata.uid`. Another request has another one. */
  readonly uid: string;
  /** `spec.signerName`. */
  readonly signerName: string;
  /** `spec.username`: the requester. */
  readonly username: string;
  /** `spec.groups`: the requester's groups. */
  readonly groups: readonly string[];
  /** `spec.usages`. */
  readonly usages: readonly string[];
  /** `spec.request`: base64 of a PEM block, not parsed yet. */
  readonly request: string;
  /** Whether it is approved, denied, failed or signed. */
  readonly isDecided: boolean;
  /** The object as listed. An approval applies to its version. */
  readonly object: Readonly<Record<string, unknown>>;
}

const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const QUERY = `?fieldSelector=${encodeURIComponent(`spec.signerName=${KUBELET_SERVING_SIGNER}`)}`;
/** The page size of lists. A kubelet's request has about 3 KB. */
const PAGE = 200;
/** 12 KiB. The PEM of the longest accepted request has 7.5 KB in base64. */
const MAXIMUM_REQUEST_LENGTH = 12 << 10;
const DECISIONS = ["Approved", "Denied", "Failed"];

const objectSchema = v.looseObject({
  metadata: v.looseObject({ name: v.string(), uid: v.string() }),
  spec: v.looseObject({
    signerName: v.string(),
    username: v.optional(v.string(), ""),
    groups: v.optional(v.array(v.string()), []),
    usages: v.optional(v.array(v.string()), []),
    request: v.string(),
  }),
  status: v.optional(
    v.looseObject({
      certificate: v.optional(v.string()),
      conditions: v.optional(v.array(v.looseObject({ type: v.string() })), []),
    }),
    {},
  ),
});

const listSchema = v.object({
  metadata: v.object({ continue: v.optional(v.string(), "") }),
  items: v.array(objectSchema),
});

/**
 * Yields the undecided requests, with one page in memory at a time.
 *
 * @throws {BootstrapError} The errors of {@linkcode KubernetesApi}.
 */
export async function* pendingServingRequests(api: Pick<KubernetesApi, "get">): AsyncGenerator<ServingRequest> {
  let next = "";
  let limit = PAGE;
  do {
    const page = (size: number) =>
      api.get(`${PATH}${QUERY}&limit=${size}&continue=${encodeURIComponent(next)}`, listSchema);
    const list = await page(limit).catch((error) => {
      // A node may make requests of a megabyte. One of them fits into an answer, whatever its size.
      if (!(error instanceof BootstrapError && error.code === "malformed/kubernetes-api")) throw error;
      limit = 1;
      return page(limit);
    });
    for (const item of list.items) {
      const request = servingRequest(item);
      if (!request.isDecided) yield request;
    }
    next = list.metadata.continue;
  } while (next !== "");
}

function servingRequest(object: v.InferOutput<typeof objectSchema>): ServingRequest {
  const { metadata, spec, status } = object;
  const isDecided = Boolean(status.certificate) || status.conditions.some(({ type }) => DECISIONS.includes(type));
  const { signerName, username, groups, usages, request } = spec;
  return { name: metadata.name, uid: metadata.uid, signerName, username, groups, usages, request, isDecided, object };
}

/**
 * Returns the PKCS#10 request in a request, DER, not parsed yet.
 *
 * @throws {BootstrapError} `malformed/base64`, `malformed/utf8`, `malformed/pem`.
 */
export function derOfServingRequest({ request }: ServingRequest): Bytes {
  const what = "spec.request";
  if (request.length > MAXIMUM_REQUEST_LENGTH) {
    const message = `Cannot read "${what}" as it is longer than ${MAXIMUM_REQUEST_LENGTH} characters`;
    throw new BootstrapError("malformed/base64", message, { details: { field: what } });
  }
  return readPem(fromUtf8(fromBase64(request, what), what), "CERTIFICATE REQUEST", what);
}

/**
 * Approves exactly the listed version of a request.
 *
 * @throws {BootstrapError} `conflict/changed` if it has changed since, `precondition/not-found` if it no longer exists,
 *   and the errors of {@linkcode KubernetesApi}.
 */
export async function approveServingRequest(
  api: Pick<KubernetesApi, "replace">,
  { name, object }: ServingRequest,
  clock: Pick<Clock, "now">,
): Promise<void> {
  const condition = {
    type: "Approved",
    status: "True",
    reason: "BootstrapperAdmission",
    message: "Requester, name and addresses belong to the admitted node",
    lastUpdateTime: clock.now().toISOString(),
  };
  await api.replace(`${PATH}/${name}/approval`, {
    ...object,
    // The items of a list lack apiVersion and kind.
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    status: { conditions: [condition] },
  }, v.unknown());
}
