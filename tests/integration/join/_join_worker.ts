import assert from "node:assert/strict";
import { join } from "node:path";
import { NO_COLLATERAL } from "../../../attestation/collateral.ts";
import { createVerifier } from "../../../attestation/policy/policy_verifier.ts";
import { createFounding } from "../../../protocol/founding.ts";
import type { TrustPart } from "../../../protocol/transcript.ts";
import { issueServiceCertificate, joinCertificateAuthority } from "../../../certificate/ca.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { generateKeyPair, readPrivateKeyPem } from "../../../certificate/keys.ts";
import type { KeyPair } from "../../../certificate/keys.ts";
import { readPem } from "../../../certificate/pem.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import type { EndpointFailure } from "../../../join/ticket_search.ts";
import { runJoinClient } from "../../../join/client.ts";
import { runJoinFront } from "../../../service/front.ts";
import { runJoinService } from "../../../service/service.ts";
import { openRelaySocket } from "../../../channel/relay_server.ts";
import { readListenAddress } from "../../../platform/endpoint.ts";
import type { ServiceState } from "../../../service/service_state.ts";
import { readPolicyDocument, readServiceState } from "../../../service/service_state.ts";
import { Journals } from "../../../journal/journals.ts";
import type { NodeLock } from "../../../nodelock/lock.ts";
import { openNodeLock } from "../../../nodelock/lock.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { systemClock } from "../../../platform/clock.ts";
import { present } from "../../../platform/present.ts";
import { createLog, silentLog } from "../../../platform/log.ts";
import { systemdKubelet } from "../../../node/kubelet.ts";
import type { NodePaths } from "../../../node/paths.ts";
import { nodePaths } from "../../../node/paths.ts";
import { kubeadmOn, type TestCluster } from "../kubernetes/cluster.ts";
import type { TpmMachine } from "../attacks/attacks.ts";
import { startTpmMachine } from "../attacks/attacks.ts";
import type { WorldNode } from "../../world_node.ts";

/** The name of the clusters of these tests. */
export const CLUSTER_NAME = "test";
const never = () => Promise.reject(new Error("this is a worker"));
const noControlPlane = {
  ...{
    preflight: never,
    hasKeys: never,
    installKeys: never,
    isVoter: never,
    resume: never,
    run: never,
    keepCutList: never,
    startJoinService: never,
  },
};
/** For what a busy machine does in seconds. */
export const WAIT = { clock: systemClock, deadlineMs: 60_000 };
/** Parts of a machine that a node of the world lacks: a container runtime, and control groups of version 2. */
const NOT_IN_THE_WORLD = /^(?:CRI|ContainerRuntimeVersion|SystemVerification)$/;

/** The settings that all machines of one test share. */
export interface Setting {
  readonly trust: TrustPart;
  readonly port: number;
  readonly address: string;
}

/** A worker of the world with a TPM, its node lock, and the JoinClient that runs on it. */
export class Worker implements AsyncDisposable {
  readonly failures: EndpointFailure[] = [];
  readonly phases: string[] = [];

  private constructor(readonly node: WorldNode, readonly machine: TpmMachine, readonly setting: Setting) {}

  static async create(cluster: TestCluster, name: string, setting: Setting): Promise<Worker> {
    const node = await cluster.world.node(name);
    node.startKubeletStandIn();
    const machine = await startTpmMachine();
    await measureTrust(machine.issuer, setting.trust);
    return new Worker(node, machine, setting);
  }

  /** The node's folders, as the test reaches them. */
  get paths(): NodePaths {
    return nodePaths(this.node.path("/etc/kubernetes").slice(0, -"/etc/kubernetes".length));
  }

  openLock(): Promise<NodeLock> {
    const folder = this.node.path("/var/lib/bootstrapper");
    return openNodeLock({ folder, registers: this.machine.issuer, clock: systemClock });
  }

