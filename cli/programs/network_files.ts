/**
 * Reads the manifests that an operator names, and applies them with words for people.
 *
 * @module
 */
import { join } from "node:path";
import type { KubernetesApi } from "../../kubernetes/api.ts";
import type { AppliedObject } from "../../kubernetes/apply_manifest.ts";
import { applyManifest, waitForWorkloads } from "../../kubernetes/apply_manifest.ts";
import type { ManifestObject } from "../../kubernetes/manifest.ts";
import {
  checkUnique,
  manifestError,
  MAXIMUM_MANIFEST_BYTES,
  objectText,
  readManifest,
} from "../../kubernetes/manifest.ts";
import type { Wait } from "../../kubernetes/readiness.ts";
import { textIn } from "../../platform/bytes.ts";
import { BootstrapError, sentenceOf } from "../../platform/errors.ts";
import { readFile } from "../../platform/files.ts";
import type { ProgressPrinter } from "./init_progress.ts";

const MANIFEST_FILE = /\.(?:ya?ml|json)$/;

/**
 * Reads the manifests at paths, in their order; those of a folder in the order of their names. All of them are checked.
 *
 * @throws {BootstrapError} `usage/manifest`, `system/file`.
 */
export async function readNetworkFiles(paths: readonly string[]): Promise<readonly ManifestObject[]> {
  const objects: ManifestObject[] = [];
  for (const path of (await Promise.all(paths.map(filesAt))).flat()) {
    const text = textIn(await readFile(path, MAXIMUM_MANIFEST_BYTES));
    if (text === undefined) throw manifestError(path, "it is not a text in UTF-8");
    objects.push(...readManifest(text, path));
  }
  checkUnique(objects);
  return objects;
}

async function filesAt(path: string): Promise<readonly string[]> {
  if (path === "-") {
    throw manifestError(path, "it is not read from standard input", "Write it to a file, and name that");
  }
  if (!(await statOf(path)).isDirectory) return [path];
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).filter((name) =>
    MANIFEST_FILE.test(name)
  );
  if (names.length === 0) throw manifestError(path, "the folder has no file that ends in .yaml, .yml or .json");
  return names.toSorted().map((name) => join(path, name));
}

async function statOf(path: string): Promise<Deno.FileInfo> {
  try {
    return await Deno.stat(path);
  } catch (cause) {
    throw new BootstrapError("system/file", `Cannot read ${path}`, { cause, details: { path } });
  }
}

/** How {@linkcode installNetwork} works. */
export interface InstallOptions extends Wait {
  /** Whether to wait until the DaemonSets and Deployments are ready. */
  readonly untilReady: boolean;
}

/** Applies the objects within the wait's deadline, and says so. */
export async function installNetwork(
  api: KubernetesApi,
  objects: readonly ManifestObject[],
  { untilReady, ...wait }: InstallOptions,
  printer: ProgressPrinter,
): Promise<void> {
  const startMs = wait.clock.monotonicMs();
  let said: string | undefined;
  const onFailedTry = (error: BootstrapError) => {
    const reason = sentenceOf(error);
    if (reason === said) return;
    said = reason;
    printer.note("network-waiting", `The network waits: ${reason}`, { code: error.code, reason });
  };
  const onApplied = ({ object, number, of }: AppliedObject) => {
    const { apiVersion, kind, name, namespace = "" } = object;
    const text = `Applied ${objectText(object)} (${number} of ${of})`;
    printer.note("network-applied", text, { apiVersion, kind, namespace, name, number, of });
  };
  await applyManifest(api, objects, { ...wait, onFailedTry }, { onApplied });
  if (!untilReady) return;
  printer.note("network-rollout", "Waiting until the network's DaemonSets and Deployments are ready", {});
  const deadlineMs = Math.max(0, wait.deadlineMs - (wait.clock.monotonicMs() - startMs));
  await waitForWorkloads(api, objects, { ...wait, deadlineMs, onFailedTry });
}
