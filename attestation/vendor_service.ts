/**
 * The services of hardware vendors that give collateral. They are untrusted: each document is verified before it is
 * kept.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
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
}

/** One request to a service. */
export interface VendorRequest {
  /** The name of the first document that it gives. No two requests have the same. */
  readonly name: string;
  /**
   * Asks for the documents, and verifies them.
   *
   * @throws {BootstrapError} The errors of `ask`; `refused/…` and `malformed/…` for a document that is not the vendor's,
   *   not valid now or not of this platform.
   */
  fetch(ask: AskVendor, now: Date): Promise<readonly FetchedCollateral[]>;
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
