import { join } from "node:path";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { joinCertificateAuthority } from "../../../certificate/ca.ts";
import { issueNodeCertificates } from "../../../certificate/testing/node_certificates.ts";
import type { IssuerKey } from "../../../certificate/issuer_key.ts";
import { readIssuerKeyPem } from "../../../certificate/issuer_key.ts";
import { generateKeyPair, type KeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import { readPem, writePem } from "../../../certificate/pem.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import type { ApiCredentials } from "../../../kubernetes/api.ts";
import { applyClusterRbac } from "../../../kubernetes/cluster_rbac.ts";
import { controlPlaneEndpoint, initDocuments, ownApiEndpoint } from "../../../kubernetes/documents.ts";
import { Kubeadm } from "../../../kubernetes/kubeadm.ts";
import { FIRST_EPOCH } from "../../../kubernetes/epochs.ts";
import { installFirstAuthorization } from "../../../kubernetes/first_authorization.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { writeKubeletKubeconfig } from "../../../kubernetes/kubelet_credentials.ts";
import { renewOwnCertificates } from "../../../kubernetes/own_node_certificates.ts";
import { type ClusterSettings, readClusterSettings } from "../../../kubernetes/settings.ts";
import { systemClock } from "../../../platform/clock.ts";
import { capture } from "../../tools/run.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";
import { World } from "../../world.ts";
import type { WorldNode } from "../../world_node.ts";

/** The subject of a node's client certificate that the cut list lets through. */
export function nodeSubjectText(nodeName: string): string {
  return `/O=system:nodes/O=bootstrapper:epoch:${FIRST_EPOCH}/CN=system:node:${nodeName}`;
}

/** The longest time that kubeadm may take on a busy machine. */
export const KUBEADM_DEADLINE_MS = 180_000;

const LIFETIME_MS = 24 * 3_600_000;

/** The settings of test clusters. They include nothing that runs as a container, as containers cannot run here. */
export const testSettings: ClusterSettings = readClusterSettings(
  "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}",
);

/** A key and its certificate, made by a CA of this test. */
export interface Credentials {
  readonly certificatePem: string;
  /** The private key, PEM. */
  readonly keyPem: string;
}

/** A certificate authority in a folder, made by openssl. */
export class TestCa {
  /** The folder with the CA's files. Its creator removes it. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Makes a CA with a new P-256 key. */
  static async create(): Promise<TestCa> {
    const folder = await Deno.makeTempDir();
    const ca = new TestCa(folder);
    await ca.#newKey("ca.key");
    await ca.#openssl([
      ...["req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=cluster", "-days", "30", "-out", "ca.crt"],
      ...["-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE"],
    ]);
    return ca;
  }

  /** Makes a client certificate under the CA. */
  async client(subject: string): Promise<Credentials> {
    await this.#newKey("client.key");
    await this.#openssl(["req", "-new", "-key", "client.key", "-subj", subject, "-out", "client.csr"]);
    await Deno.writeTextFile(join(this.folder, "client.ext"), "extendedKeyUsage=clientAuth\n");
    await this.#openssl([
      ...["x509", "-req", "-in", "client.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"],
      ...["-extfile", "client.ext", "-out", "client.crt"],
    ]);
    return { certificatePem: await this.#read("client.crt"), keyPem: await this.#read("client.key") };
  }

  /** Makes a CSR and its key, without a certificate. */
  async csr(subject: string): Promise<{ readonly csrPem: string; readonly keyPem: string }> {
    await this.#newKey("node.key");
    await this.#openssl(["req", "-new", "-key", "node.key", "-subj", subject, "-out", "node.csr"]);
    return { csrPem: await this.#read("node.csr"), keyPem: await this.#read("node.key") };
  }

  certificate(): Promise<string> {
    return this.#read("ca.crt");
  }

  /** The CA's key, as a join service has it. */
  async keys(): Promise<IssuerKey> {
    return await readIssuerKeyPem(await this.#read("ca.key"), "ca.key");
  }

  /** The CA in the form in which the program uses it. */
  async authority(): Promise<CertificateAuthority> {
    const der = readPem(await this.certificate(), "CERTIFICATE", "ca.crt");
    return joinCertificateAuthority(readCertificate(der, "ca.crt"), await this.keys());
  }

  /**
   * Does what the bootstrapper does on a founder before kubeadm runs: installs the CA, the kubelet's credentials and the
   * API server's authorizers.
   */
  async layInto(node: WorldNode): Promise<void> {
    for (const name of ["ca.crt", "ca.key"]) await node.write(`/etc/kubernetes/pki/${name}`, await this.#read(name));
    await this.layCredentialsInto(node, `https://${ownApiEndpoint({ address: node.ip })}`);
    await installFirstAuthorization(node.path("/etc/kubernetes"), FIRST_EPOCH);
  }

  /** Installs the credentials of a node's kubelet. */
  async layCredentialsInto(node: WorldNode, server: string): Promise<void> {
    const paths = { kubernetes: node.path("/etc/kubernetes"), kubelet: node.path("/var/lib/kubelet") };
    const own = { nodeName: node.name, addresses: [node.ip], lifetimeMs: LIFETIME_MS, epoch: FIRST_EPOCH };
    await renewOwnCertificates({ ca: await this.authority(), paths, now: new Date() }, own);
    await writeKubeletKubeconfig(paths, { server, caPem: await this.certificate() });
  }

  #newKey(name: string): Promise<string> {
    return this.#openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", name]);
  }

  #openssl(args: readonly string[]): Promise<string> {
    return capture(["openssl", ...args], { cwd: this.folder });
  }

  #read(name: string): Promise<string> {
    return Deno.readTextFile(join(this.folder, name));
  }
}

