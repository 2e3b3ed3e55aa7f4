/**
 * A worker that was in its cluster before the cluster was adopted: it joins in place. Root asks for it, which a file in
 * the state folder says, and then `bootstrapper run` takes the way of every join: evidence, ticket, lock. Only the
 * step that is kubeadm's otherwise differs: the kubelet that is there takes the ticket's certificates, and is started
 * again. Its containers go on.
 *
 * @module
 */
import { join } from "node:path";
import { clusterIdOf, clusterIdText } from "../certificate/cluster_id.ts";
import { readPem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import type { JoinClientDependencies } from "../join/client.ts";
import { equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, exists, readFile, writeFileAtomic } from "../platform/files.ts";
import { useOwnCertificates, usesOwnCertificates } from "./adopted_kubelet.ts";
import type { NodePaths } from "./paths.ts";
import type { RunDependencies } from "./run_dependencies.ts";

const FILE = "adopted";
const FILE_MODE = 0o644;
const MAXIMUM_PEM_BYTES = 1 << 16;

/** Whether root asked that this machine, which is in its cluster already, proves itself and stays. */
export function isAdopted(stateFolder: string): Promise<boolean> {
  return exists(join(stateFolder, FILE));
}

/** Records that this machine is to prove itself and stay. A reset removes the record with the state folder. */
export async function recordAdoption(stateFolder: string): Promise<void> {
  await ensureFolder(stateFolder);
  await writeFileAtomic(join(stateFolder, FILE), utf8("1\n"), { mode: FILE_MODE });
}

/**
 * Checks that kubeadm made this machine a node of exactly this cluster.
 *
 * @param clusterId The cluster ID of the configuration, 32 bytes.
 * @throws {BootstrapError} `precondition/adoption` if it is no node, or another cluster's; `malformed/…`.
 */
export async function checkPresentNode(
  { kubernetes, kubelet }: Pick<NodePaths, "kubernetes" | "kubelet">,
  clusterId: Uint8Array,
): Promise<void> {
  for (const path of [join(kubernetes, "kubelet.conf"), join(kubelet, "config.yaml")]) {
    if (await exists(path)) continue;
    throw notAdoptable(
      "no-node",
      `This machine is no node that kubeadm made: ${path} is missing`,
      path,
      "no such file",
    );
  }
  const path = join(kubernetes, "pki", "ca.crt");
  const pem = fromUtf8(await readFile(path, MAXIMUM_PEM_BYTES), path);
  const seen = await clusterIdOf(readCertificate(readPem(pem, "CERTIFICATE", path), path));
  if (equalBytes(seen, clusterId)) return;
  throw notAdoptable(
    "cluster-id",
    "This machine is a node of another cluster than its configuration names",
    clusterIdText(clusterId),
    clusterIdText(seen),
  );
}

/** The error for a machine that cannot be adopted as it is. */
export function notAdoptable(check: string, message: string, expected: string, seen: string): BootstrapError {
  return new BootstrapError("precondition/adoption", message, {
    details: { check, expected, seen },
  });
}

/** The parts of a join that differ for a node that stays. */
export type StayingParts = Pick<JoinClientDependencies, "kubeadm" | "kubelet" | "localChecks">;

/**
 * Returns the parts of the join of a node that stays.
 *
 * @param usual Those of a fresh machine. Its checks are left out that a node in its place cannot pass: the kubelet's
 *   port and files are in use.
 */
export function stayingParts(
  { paths, commands, clock }: Pick<RunDependencies, "paths" | "commands" | "clock">,
  usual: StayingParts,
): StayingParts {
  return {
    localChecks: async () =>
      (await usual.localChecks?.() ?? []).filter(({ check }) => !NOT_OF_A_PRESENT_NODE.includes(check)),
    kubelet: { ...usual.kubelet, hasJoined: () => usesOwnCertificates(paths, clock) },
    kubeadm: {
      preflight: () => Promise.resolve([]),
      join: () => useOwnCertificates(paths, commands),
    },
  };
}

/** Checks of `node/preflight.ts` for what a present node has and a fresh machine may not have. */
const NOT_OF_A_PRESENT_NODE: readonly string[] = ["leftovers", "ports"];
