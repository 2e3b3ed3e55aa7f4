/**
 * The services of hardware vendors that give collateral. They are untrusted: each document is verified before it is
 * kept.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { SectionSource } from "./policy/policy_section.ts";

/** A service's answer to one request. */
export interface VendorAnswer {
  readonly body: Bytes;
  /** Returns a header of the answer. */
  readonly header: (name: string) => string | undefined;
}

/**
 * Asks a service.
 *
 * @param url The address, which may have a query.
 * @throws {BootstrapError} `unavailable/collateral`, with the address and the reason.
 */
export type AskVendor = (url: string) => Promise<VendorAnswer>;

/** A verified document, under the name by which policies find it. */
export interface FetchedCollateral {
  readonly name: string;
  readonly bytes: Bytes;
  /** The time until which it holds. */
  readonly until: Date;
  /** Whether this is the document that was kept before, because the service's own one is older. */
  readonly isAnswerOlder?: boolean;
}

/** Returns a document that was kept before, by its name; `undefined` if there is none. */
export type FindKept = (name: string) => Promise<Bytes | undefined>;

/** Verified documents that belong together. */
export interface VerifiedDocuments<Contents> {
  readonly contents: Contents;
  readonly documents: readonly FetchedCollateral[];
}

/**
 * Decides between what a service answered and what is there. A service may answer with a document from before, which
 * would undo a revocation.
 *
 * @param fetched What the service answered, verified.
 * @param readKept Reads and verifies the documents that are there; `undefined` if one is missing.
 * @param isNewer Whether the first is newer than the second.
 * @returns What is there, if it is verified, valid now and newer; otherwise what the service answered.
 */
export async function newest<Contents>(
  fetched: VerifiedDocuments<Contents>,
  readKept: () => Promise<VerifiedDocuments<Contents> | undefined>,
  isNewer: (a: Contents, b: Contents) => boolean,
): Promise<readonly FetchedCollateral[]> {
  const kept = await readKept().catch((error: unknown) => {
    // Documents that do not hold now, or are not the vendor's, are replaced. A folder that cannot be read is an error.
    if (error instanceof BootstrapError && /^(?:refused|malformed)\//.test(error.code)) return undefined;
    throw error;
  });
  if (kept === undefined || !isNewer(kept.contents, fetched.contents)) return fetched.documents;
  return kept.documents.map((document) => ({ ...document, isAnswerOlder: true }));
}

/** One request to a service. */
export interface VendorRequest {
  /** The name of the first document that it gives. No two requests have the same. */
  readonly name: string;
  /** The address that it asks. */
  readonly url: string;
  /**
   * Asks for the documents, and verifies them. It returns a document that is there already if that one is verified and
   * newer.
   *
   * @throws {BootstrapError} The errors of `ask`; `refused/…` and `malformed/…` for a document that is not the vendor's,
   *   not valid now or not of this platform.
   */
  fetch(ask: AskVendor, now: Date, findKept: FindKept): Promise<readonly FetchedCollateral[]>;
}

/** The service of the vendor behind one kind of evidence. */
export interface VendorService {
  /** The addresses that can be changed, by their names, with their values. */
  readonly addresses: Readonly<Record<string, string>>;
  /** The names of platforms, for people. */
  readonly platforms: string;
  /** Whether a name is that of a platform of this vendor. */
  isPlatform(name: string): boolean;
  /**
   * Lists the requests for everything that policies need.
   *
   * @param platforms Names of platforms.
   * @param machines Evidence of the kind.
   * @param addresses The addresses that differ from {@linkcode VendorService.addresses}, without a slash at the end.
   * @throws {BootstrapError} `malformed/…` for evidence that cannot be read, `usage/collateral` if it does not say of
   *   which platform it is.
   */
  requests(
    platforms: readonly string[],
    machines: readonly SectionSource[],
    addresses: Readonly<Record<string, string>>,
  ): readonly VendorRequest[];
}

/** Returns the requests without those whose documents an earlier one gives. */
export function distinct(requests: readonly VendorRequest[]): readonly VendorRequest[] {
  return [...new Map(requests.map((request) => [request.name, request])).values()];
}
