import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
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
import { readPolicyDocument, readServiceState, writeServiceState } from "../../../service/service_state.ts";
import { Journals } from "../../../journal/journals.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { waitForNode, waitForOwnNode } from "../../../kubernetes/readiness.ts";
import type { NodeLock } from "../../../nodelock/lock.ts";
import { openNodeLock } from "../../../nodelock/lock.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { systemClock } from "../../../platform/clock.ts";
import { exists } from "../../../platform/files.ts";
import { createLog, silentLog } from "../../../platform/log.ts";
import { kubeadmOn, TestCluster } from "../kubernetes/cluster.ts";
import type { TpmMachine } from "../attacks/attacks.ts";
import { startTpmMachine, swtpmTest } from "../attacks/attacks.ts";
import type { WorldNode } from "../../world_node.ts";

const CLUSTER_NAME = "test";
const never = () => Promise.reject(new Error("this is a worker"));
const noControlPlane = {
  ...{
    preflight: never,
    hasKeys: never,
    installKeys: never,
    isVoter: never,
    resume: never,
    run: never,
    startJoinService: never,
  },
};
const WAIT = { clock: systemClock, deadlineMs: 60_000 };
/** Parts of a machine that a node of the world lacks: a container runtime, and control groups of version 2. */
const NOT_IN_THE_WORLD = /^(?:CRI|ContainerRuntimeVersion|SystemVerification)$/;

/** The settings that all machines of one test share. */
interface Setting {
  readonly trust: TrustPart;
  readonly port: number;
  readonly address: string;
}

/** A worker of the world with a TPM, its node lock, and the JoinClient that runs on it. */
class Worker implements AsyncDisposable {
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
    const kubeletConf = node.path("/etc/kubernetes/kubelet.conf");
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
        hasJoined: () => exists(kubeletConf),
        enable: () => Promise.resolve(),
        start: () => Promise.resolve(),
        // kubeadm has already waited for that.
        waitUntilHealthy: () => Promise.resolve(),
        waitUntilRegistered: (stop) => waitForOwnNode(node.name, "registered", { ...WAIT, signal: stop }, kubeletConf),
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
async function serviceState(cluster: TestCluster, operator: KeyPair, policyDocument: string, listen: string) {
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

function policyFor(...machines: readonly TpmMachine[]): string {
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

/** Runs the join service on the state in a folder, as its unit does, until it is disposed of. */
async function startService(
  folder: string,
  credentialsFolder: string,
  events: Record<string, unknown>[],
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

function freePort(hostname: string): number {
  using listener = Deno.listen({ hostname, port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

await swtpmTest(
  "workers join a real cluster: with a ticket from a service that starts late, and again after they were killed",
  async (t) => {
    await using cluster = await TestCluster.create();
    const operator = await generateKeyPair("ed25519");
    const address = cluster.world.operatorAddress;
    const port = freePort(address);
    const trust = {
      clusterName: CLUSTER_NAME,
      clusterId: new Uint8Array(0),
      operatorKeys: [operator.spki],
      ...TPM_SETTINGS,
    };
    const setting = { trust, port, address };
    await using first = await Worker.create(cluster, "worker-1", setting);
    await using second = await Worker.create(cluster, "worker-2", setting);
    await using altered = await Worker.create(cluster, "worker-3", setting);
    await using twin = await Worker.create(cluster, "worker-4", setting);
    await altered.machine.issuer.extend(4, new Uint8Array(32).fill(1));
    const policy = policyFor(first.machine, second.machine, altered.machine, twin.machine);
    const folder = cluster.controlPlane.path("/var/lib/bootstrapper/join-service");
    await writeServiceState(folder, await serviceState(cluster, operator, policy, `${address}:${port}`));
    const events: Record<string, unknown>[] = [];
    const records = new AdmissionRecords(cluster.admin);
    const runFolders = await Deno.makeTempDir();
    const patience = AbortSignal.timeout(240_000);
    let service: AsyncDisposable | undefined;

    await t.step("the first waits until the service is there, then joins", async () => {
      const joining = first.join(patience, join(runFolders, "1"));
      while (first.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
      assert.equal(first.failures[0]?.error.code, "unavailable/connection");
      service = await startService(folder, cluster.ca.folder, events);
      assert.equal(await joining, "joined");
      await waitForNode(cluster.admin, "worker-1", "ready", WAIT);
      const record = await records.find(first.machine.identity);
      assert.ok(record?.nodeName === "worker-1" && record.role === "worker");
      assert.deepEqual(record.addresses, [first.node.ip]);
      const lock = (await first.openLock()).state();
      assert.ok(lock.name === "locked" && lock.lock.owner === "join");
      assert.deepEqual([...Deno.readDirSync(join(runFolders, "1"))], []);
      const issued = events.find(({ event }) => event === "join-ticket-issued");
      assert.equal(issued?.["identity"], first.machine.identity);
    });

    await t.step("the second is killed after the lock, loses its keys in a reboot, and goes on by itself", async () => {
      const kill = new AbortController();
      const onPhase = (phase: string) => phase === "kubeadm-join" && kill.abort();
      await assert.rejects(second.join(kill.signal, join(runFolders, "2"), { onPhase }), { code: "aborted/join" });
      assert.equal((await second.openLock()).state().name, "locked");
      const before = await records.find(second.machine.identity);
      assert.equal(await second.join(patience, join(runFolders, "2-after-reboot")), "joined");
      await waitForNode(cluster.admin, "worker-2", "ready", WAIT);
      const after = await records.find(second.machine.identity);
      assert.equal(after?.nodeName, "worker-2");
      assert.notEqual(after?.nodeKey, before?.nodeKey);
      assert.deepEqual(second.phases.filter((phase) => phase === "join-lock"), ["join-lock"]);
    });

    await t.step("a machine with another PCR is refused, stays fresh, and is not on record", async () => {
      const stop = new AbortController();
      const joining = altered.join(stop.signal, join(runFolders, "3"));
      while (altered.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
      stop.abort();
      await assert.rejects(joining, { code: "aborted/join" });
      assert.equal(altered.failures[0]?.error.code, "refused/pcr-4");
      assert.equal((await altered.openLock()).state().name, "unlocked");
      assert.equal(await records.find(altered.machine.identity), undefined);
      const refused = events.find(({ event, code }) => event === "join-refused" && code === "refused/pcr-4");
      assert.equal(refused?.["node"], "worker-3");
    });

    await t.step("another machine cannot have the name of a member, nor of the control plane", async () => {
      for (const name of ["worker-1", "cp-1"]) {
        const stop = new AbortController();
        twin.failures.length = 0;
        const joining = twin.join(stop.signal, join(runFolders, `4-${name}`), { name });
        while (twin.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
        stop.abort();
        await assert.rejects(joining, { code: "aborted/join" });
        const expected = name === "cp-1" ? "conflict/node-without-record" : "conflict/node-name";
        assert.equal(twin.failures[0]?.error.code, expected);
        assert.equal(await records.find(twin.machine.identity), undefined);
      }
    });

    await service?.[Symbol.asyncDispose]();
    for (const stopped of ["join-service-stopped", "join-signer-stopped"]) {
      assert.equal(events.slice(-2).filter(({ event }) => event === stopped).length, 1);
    }
    await Deno.remove(runFolders, { recursive: true });
  },
);
