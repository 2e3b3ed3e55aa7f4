/**
 * Waits for the kubelet of this machine and for its Node.
 *
 * @module
 */
import * as v from "valibot";
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError, hasCode, optionsOf } from "../platform/errors.ts";
import { present } from "../platform/present.ts";
import { pollUntil, type Wait } from "./_poll.ts";
import { nodeSchema, type NotReady, notReadyOf } from "./_workloads.ts";
import { type ApiCredentials, KubernetesApi } from "./api.ts";
import { ForbiddenPatience } from "./forbidden_patience.ts";
import { readKubeconfig } from "./kubeconfig.ts";

export type { Wait } from "./_poll.ts";
export type { NotReady } from "./_workloads.ts";

/** The URL at which the kubelet reports its health (KubeletConfiguration, `healthzPort`). */
const KUBELET_HEALTHZ = "http://127.0.0.1:10248/healthz";
/** The file of the kubelet's own credentials. */
export const KUBELET_KUBECONFIG = "/etc/kubernetes/kubelet.conf";

const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 1_000;
const API_LOOK_MS = 5_000;
const LOOK_AT_KUBELET = "Check the kubelet's log: journalctl -u kubelet";

/** The awaited state: the Node exists, or it is Ready. */
export type NodeState = "registered" | "ready";

/** What to do if a Node's Pods have no network. */
export const INSTALL_NETWORK =
  "Install a network plug-in: give its manifest to `bootstrapper init --network` or `bootstrapper network apply`, see docs/network.md";

/**
 * Makes systemd start the kubelet, now and at every boot.
 *
 * @throws {BootstrapError} `system/command`.
 */
export async function startKubelet(commands: CommandRunner, deadlineMs: number): Promise<void> {
  await runOrThrow(commands, ["systemctl", "enable", "--now", "kubelet.service"], { deadlineMs });
}

/**
 * Makes systemd start the kubelet at every boot, and does not start or stop it now.
 *
 * @throws {BootstrapError} `system/command`.
 */
export async function enableKubelet(commands: CommandRunner, deadlineMs: number): Promise<void> {
  await runOrThrow(commands, ["systemctl", "enable", "kubelet.service"], { deadlineMs });
}

/**
 * Waits until the kubelet of this machine is healthy.
 *
 * @param url The health endpoint. Only tests use another one.
 * @throws {BootstrapError} `timeout/kubelet`.
 */
export async function waitForKubelet(wait: Wait, url: string = KUBELET_HEALTHZ): Promise<void> {
  await pollUntil(async () => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(LONGEST_POLL_MS) });
      await response.body?.cancel();
      return response.ok || undefined;
    } catch {
      // The kubelet does not listen yet.
      return undefined;
    }
  }, {
    ...wait,
    firstMs: FIRST_POLL_MS,
    longestMs: LONGEST_POLL_MS,
    code: "timeout/kubelet",
    next: LOOK_AT_KUBELET,
    failure: "The kubelet was not healthy",
  });
}

/**
 * Waits until a Node is registered or Ready.
 *
 * @param onNotReady Called with each new reason for which the Node is not Ready.
 * @throws {BootstrapError} `timeout/node`, with the last reason; errors of the API that are not retriable.
 */
export async function waitForNode(
  api: Pick<KubernetesApi, "find">,
  name: string,
  state: NodeState,
  wait: Wait,
  onNotReady?: (why: NotReady) => void,
): Promise<void> {
  let last: NotReady | undefined;
  try {
    await pollUntil(async () => {
      const node = await api.find(`/api/v1/nodes/${name}`, nodeSchema);
      if (node === undefined) return undefined;
      const why = state === "registered" ? undefined : notReadyOf(node);
      if (why !== undefined && why.reason !== last?.reason) onNotReady?.(why);
      last = why;
      return why === undefined || undefined;
    }, {
      ...wait,
      firstMs: FIRST_POLL_MS,
      longestMs: LONGEST_POLL_MS,
      code: "timeout/node",
      next: LOOK_AT_KUBELET,
      failure: `The Node ${name} was not ${state === "ready" ? "Ready" : "registered"}`,
    });
  } catch (error) {
    throw hasCode(error, "timeout/node") && last !== undefined ? withReason(error, last) : error;
  }
}

/** The same error with the reason for which the Node is not Ready. */
function withReason(error: BootstrapError, { reason, lacksNetwork }: NotReady): BootstrapError {
  if (reason === undefined) return error;
  const what = lacksNetwork ? `it has no network plug-in (${reason})` : reason;
  return new BootstrapError(error.code, `${error.message}: ${what}`, {
    ...optionsOf(error),
    ...(lacksNetwork ? { next: INSTALL_NETWORK } : {}),
  });
}

/**
 * Waits for this machine's own Node. It asks with the kubelet's credentials, which may not exist yet.
 *
 * @param kubeconfigPath The kubelet's kubeconfig.
 * @throws {BootstrapError} The same as {@linkcode waitForNode}.
 */
export async function waitForOwnNode(
  name: string,
  state: NodeState,
  wait: Wait,
  kubeconfigPath: string = KUBELET_KUBECONFIG,
): Promise<void> {
  const start = wait.clock.monotonicMs();
  const credentials = await pollUntil(() => credentialsOf(kubeconfigPath), {
    ...wait,
    firstMs: FIRST_POLL_MS,
    longestMs: LONGEST_POLL_MS,
    code: "timeout/node",
    next: LOOK_AT_KUBELET,
    failure: `The kubelet had no credentials at ${kubeconfigPath}`,
  });
  using api = new KubernetesApi(credentials);
  const leftMs = Math.max(0, wait.deadlineMs - (wait.clock.monotonicMs() - start));
  await waitForNode(api, name, state, { ...wait, deadlineMs: leftMs });
}

/**
 * Reads the kubelet's credentials. The kubelet writes its kubeconfig in place, so an unreadable file counts as missing.
 */
async function credentialsOf(path: string): Promise<ApiCredentials | undefined> {
  try {
    return await readKubeconfig(path);
  } catch (error) {
    if (!(error instanceof BootstrapError)) throw error;
    return undefined;
  }
}

/** An answer shows that the server knows the caller's rights: for a while after its start it knows those of nobody. */
const ANY_OBJECT = "/api/v1/namespaces/kube-system/configmaps?limit=1";

/**
 * Waits until an API server answers its administrator at an address, with a certificate for that address.
 *
 * @throws {BootstrapError} `timeout/kubernetes-api`; errors of the API that are not retriable.
 */
export async function waitForApi(credentials: ApiCredentials, wait: Wait): Promise<void> {
  const patience = new ForbiddenPatience(wait.clock);
  using api = new KubernetesApi(credentials, { deadlineMs: API_LOOK_MS, patience, ...present("signal", wait.signal) });
  await pollUntil(async () => {
    await api.get(ANY_OBJECT, v.unknown());
    return true;
  }, {
    ...wait,
    firstMs: FIRST_POLL_MS,
    longestMs: LONGEST_POLL_MS,
    code: "timeout/kubernetes-api",
    failure: `The API server did not answer at ${credentials.server}`,
  });
}
