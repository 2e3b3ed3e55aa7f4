/**
 * Refusals of a client's own user that may be temporary: an API server that has just started does not know its RBAC
 * rules yet, and answers 403 for some seconds, or for minutes on a slow machine.
 *
 * @module
 */
import type { Clock } from "../platform/clock.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";

/** How long requests of one kind may be refused, time after time, before that counts as a matter of configuration. */
export const FORBIDDEN_PATIENCE_MS: number = 5 * MINUTE_MS;
const RETRY_AFTER_SECONDS = 5;
/** More kinds of requests than a client makes. */
const MOST_KINDS = 256;
/** A refusal that is not repeated for so long belongs to another time, and no longer counts. */
const FORGOTTEN_MS = 2 * FORBIDDEN_PATIENCE_MS;

/** When requests of a kind were refused, monotonic. */
interface Refusals {
  readonly sinceMs: number;
  readonly lastMs: number;
}

/** Tells refusals of a server that has just started from those that last. */
export class ForbiddenPatience {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #refusals = new Map<string, Refusals>();

  /** Has seen no refusal yet. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Records that a request was allowed. */
  allowed(method: string, path: string): void {
    if (this.#refusals.size > 0) this.#refusals.delete(kindOf(method, path));
  }

  /** Records that a request was refused with 403. Returns the error to throw: it is retriable for the first minutes. */
  refused(method: string, path: string, error: BootstrapError): BootstrapError {
    const kind = kindOf(method, path);
    const nowMs = this.#clock.monotonicMs();
    for (const [old, { lastMs }] of this.#refusals) {
      if (nowMs - lastMs >= FORGOTTEN_MS) this.#refusals.delete(old);
    }
    const sinceMs = this.#refusals.get(kind)?.sinceMs ?? nowMs;
    if (this.#refusals.size < MOST_KINDS || this.#refusals.has(kind)) {
      this.#refusals.set(kind, { sinceMs, lastMs: nowMs });
    }
    if (nowMs - sinceMs >= FORBIDDEN_PATIENCE_MS) return error;
    return new BootstrapError(
      "unavailable/kubernetes-rights",
      `The API server does not grant a right yet: ${error.message}`,
      {
        cause: error,
        next:
          "Wait: an API server that has just started does not know its rules yet. If this stays, apply deploy/rbac.yaml",
        details: { request: `${method} ${path}` },
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      },
    );
  }
}

/** The method, the resource and the subresource of a request, without the object's name and the query. */
function kindOf(method: string, path: string): string {
  const [plain = ""] = path.split("?", 1);
  const [, api, ...parts] = plain.split("/");
  if (api !== "api" && api !== "apis") return `${method} ${plain}`;
  // /api/VERSION/… or /apis/GROUP/VERSION/…
  const version = parts.splice(0, api === "api" ? 1 : 2);
  // namespaces/NAMESPACE/RESOURCE/…; namespaces/NAMESPACE alone is an object, which has these two subresources.
  const [first, , third] = parts;
  const isNamespaced = first === "namespaces" && third !== undefined && third !== "status" && third !== "finalize";
  const namespace = isNamespaced ? parts.splice(0, 2) : [];
  const [resource = "", name, ...subresource] = parts;
  const object = name === undefined ? [] : ["*", ...subresource];
  return [method, "", api, ...version, ...namespace, resource, ...object].join("/");
}
