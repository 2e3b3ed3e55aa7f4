/**
 * Approves the certificates that the kubelets of admitted nodes serve with. It runs on every control plane, alongside
 * the join service.
 *
 * @module
 */
import { readServingCsr } from "../certificate/serving_csr.ts";
import type { AdmissionRecord, AdmissionRecords } from "../kubernetes/admission_records.ts";
import type { KubernetesApi } from "../kubernetes/api.ts";
import {
  approveServingRequest,
  derOfServingRequest,
  pendingServingRequests,
  type ServingRequest,
} from "../kubernetes/serving_certificates.ts";
import type { Clock } from "../platform/clock.ts";
import { type AnyErrorCode, asBootstrapError, type BootstrapError, errorFamily } from "../platform/errors.ts";
import { errorFields, type Log, type LogFields } from "../platform/log.ts";
import type { ClusterNetwork } from "./claims_check.ts";
import { checkServing, requestingNode } from "./serving_check.ts";

/** What the approver works with. */
export interface ServingApproverParts {
  /** The API server, with the join service's rights. */
  readonly api: Pick<KubernetesApi, "get" | "replace">;
  /** The admission records of the cluster. */
  readonly admissions: Pick<AdmissionRecords, "byName">;
  /** What no node may claim to be. */
  readonly network: ClusterNetwork;
  readonly clock: Clock;
  /** Records decisions, and why a request is left alone: once for each request and reason. */
  readonly log: Log;
}

/**
 * The time between two looks. A kubelet waits a quarter of an hour for its certificate (client-go's
 * `certificateWaitTimeout`), and serves without it until then.
 */
const INTERVAL_MS = 3_000;
/** The longest interval while the API server does not answer. */
const LONGEST_INTERVAL_MS = 30_000;
/** How far an interval may vary, as a fraction, so that the control planes do not ask in step. */
const JITTER = 0.2;
/**
 * After this time, a request that was left alone is looked at again: its node may have got a record or another address.
 */
const AGAIN_MS = 20_000;
const LONGEST_FIELD = 300;

/**
 * Looks for requests every few seconds until the signal. It then returns, after one call's deadline at the latest. It
 * never throws: it logs failures, once for each code until a look works again, and looks less often meanwhile.
 *
 * Any number of approvers may run in one cluster.
 */
export async function runServingApprover(parts: ServingApproverParts, signal: AbortSignal): Promise<void> {
  const approver = new ServingApprover(parts);
  const reported = new Set<AnyErrorCode>();
  for (let failures = 0; !signal.aborted;) {
    try {
      await approver.pass(signal);
      failures = 0;
      reported.clear();
    } catch (thrown) {
      const error = asBootstrapError(thrown);
      failures++;
      if (!reported.has(error.code)) parts.log.event("warn", "serving-approver-failed", errorFields(error));
      reported.add(error.code);
    }
    // The sleep rejects when the signal aborts, which the loop checks.
    await parts.clock.sleep(intervalMs(failures, Math.random()), signal).catch(() => {});
  }
}

function intervalMs(failures: number, random: number): number {
  const meanMs = Math.min(LONGEST_INTERVAL_MS, INTERVAL_MS * 2 ** failures);
  return Math.round(meanMs * (1 - JITTER + 2 * JITTER * random));
}

type Lookup = (nodeName: string) => Promise<AdmissionRecord | undefined>;

/** Makes one look after the other, and remembers the requests that were left alone. */
class ServingApprover {
  readonly #parts: ServingApproverParts;
  readonly #left = new Map<string, { readonly code: AnyErrorCode; readonly againMs: number }>();

  constructor(parts: ServingApproverParts) {
    this.#parts = parts;
  }

  /** Throws the error that keeps it from looking at all requests. */
  async pass(signal: AbortSignal): Promise<void> {
    const lookup = this.#lookup();
    const present = new Set<string>();
    for await (const request of pendingServingRequests(this.#parts.api)) {
      if (signal.aborted) return;
      present.add(request.uid);
      await this.#consider(request, lookup);
    }
    for (const uid of this.#left.keys()) if (!present.has(uid)) this.#left.delete(uid);
  }

  /** Reads each record once per look, however many requests a node makes. */
  #lookup(): Lookup {
    const records = new Map<string, Promise<AdmissionRecord | undefined>>();
    return (nodeName) => {
      const record = records.get(nodeName) ?? this.#parts.admissions.byName(nodeName);
      records.set(nodeName, record);
      return record;
    };
  }

  async #consider(request: ServingRequest, lookup: Lookup): Promise<void> {
    const before = this.#left.get(request.uid);
    if (before !== undefined && this.#parts.clock.monotonicMs() < before.againMs) return;
    const { api, network, clock, log } = this.#parts;
    try {
      const csr = await readServingCsr(derOfServingRequest(request));
      const node = requestingNode(request);
      checkServing(request, csr, node === undefined ? undefined : await lookup(node), network);
      await approveServingRequest(api, request, clock);
      log.event("info", "serving-certificate-approved", fieldsOf(request));
    } catch (thrown) {
      const error = asBootstrapError(thrown);
      // Another control plane was faster, or the kubelet has stopped waiting.
      if (errorFamily(error.code) === "conflict" || error.code === "precondition/not-found") return;
      if (!error.retriable) return this.#leave(request, error);
      // If this request is the one that fails, the next look gets to the requests after it.
      this.#postpone(request, error.code);
      throw error;
    }
  }

  #leave(request: ServingRequest, reason: BootstrapError): void {
    if (this.#left.get(request.uid)?.code !== reason.code) {
      this.#parts.log.event("warn", "serving-certificate-left", { ...errorFields(reason), ...fieldsOf(request) });
    }
    this.#postpone(request, reason.code);
  }

  #postpone({ uid }: ServingRequest, code: AnyErrorCode): void {
    this.#left.set(uid, { code, againMs: this.#parts.clock.monotonicMs() + AGAIN_MS });
  }
}

function fieldsOf({ name, username }: ServingRequest): LogFields {
  return { request: name, requester: username.slice(0, LONGEST_FIELD) };
}
