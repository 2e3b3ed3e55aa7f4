import { join } from "node:path";
import { createFounding } from "../../protocol/founding.ts";
import type { CertificateAuthority } from "../../certificate/ca.ts";
import { issueServiceCertificate, joinCertificateAuthority } from "../../certificate/ca.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../../certificate/keys.ts";
import { readPem, writePem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import type { ApiCredentials } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { writeServiceState } from "../../service/service_state.ts";
import { base64 } from "../../platform/bytes.ts";
import { TestCluster } from "../integration/kubernetes/cluster.ts";
import { EK_ORGANIZATION } from "./load_nodes.ts";
import { LineProcess } from "./line_process.ts";

const CLUSTER_NAME = "test";
const ZERO = "0".repeat(64);

/** A running join service. */
export interface RunningService extends AsyncDisposable {
  readonly signer: LineProcess;
  readonly front: LineProcess;
  /** When both listened, milliseconds since 1970. */
  readonly atMs: number;
}

/** The folders of a join service. */
interface Folders {
  /** The folder with all the others. */
  readonly root: string;
  /** The state of the service, and its sockets. */
  readonly state: string;
  /** What the signer sees as `/etc/kubernetes`. It writes its cut list there, which no API server reads here. */
  readonly kubernetes: string;
  readonly credentials: string;
}

/** Becomes a program that sees a folder of ours as `/etc/kubernetes`; it keeps the process ID. */
const WITH_OWN_FOLDER = ["unshare", "--mount", "sh", "-euc"] as const;
const BIND = 'mount --bind "$1" /etc/kubernetes; shift; exec "$@" 2>&1';

/** A real one-node control plane, and a compiled join service that is started and stopped next to it. */
export class LoadCluster implements AsyncDisposable {
  readonly #folders: Folders;

  private constructor(
    readonly cluster: TestCluster,
    readonly operator: KeyPair,
    folders: Folders,
    /** The administrator's credentials for the API server. */
    readonly admin: ApiCredentials,
    /** The port on which the join service listens. */
    readonly port: number,
  ) {
    this.#folders = folders;
  }

  /** Makes the cluster and the state of its join service. The policy trusts the TPMs of this authority. */
  static async create(authority: CertificateAuthority): Promise<LoadCluster> {
    const cluster = await TestCluster.create();
    const operator = await generateKeyPair("ed25519");
    const caKeys = await readPrivateKeyPem(await Deno.readTextFile(join(cluster.ca.folder, "ca.key")), "ca.key");
    const caCertificate = readPem(await cluster.ca.certificate(), "CERTIFICATE", "ca.crt");
    const ca = joinCertificateAuthority(readCertificate(caCertificate, "ca.crt"), caKeys);
    const clusterId = await clusterIdOf(ca.certificate);
    const keys = await generateKeyPair("p-256");
    const folders = await makeFolders();
    const port = freePort();
    const listen = `127.0.0.1:${port}`;
    await writeServiceState(folders.state, {
      ...{ keys, caCertificate, listen, apiServer: cluster.server },
      policyDocument: JSON.stringify({
        version: 1,
        variant: "tpm",
        tpm: {
          ekType: "ecc-p256",
          pcrs: { 4: [ZERO] },
          trust: {
            issuers: [{
              certificate: writePem("CERTIFICATE", authority.certificate.der),
              attributes: { O: EK_ORGANIZATION },
            }],
          },
        },
      }),
      certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, new Date())).der,
      foundings: [await createFounding(operator, clusterId, CLUSTER_NAME)],
      trust: { clusterName: CLUSTER_NAME, clusterId, operatorKeys: [operator.spki] },
      clusterDocument: "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}",
      apiEndpoints: [new URL(cluster.server).host],
      joinEndpoints: [listen],
    });
    await Deno.writeTextFile(join(folders.credentials, "ca.key"), await privateKeyPem(caKeys));
    await Deno.writeTextFile(join(folders.credentials, "service.key"), await privateKeyPem(keys));
    const admin = await readKubeconfig(cluster.controlPlane.path("/etc/kubernetes/admin.conf"));
    return new LoadCluster(cluster, operator, folders, admin, port);
  }

  /** The parts of a node's task that describe the cluster. */
  get target() {
    return {
      clusterName: CLUSTER_NAME,
      operatorKey: base64(this.operator.spki),
      endpoints: [{ host: "127.0.0.1", port: this.port }],
    };
  }

  /** Starts signer and front, and returns them once they listen, with the time in milliseconds since 1970. */
  async startService(binary: string): Promise<RunningService> {
    const { state, kubernetes, credentials } = this.#folders;
    const options = ["--folder", state, "--socket", join(state, "signer.sock"), "--dialer", join(state, "etcd.sock")];
    // Both log to their standard error.
    const start = (part: string) =>
      LineProcess.start([
        ...["env", `CREDENTIALS_DIRECTORY=${credentials}`, ...WITH_OWN_FOLDER, BIND, "sh", kubernetes],
        ...[binary, "join-service", part, ...options],
      ]);
    const signer = start("signer");
    const front = start("front");
    const started = await Promise.all([
      signer.event("join-signer-started"),
      front.event("join-service-started"),
    ]);
    return {
      signer,
      front,
      atMs: Math.max(...started.map(({ time }) => Date.parse(String(time)))),
      async [Symbol.asyncDispose]() {
        await front[Symbol.asyncDispose]();
        await signer[Symbol.asyncDispose]();
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await Deno.remove(this.#folders.root, { recursive: true });
  }
}

async function makeFolders(): Promise<Folders> {
  const root = await Deno.makeTempDir();
  const folder = async (name: string) => {
    await Deno.mkdir(join(root, name));
    return join(root, name);
  };
  return {
    ...{ root, state: await folder("join-service"), kubernetes: await folder("kubernetes") },
    credentials: await folder("credentials"),
  };
}

/** Returns a port that the kernel has just reported as free. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
