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

/** Tells refusals of a server that has just started from those that last. */
export class ForbiddenPatience {
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** Since when requests of a kind have been refused. */
  readonly #sinceMs = new Map<string, number>();

  /** Has seen no refusal yet. */
  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** Records that a request was allowed. */
  allowed(method: string, path: string): void {
    this.#sinceMs.delete(kindOf(method, path));
  }

  /** Records that a request was refused with 403. Returns the error to throw: it is retriable for the first minutes. */
  refused(method: string, path: string, error: BootstrapError): BootstrapError {
    const kind = kindOf(method, path);
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = this.#sinceMs.get(kind) ?? nowMs;
    if (this.#sinceMs.size < MOST_KINDS) this.#sinceMs.set(kind, sinceMs);
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

/** The method and the resource of a request, without the object's name and the query. */
function kindOf(method: string, path: string): string {
  const [plain = ""] = path.split("?", 1);
  // /api/v1/namespaces/NAMESPACE/RESOURCE, /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE
  const [, kind = plain] = /^(\/apis?(?:\/[^/]+){1,2}(?:\/namespaces\/[^/]+)?\/[^/]+)\/[^/]+/.exec(plain) ?? [];
  return `${method} ${kind}`;
}