/** kubeadm on a node of the world. */
export async function kubeadmOn(node: WorldNode): Promise<Kubeadm> {
  return new Kubeadm({
    commands: node.commands,
    privateFolder: await Deno.makeTempDir(),
    kubernetesFolder: node.path("/etc/kubernetes"),
    kubeletFolder: node.path("/var/lib/kubelet"),
  });
}

/** The documents with which a node of the world initialises a cluster. */
export function initDocumentsFor(node: WorldNode): string {
  return initDocuments(testSettings, { clusterName: "test", node: { name: node.name, address: node.ip } });
}

/** A cluster of one control plane that the code under test initialised. */
export class TestCluster implements AsyncDisposable {
  private constructor(
    readonly world: World,
    readonly ca: TestCa,
    readonly controlPlane: WorldNode,
    readonly server: string,
    readonly admin: KubernetesApi,
  ) {}

  /** Makes the world and the cluster. `kubeadm init` takes a few seconds. */
  static async create(): Promise<TestCluster> {
    const { dir } = await prepareBinaries();
    const world = await World.create({ binaries: dir });
    try {
      const ca = await TestCa.create();
      const node = await world.node("cp-1");
      await ca.layInto(node);
      node.startKubeletStandIn();
      await (await kubeadmOn(node)).init(initDocumentsFor(node), { deadlineMs: KUBEADM_DEADLINE_MS });
      const admin = new KubernetesApi(await readKubeconfig(node.path("/etc/kubernetes/admin.conf")));
      await applyClusterRbac(admin, { clock: systemClock, deadlineMs: KUBEADM_DEADLINE_MS });
      const server = `https://${controlPlaneEndpoint(testSettings, { name: node.name, address: node.ip })}`;
      return new TestCluster(world, ca, node, server, admin);
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw new Error(`Cannot make the cluster; logs are in ${world.logs}`, { cause: error });
    }
  }

  /** Credentials for the API server: a client certificate of the CA. */
  async credentials(subject: string): Promise<ApiCredentials> {
    return { server: this.server, caPem: await this.ca.certificate(), ...await this.ca.client(subject) };
  }

  /** The credentials of the join service on cp-1. */
  joinService(): Promise<ApiCredentials> {
    return this.credentials("/O=bootstrapper:signers/CN=bootstrapper:signer:cp-1");
  }

  /** The two certificates of a node that was admitted, with new keys. */
  async nodeCertificates(
    { name, ip }: Pick<WorldNode, "name" | "ip">,
    admissionUid: string,
  ): Promise<{ readonly client: Credentials; readonly serving: Credentials }> {
    const [clientKeys, servingKeys] = [await generateKeyPair("p-256"), await generateKeyPair("p-256")];
    const { client, serving } = await issueNodeCertificates(await this.ca.authority(), {
      ...{ nodeName: name, admissionUid, epoch: 1, addresses: [ip], lifetimeMs: 3_600_000 },
      ...{ clientKey: clientKeys.spki, servingKey: servingKeys.spki },
    }, new Date());
    const credentials = async (certificate: Certificate, keys: KeyPair) => ({
      certificatePem: writePem("CERTIFICATE", certificate.der),
      keyPem: await privateKeyPem(keys),
    });
    return { client: await credentials(client, clientKeys), serving: await credentials(serving, servingKeys) };
  }

  /** Ends the world and removes the CA. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.admin[Symbol.dispose]();
    await this.world[Symbol.asyncDispose]();
    await Deno.remove(this.ca.folder, { recursive: true });
  }
}
