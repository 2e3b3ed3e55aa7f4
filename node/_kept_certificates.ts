/**
 * A copy of a control plane's certificates and keys while kubeadm replaces them: kubeadm writes each file in place, the
 * key before its certificate. What a kill or a power cut leaves half written is put back, and renewed again.
 *
 * @module
 */
import { join } from "node:path";
import { CONTROL_PLANE_CERTIFICATES } from "../kubernetes/control_plane_certificates.ts";
import {
  ensureFolder,
  exists,
  fileMode,
  readFileIfExists,
  removeIfExists,
  renameFolder,
  writeFileAtomic,
} from "../platform/files.ts";
import type { NodePaths } from "./paths.ts";

/** The folder of the copies in the state folder. */
export const KEPT_CERTIFICATES = "certificates.kept";
const MAXIMUM_BYTES = 1 << 18;
const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;

/** Copies all that is there. The copy is there as a whole or not at all. */
export async function keepCertificates({ state, kubernetes }: NodePaths): Promise<void> {
  const staged = join(state, `${KEPT_CERTIFICATES}.staged`);
  await removeIfExists(staged);
  await ensureFolder(staged, PRIVATE_FOLDER);
  for (const path of FILES) {
    const bytes = await readFileIfExists(join(kubernetes, path), MAXIMUM_BYTES);
    if (bytes !== undefined) await writeFileAtomic(join(staged, nameOf(path)), bytes, { mode: PRIVATE_FILE });
  }
  await renameFolder(staged, join(state, KEPT_CERTIFICATES));
}

/** Forgets the copies: kubeadm has ended. */
export async function forgetCertificates({ state }: Pick<NodePaths, "state">): Promise<void> {
  const kept = join(state, KEPT_CERTIFICATES);
  const staged = `${kept}.staged`;
  // Half a copy must not be put back: it leaves its name first.
  if (await exists(kept)) {
    await removeIfExists(staged);
    await renameFolder(kept, staged);
  }
  await removeIfExists(staged);
}

/**
 * Puts the copies back, if a renewal was interrupted. May be repeated.
 *
 * @returns Whether there were copies.
 */
export async function restoreCertificates(paths: NodePaths): Promise<boolean> {
  const kept = join(paths.state, KEPT_CERTIFICATES);
  if (!await exists(kept)) return false;
  for (const path of FILES) {
    const bytes = await readFileIfExists(join(kept, nameOf(path)), MAXIMUM_BYTES);
    if (bytes === undefined) continue;
    const file = join(paths.kubernetes, path);
    await writeFileAtomic(file, bytes, { mode: await fileMode(file) ?? PRIVATE_FILE });
  }
  await forgetCertificates(paths);
  return true;
}

const FILES = CONTROL_PLANE_CERTIFICATES.flatMap(({ path, keyPath }) =>
  keyPath === undefined ? [path] : [path, keyPath]
);

function nameOf(path: string): string {
  return path.replaceAll("/", "_");
}
