/**
 * Collateral from an HTTPS server, such as a cache of the vendors' services in the operator's own network.
 *
 * The server is untrusted. It can withhold documents, but it cannot forge them: the verifiers check signatures and
 * dates.
 *
 * @module
 */
import { inReadForm } from "./_collateral_form.ts";
import type { Clock } from "../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import type { FetchDocument, FetchedDocument } from "../platform/fetch_document.ts";
import { documentUrlProblem } from "../platform/fetch_document.ts";
import { Recent } from "../platform/recent.ts";
import type { CollateralFile } from "./collateral.ts";
import { checkCollateralName } from "./collateral.ts";
import type { CollateralMemory } from "./collateral_wanted.ts";

/** The options of {@linkcode collateralCache}. */
export interface CollateralCacheOptions {
  /** Measures the age of documents. */
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Fetches a document of at most {@linkcode MAXIMUM_COLLATERAL_BYTES}, from this process or through a front. */
  readonly fetch: FetchDocument;
}

/** Vendors' documents are valid for weeks, but a new revocation list must be noticed within the hour. */
const KEPT_MS = 15 * 60_000;
/**
 * The limit on kept documents, each of at most 1 MiB. A fleet of one vendor needs about ten, and a certificate for each
 * machine.
 */
const MAXIMUM_KEPT = 64;
/** How long a missing or failed document is not requested again. Peers choose the names, and wait in the meantime. */
const MISSED_MS = 30_000;
/** The limit on remembered misses. A peer can easily name chips and platforms that do not exist. */
const MAXIMUM_MISSED = 1024;

/** Why there is no document: the server has none, or an error. */
type Missed = "absent" | BootstrapError;

/**
 * Creates a source that fetches documents from `URL/NAME`.
 *
 * @param url `https://…`, without user, password, query and fragment.
 * @returns The source. Its `find` returns `undefined` only for status 404. For any other failure it throws
 *   `unavailable/collateral` with the address and the reason: other statuses, redirects, a document that is too large, no
 *   answer in time. It throws `malformed/document-form` for a text that is no document.
 * @throws {BootstrapError} `usage/collateral-url` for another URL.
 */
export function collateralCache(url: string, { clock, fetch }: CollateralCacheOptions): CollateralMemory {
  const place = checkUrl(url);
  const kept = new Recent<CollateralFile>({ ageMs: KEPT_MS, maximum: MAXIMUM_KEPT });
  const missed = new Recent<Missed>({ ageMs: MISSED_MS, maximum: MAXIMUM_MISSED });
  const underWay = new Map<string, Promise<CollateralFile | undefined>>();

  async function get(name: string): Promise<CollateralFile | undefined> {
    let file: CollateralFile | undefined;
    try {
      const got = await fetchCollateral(`${place}/${name}`, fetch);
      file = got === undefined ? undefined : { ...got, bytes: inReadForm(name, got.bytes, got.source) };
    } catch (cause) {
      const error = asBootstrapError(cause);
      missed.set(name, error, clock.monotonicMs());
      throw error;
    }
    if (file === undefined) {
      missed.set(name, "absent", clock.monotonicMs());
    } else {
      missed.delete(name);
      kept.set(name, file, clock.monotonicMs());
    }
    return file;
  }

  function recall(name: string): { readonly file: CollateralFile | undefined } | undefined {
    const file = kept.get(name, clock.monotonicMs());
    if (file !== undefined) return { file: copyOf(file) };
    const miss = missed.get(name, clock.monotonicMs());
    if (miss instanceof BootstrapError) throw miss;
    return miss === undefined ? undefined : { file: undefined };
  }

  return {
    place,
    recall,
    async find(name) {
      checkCollateralName(name);
      const known = recall(name);
      if (known !== undefined) return known.file;
      let request = underWay.get(name);
      if (request === undefined) {
        request = get(name).finally(() => underWay.delete(name));
        underWay.set(name, request);
      }
      const got = await request;
      return got && copyOf(got);
    },
  };
}

/** Callers get copies, so that no caller can change the bytes of another. */
function copyOf({ bytes, source }: CollateralFile): CollateralFile {
  return { bytes: bytes.slice(), source };
}

function checkUrl(url: string): string {
  const problem = documentUrlProblem(url);
  if (problem !== undefined) {
    throw new BootstrapError("usage/collateral-url", `Cannot use the address of a collateral cache: ${problem}`, {
      next: URL.parse(url) === null
        ? "Write it as https://HOST/PATH. A folder is named with --collateral, or as collateral.folder in the policy"
        : "Write it as https://HOST/PATH",
    });
  }
  return new URL(url).href.replace(/\/+$/, "");
}

async function fetchCollateral(address: string, fetch: FetchDocument): Promise<CollateralFile | undefined> {
  let answer: FetchedDocument;
  try {
    answer = await fetch(address);
  } catch (cause) {
    throw unavailable(address, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (answer.status === 200) return { bytes: answer.body, source: address };
  if (answer.status === 404) return undefined;
  throw unavailable(address, `it was answered with ${answer.status}`);
}

function unavailable(address: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("unavailable/collateral", `Cannot get ${address}: ${reason}`, {
    next: "Check the collateral cache, or put the document into a collateral folder",
    details: { address },
    ...(cause === undefined ? {} : { cause }),
  });
}