  /** Starts the bootstrapper's JoinClient, as a new process would. */
  async join(
    signal: AbortSignal,
    runFolder: string,
    { name = this.node.name, onPhase = () => {} }: { name?: string; onPhase?: (phase: string) => void } = {},
  ): Promise<"joined" | "lost"> {
    const { node, machine, setting } = this;
    const kubeadm = await kubeadmOn(node);
    return await runJoinClient({
      trust: setting.trust,
      self: { name, address: node.ip, role: "worker" },
      endpoints: [{ host: setting.address, port: setting.port }],
      kubeletVersion: "v1.36.3",
      issuer: machine.issuer,
      lock: await this.openLock(),
      kubeadm: {
        async preflight(command, document, run) {
          const failed = await kubeadm.preflight(command, document, run);
          const unexpected = failed.filter(({ check }) => !NOT_IN_THE_WORLD.test(check));
          assert.deepEqual(unexpected, []);
          return [];
        },
        join: (document, run) => kubeadm.join(document, run),
      },
      kubelet: {
        ...systemdKubelet({
          self: { name, address: node.ip, role: "worker" },
          paths: this.paths,
          kubeadm,
          commands: node.commands,
          clock: systemClock,
        }),
        // A namespace has no systemd.
        enable: () => Promise.resolve(),
        start: () => Promise.resolve(),
        // kubeadm has already waited for that.
        waitUntilHealthy: () => Promise.resolve(),
      },
      runFolder,
      stateFolder: node.path("/var/lib/bootstrapper"),
      journals: new Journals(node.path("/var/lib/bootstrapper"), { owner: "join", role: "worker", nodeName: name }, {
        clock: systemClock,
        recorder: {
          phase: (phase, work) => {
            this.phases.push(phase);
            onPhase(phase);
            return work();
          },
        },
      }),
      controlPlane: noControlPlane,
      clock: systemClock,
      log: silentLog,
    }, { signal, onEndpointFailure: (failure) => this.failures.push(failure) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
  }
}

/** The state that an init would have written for the join service. */
export async function serviceState(cluster: TestCluster, operator: KeyPair, policyDocument: string, listen: string) {
  const caKeys = await readPrivateKeyPem(await Deno.readTextFile(join(cluster.ca.folder, "ca.key")), "ca.key");
  const caCertificate = readPem(await cluster.ca.certificate(), "CERTIFICATE", "ca.crt");
  const ca = joinCertificateAuthority(readCertificate(caCertificate, "ca.crt"), caKeys);
  const clusterId = await clusterIdOf(ca.certificate);
  const keys = await generateKeyPair("p-256");
  const state: ServiceState = {
    ...{ keys, caCertificate, policyDocument, listen, apiServer: cluster.server },
    certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, new Date())).der,
    foundings: [await createFounding(operator, clusterId, CLUSTER_NAME)],
    trust: { clusterName: CLUSTER_NAME, clusterId, operatorKeys: [operator.spki] },
    clusterDocument: "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}",
    apiEndpoints: [new URL(cluster.server).host],
    joinEndpoints: [listen],
  };
  return state;
}

/** A policy that admits exactly these machines. */
export function policyFor(...machines: readonly Pick<TpmMachine, "identity">[]): string {
  const zero = "0".repeat(64);
  return JSON.stringify({
    version: 1,
    variant: "tpm",
    tpm: {
      ekType: "ecc-p256",
      pcrs: { 4: [zero] },
      trust: { identities: machines.map(({ identity }) => identity) },
    },
  });
}

/**
 * Runs the join service on the state in a folder, as its unit does, until it is disposed of.
 *
 * @param lifetimeMs How long certificates of nodes are valid. Default: as the cluster's settings say.
 */
export async function startService(
  folder: string,
  credentialsFolder: string,
  events: Record<string, unknown>[],
  lifetimeMs?: number,
): Promise<AsyncDisposable> {
  const state = await readServiceState(folder, new Date());
  const stop = new AbortController();
  const sockets = await Deno.makeTempDir();
  const socket = join(sockets, "signer.sock");
  const log = createLog(systemClock, (line) => events.push(JSON.parse(line)));
  const front = runJoinFront(
    { listen: readListenAddress(state.listen, "listen"), socket, clock: systemClock, log },
    stop.signal,
  );
  const running = runJoinService({
    listener: await openRelaySocket(socket),
    state,
    credentialsFolder,
    keptFolder: join(sockets, "kept"),
    ...present("nodeCertificateLifetimeMs", lifetimeMs),
    createVerifier: (policy) => createVerifier(policy, "node", NO_COLLATERAL, () => new Date()),
    readPolicyDocument: () => readPolicyDocument(folder),
    authorizationFolder: join(folder, "authorization"),
    clock: systemClock,
    log,
  }, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all([running, front]);
      await Deno.remove(sockets, { recursive: true });
    },
  };
}

/** A port that is free just now. */
export function freePort(hostname: string): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
