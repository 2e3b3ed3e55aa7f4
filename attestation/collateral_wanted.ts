/**
 * Documents that a verification lacks and that could be fetched.
 *
 * A service verifies a few peers at once, and fetches take seconds. So its verifiers get only documents that are at
 * hand. A verification that passed everything else that can be checked without a document ends with
 * {@linkcode CollateralWanted}. The service fetches outside of its turns, and verifies again.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";
import type { Collateral, CollateralFile } from "./collateral.ts";
import { checkCollateralName } from "./collateral.ts";

/** A document that could be fetched. */
export interface WantedDocument {
  readonly name: string;
  /** Fetches it to where it is at hand, and returns whether there is one. It may fail as a source's `find`. */
  readonly fetch: () => Promise<boolean>;
}

/** The end of a verification that needs documents first. It is no verdict. */
export class CollateralWanted extends BootstrapError {
  /** Creates the end of a verification that needs these documents. */
  constructor(readonly documents: readonly WantedDocument[]) {
    const names = documents.map(({ name }) => name).join(", ");
    super("unavailable/collateral", `Documents are needed that are not here yet: ${names}`, { details: { names } });
  }
}

/** A source that can say without waiting what it has. */
export interface CollateralMemory extends Collateral {
  /**
   * Returns what is known of a document: the document, or that there is none; `undefined` if nothing is known.
   *
   * @throws {BootstrapError} Why the document cannot be had for now.
   */
  recall(name: string): { readonly file: CollateralFile | undefined } | undefined;
}

/** Returns a source of the documents that are at hand. Its `find` throws {@linkcode CollateralWanted} for others. */
export function collateralAtHand(memory: CollateralMemory): Collateral {
  return {
    place: memory.place,
    // deno-lint-ignore require-await -- A refusal must be a rejection.
    async find(name) {
      checkCollateralName(name);
      const known = memory.recall(name);
      if (known !== undefined) return known.file;
      throw new CollateralWanted([{ name, fetch: async () => await memory.find(name) !== undefined }]);
    },
  };
}

/**
 * Waits for several searches.
 *
 * @throws The first error that is not {@linkcode CollateralWanted}; otherwise one with all wanted documents.
 */
export async function findAll<T>(searches: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(searches);
  const failures = results.flatMap((result) => result.status === "rejected" ? [result.reason as unknown] : []);
  for (const failure of failures) if (!(failure instanceof CollateralWanted)) throw failure;
  const wanted = failures.flatMap((failure) => failure instanceof CollateralWanted ? failure.documents : []);
  if (wanted.length > 0) throw new CollateralWanted(wanted);
  return results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
}
