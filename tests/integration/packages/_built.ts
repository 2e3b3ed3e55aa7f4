/**
 * The packages of this checkout, made once for each file of tests.
 *
 * @module
 */
import { join } from "node:path";
import { buildPackages } from "../../tools/packages/build_packages.ts";
import { currentRelease, type Release } from "../../tools/packages/release.ts";
import type { Store } from "../../tools/store.ts";

/** Packages in a folder of their own, which is removed in the end. */
export class BuiltPackages implements AsyncDisposable {
  readonly #names: readonly string[];

  private constructor(readonly folder: string, readonly release: Release) {
    this.#names = Array.from(Deno.readDirSync(folder), ({ name }) => name).toSorted();
  }

  /**
   * @param store where the parts come from
   * @param build makes all, or some
   */
  static async make(store: Store, build: typeof buildPackages = buildPackages): Promise<BuiltPackages> {
    const folder = join(await Deno.makeTempDir({ prefix: "bootstrapper-built-" }), "packages");
    const release = await currentRelease();
    await build(store, release, folder);
    return new BuiltPackages(folder, release);
  }

  get names(): readonly string[] {
    return this.#names;
  }

  /**
   * The path of the only file whose name matches.
   *
   * @throws Error if none or several do.
   */
  path(pattern: RegExp): string {
    const [name, another] = this.#names.filter((name) => pattern.test(name));
    if (name === undefined || another !== undefined) throw new Error(`${pattern} is not one of ${this.#names.join()}`);
    return join(this.folder, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(join(this.folder, ".."), { recursive: true });
  }
}

/** The packages by the names of {@linkcode BuiltPackages.names}. */
export const PACKAGE = {
  deb: /^bootstrapper_.*\.deb$/,
  nodeDeb: /^bootstrapper-node_.*\.deb$/,
  rpm: /^bootstrapper-\d.*\.rpm$/,
  nodeRpm: /^bootstrapper-node-\d.*\.rpm$/,
  archive: /linux-\w+\.tar\.gz$/,
  image: /\.oci\.tar$/,
  sbom: /linux-\w+\.spdx\.json$/,
  imageSbom: /\.oci\.spdx\.json$/,
} as const;
