/**
 * Collateral: signed documents of a hardware vendor that do not come with the evidence, such as certificates and revocation
 * lists. Whoever reads them verifies them, so it does not matter where they were fetched.
 *
 * @module
 */
import { join } from "node:path";
import type { Bytes } from "../platform/bytes.ts";
import { readFileIfExists } from "../platform/files.ts";
import { BootstrapError } from "../platform/errors.ts";

/** A document. */
export interface CollateralFile {
  /** Its bytes, whatever they are. */
  readonly bytes: Bytes;
  /** Where it was found, for errors: a path, an address. */
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
  /** Where it looks, for errors. */
  readonly place: string;
}

/** No documents at all. */
export const NO_COLLATERAL: Collateral = Object.freeze({
  place: "a folder of collateral",
  find: () => Promise.resolve(undefined),
});

const NAME = /^[a-z0-9][a-z0-9.-]{0,249}$/;
/** The largest document: 1 MiB, as for revocation lists, which are the largest. */
export const MAXIMUM_COLLATERAL_BYTES: number = 1 << 20;

/** Checks that a name is one that leads nowhere else. @throws {BootstrapError} `internal/collateral`. */
export function checkCollateralName(name: string): void {
  if (!NAME.test(name)) throw new BootstrapError("internal/collateral", `"${name}" is no name of a document`);
}

/**
 * The documents in a folder, each in a file of its name.
 *
 * @returns What finds them; `find` throws `system/file`, `malformed/size`.
 */
export function collateralFolder(folder: string): Collateral {
  return {
    place: folder,
    async find(name) {
      checkCollateralName(name);
      const source = join(folder, name);
      const bytes = await readFileIfExists(source, MAXIMUM_COLLATERAL_BYTES);
      return bytes === undefined ? undefined : { bytes, source };
    },
  };
}

/**
 * Several places, asked in this order: the first that has a document gives it. A place that fails ends the search, as it might
 * have had it.
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
