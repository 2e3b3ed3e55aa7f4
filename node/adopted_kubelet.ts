/**
 * The kubelet of a node that was in its cluster before the cluster was adopted: it takes the bootstrapper's certificates
 * instead of those that it asked the cluster for. Its containers go on while it is started again.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import * as v from "valibot";
import {
  KUBELET_FOLDER,
  kubeletKubeconfigPath,
  nodeCertificatePath,
  readNodeCertificate,
} from "../kubernetes/kubelet_credentials.ts";
import { fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { readYaml } from "../platform/yaml.ts";
import type { NodePaths } from "./paths.ts";

const CONFIGURATION = "config.yaml";
const CONFIGURATION_MODE = 0o644;
const MAXIMUM_BYTES = 1 << 18;
const SYSTEMCTL_DEADLINE_MS = 120_000;
const SERVING_PEM = nodeCertificatePath(KUBELET_FOLDER, "serving");
/** What the KubeletConfiguration of an adopted node says of certificates. */
const OWN_KEYS = Object.freeze({
  rotateCertificates: false,
  serverTLSBootstrap: false,
  tlsCertFile: SERVING_PEM,
  tlsPrivateKeyFile: SERVING_PEM,
});

const configurationSchema = v.looseObject({ kind: v.literal("KubeletConfiguration") });

/** A KubeletConfiguration that serves with the bootstrapper's certificate, and asks the cluster for none. */
export function withOwnCertificates(text: string, what: string): string {
  let value: unknown;
  try {
    value = readYaml(text);
  } catch (cause) {
    throw noConfiguration(what, cause);
  }
  const result = v.safeParse(configurationSchema, value);
  if (result.success) return stringify({ ...result.output, ...OWN_KEYS });
  throw noConfiguration(what);
}

function noConfiguration(what: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/kubelet-configuration", `${what} is no KubeletConfiguration`, {
    cause,
    details: { path: what },
  });
}

/**
 * Lets the kubelet take its certificates from the bootstrapper's files, and starts it again. Its kubeconfig names them
 * already. May be repeated.
 *
 * @throws {BootstrapError} `malformed/kubelet-configuration`, `system/file`, `system/command`.
 */
export async function useOwnCertificates(
  { kubelet }: Pick<NodePaths, "kubelet">,
  commands: CommandRunner,
): Promise<void> {
  const path = join(kubelet, CONFIGURATION);
  const before = fromUtf8(await readFile(path, MAXIMUM_BYTES), path);
  await writeFileAtomic(path, utf8(withOwnCertificates(before, path)), { mode: CONFIGURATION_MODE });
  await runOrThrow(commands, ["systemctl", "restart", "kubelet.service"], { deadlineMs: SYSTEMCTL_DEADLINE_MS });
}

/** Whether the kubelet's files name the bootstrapper's certificates, and its client certificate has not ended. */
export async function usesOwnCertificates(
  paths: Pick<NodePaths, "kubelet" | "kubernetes">,
  clock: Pick<Clock, "now">,
): Promise<boolean> {
  const certificate = await readNodeCertificate(paths, "client").catch(() => undefined);
  if (certificate === undefined || clock.now() >= certificate.notAfter) return false;
  const [kubeconfig, configuration] = await Promise.all([
    textOf(kubeletKubeconfigPath(paths)),
    textOf(join(paths.kubelet, CONFIGURATION)),
  ]);
  return kubeconfig.includes(nodeCertificatePath(paths.kubelet, "client")) && configuration.includes(SERVING_PEM);
}

async function textOf(path: string): Promise<string> {
  return fromUtf8(await readFileIfExists(path, MAXIMUM_BYTES) ?? new Uint8Array(), path);
}
