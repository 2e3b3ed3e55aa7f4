/**
 * The newest policy of the ConfigMap that this service has seen in force, on its own disk. It survives a restart, so that
 * a service that once saw a ConfigMap never goes back to the policy of the founding, which knows no later ban.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { hex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";

/** The file, beside nothing else in its folder. */
export const KEPT_POLICY_FILE = "policy.json";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const MAXIMUM_BYTES = 1 << 20;

const schema = v.strictObject({
  version: v.literal(1),
  clusterId: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")),
  policyDocument: v.string(),
});

/** The policy that one service keeps. */
export class KeptPolicy {
  readonly #folder: string;
  readonly #clusterId: string;

  /**
   * Reads nothing yet.
   *
   * @param folder Made with mode 0700 if it is missing. The service must be able to write there.
   * @param clusterId The cluster of the service. What was kept for another cluster does not count.
   */
  constructor(folder: string, clusterId: Uint8Array) {
    this.#folder = folder;
    this.#clusterId = hex(clusterId);
  }

  /**
   * Returns the kept document, YAML; `undefined` if none was kept for this cluster.
   *
   * @throws {BootstrapError} `malformed/kept-policy`, `system/file`.
   */
  async read(): Promise<string | undefined> {
    const path = join(this.#folder, KEPT_POLICY_FILE);
    const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
    if (bytes === undefined) return undefined;
    const { clusterId, policyDocument } = readJson(bytes, {
      schema,
      maximumBytes: MAXIMUM_BYTES,
      newest: 1,
      error: (reason, key, cause) =>
        new BootstrapError("malformed/kept-policy", `Cannot read ${path}: ${reason}`, {
          details: { path, key },
          cause,
        }),
    });
    return clusterId === this.#clusterId ? policyDocument : undefined;
  }

  /**
   * Keeps a document in the place of the earlier one. It is on disk when this returns.
   *
   * @throws {BootstrapError} `system/file`.
   */
  async keep(policyDocument: string): Promise<void> {
    await ensureFolder(this.#folder, FOLDER_MODE);
    const kept: v.InferInput<typeof schema> = { version: 1, clusterId: this.#clusterId, policyDocument };
    await writeFileAtomic(join(this.#folder, KEPT_POLICY_FILE), utf8(`${JSON.stringify(kept)}\n`), { mode: FILE_MODE });
  }
}
