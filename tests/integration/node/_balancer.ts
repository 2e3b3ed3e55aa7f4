import assert from "node:assert/strict";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { createCertificateAuthority, joinCertificateAuthority } from "../../../certificate/ca.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../../../certificate/keys.ts";
import { readPem, writePem } from "../../../certificate/pem.ts";
import { issueNodeCertificates } from "../../../certificate/testing/node_certificates.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { repositoryRoot } from "../../world.ts";
import type { NodeProcess, WorldNode } from "../../world_node.ts";
import type { RunMachine } from "./run_machine.ts";

/** The name of the cluster's endpoint. It has no address until a test gives it one. */
export const ENDPOINT = "api.example.internal";
const MODE = "/etc/bootstrapper/mode";
const CERTIFICATES = "/etc/bootstrapper/certificates";

/** Gives names to addresses on machines; there is no DNS server. */
export async function hosts(nodes: readonly WorldNode[], lines: readonly string[]): Promise<void> {
  for (const node of nodes) {
    const { code, output } = await node.run(["sh", "-c", `printf '%s\\n' "$@" >>/etc/hosts`, "sh", ...lines]);
    assert.equal(code, 0, output);
  }
}

/** The load balancer of `_load_balancer.ts` on a machine of its own. */
export class LoadBalancer {
  #running: NodeProcess | undefined;

  private constructor(readonly node: WorldNode) {}

  /** Makes the machine's certificate of no cluster. The load balancer is not started. */
  static async create(node: WorldNode): Promise<LoadBalancer> {
    const ca = await createCertificateAuthority(new Date());
    const balancer = new LoadBalancer(node);
    await balancer.#certify("stranger", ca, "stranger");
    return balancer;
  }

  /** Gives it a certificate for the cluster's endpoint and for the founder, by the CA on the cluster's founder. */
  async certify(founder: RunMachine): Promise<void> {
    const pki = (name: string) => founder.node.read(`/etc/kubernetes/pki/${name}`);
    const keys = await readPrivateKeyPem(await pki("ca.key"), "ca.key");
    const certificate = readCertificate(readPem(await pki("ca.crt"), "CERTIFICATE", "ca.crt"), "ca.crt");
    await this.#certify("cluster", joinCertificateAuthority(certificate, keys), ENDPOINT, founder.node.ip);
  }

  async #certify(
    name: string,
    ca: CertificateAuthority,
    nodeName: string,
    ...addresses: readonly string[]
  ): Promise<void> {
    const keys = await generateKeyPair("p-256");
    const { serving } = await issueNodeCertificates(ca, {
      ...{ nodeName, addresses: [this.ip, ...addresses], epoch: 1, lifetimeMs: 3_600_000 },
      ...{ clientKey: keys.spki, servingKey: keys.spki },
    }, new Date());
    await this.node.write(`${CERTIFICATES}/${name}.crt`, writePem("CERTIFICATE", serving.der));
    await this.node.write(`${CERTIFICATES}/${name}.key`, await privateKeyPem(keys));
  }

  /** Its address. */
  get ip(): string {
    return this.node.ip;
  }

  /** Says how new connections are treated; see `_load_balancer.ts`. */
  set(mode: string): Promise<void> {
    return this.node.write(MODE, mode);
  }

  /** Starts it, unless it runs. */
  start(): void {
    const program = `${repositoryRoot}/tests/integration/node/_load_balancer.ts`;
    this.#running ??= this.node.start([...DENO_RUN, program, MODE, CERTIFICATES], { log: "load-balancer" });
  }

  /** Whether an answer took as long as those of a slow API server do. */
  async wasSlow(): Promise<boolean> {
    return this.#running !== undefined && (await Deno.readTextFile(this.#running.log)).includes("slow answer");
  }

  /** Ends it, with its connections. */
  async stop(): Promise<void> {
    await this.#running?.kill();
    await this.#running?.ended;
    this.#running = undefined;
  }
}
