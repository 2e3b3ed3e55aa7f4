/**
 * Collateral: signed documents of a hardware vendor that do not come with the evidence, such as certificates and
 * revocation lists. The verifiers check the signatures, so sources are untrusted.
 *
 * @module
 */
import { join } from "node:path";
import { inReadForm } from "./_collateral_form.ts";
import type { Bytes } from "../platform/bytes.ts";
import { readFileIfExists } from "../platform/files.ts";
import { BootstrapError } from "../platform/errors.ts";

/** A signed document, and the place where it was found. */
export interface CollateralFile {
  readonly bytes: Bytes;
  /** The place where it was found, for errors: a path or an address. */
  readonly source: string;
}

/** Finds documents by name. */
export interface Collateral {
  /**
   * Finds a document.
   *
   * @param name Lower-case letters, digits, dots and hyphens.
   * @returns The document, or `undefined` if there is none of that name.
   */
  find(name: string): Promise<CollateralFile | undefined>;
  /** The place that is searched, for errors. */
  readonly place: string;
}

/** A source without documents. */
export const NO_COLLATERAL: Collateral = Object.freeze({
  place: "a folder of collateral",
  find: () => Promise.resolve(undefined),
});

const NAME = /^[a-z0-9][a-z0-9.-]{0,249}$/;
/** The largest accepted document: 1 MiB. Revocation lists are the largest documents. */
export const MAXIMUM_COLLATERAL_BYTES: number = 1 << 20;

/** Checks that a name cannot lead to another folder or path. @throws {BootstrapError} `internal/collateral`. */
export function checkCollateralName(name: string): void {
  if (!NAME.test(name)) throw new BootstrapError("internal/collateral", `"${name}" is not the name of a document`);
}

/**
 * Creates a source that reads documents from a folder. Each file has the name of its document.
 *
 * @returns The source. Its `find` throws `system/file`, `malformed/size` and `malformed/document-form`.
 */
export function collateralFolder(folder: string): Collateral {
  return {
    place: folder,
    async find(name) {
      checkCollateralName(name);
      const source = join(folder, name);
      const bytes = await readFileIfExists(source, MAXIMUM_COLLATERAL_BYTES);
      return bytes === undefined ? undefined : { bytes: inReadForm(name, bytes, source), source };
    },
  };
}

/**
 * Combines several sources. The first that has a document provides it. A failing source ends the search, because it
 * might have had the document.
 */
export function collateralInOrder(...places: readonly Collateral[]): Collateral {
  return {
    place: places.map(({ place }) => place).join(", ") || "no place",
    async find(name) {
      checkCollateralName(name);
      for (const place of places) {
        const file = await place.find(name);
        if (file !== undefined) return file;
      }
      return undefined;
    },
  };
}
