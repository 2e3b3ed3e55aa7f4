import { join } from "node:path";
import { readOperatorKey } from "../../../certificate/operator_key.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import type { WorldNode } from "../../world_node.ts";
import { CLUSTER_NAME } from "./run_machine.ts";
import type { RunMachine, RunWorld } from "./run_machine.ts";
import { BOOTSTRAPPER, BootstrapperProcess } from "./run_process.ts";

const FOLDER = "/etc/bootstrapper/operator";
/** The machines of these tests boot no measured image. */
const POLICY = "{version: 1, variant: none, allowUnmeasuredImage: true}\n";
const SETTINGS = "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}\n";

/** An operator with a laptop on the world's network. */
export class RunOperator {
  #inits = 0;

  private constructor(
    readonly laptop: WorldNode,
    readonly publicKey: string,
    readonly clusterFolder: string = FOLDER,
  ) {}

  /**
   * Makes the laptop, a key with `keygen`, a policy and the cluster's settings. The default policy requires no proof.
   */
  static async create({ world }: RunWorld, policy = POLICY): Promise<RunOperator> {
    const laptop = await world.node("laptop");
    await laptop.write(`${FOLDER}/policy.yaml`, policy);
    await laptop.write(`${FOLDER}/cluster.yaml`, SETTINGS);
    const keygen = ["keygen", "--no-passphrase", "--out", `${FOLDER}/operator.key`, "--output", "json"] as const;
    const { code, output } = await laptop.run([...BOOTSTRAPPER, ...keygen], { log: "keygen" });
    if (code !== 0) throw new Error(`keygen failed: ${output}`);
    const { operatorKey }: { operatorKey: string } = JSON.parse(output);
    return new RunOperator(laptop, operatorKey);
  }

  /** Replaces the operator's policy. */
  async setPolicy(policy = POLICY): Promise<void> {
    await this.laptop.write(`${FOLDER}/policy.yaml`, policy);
  }

  /** The same operator without a record of any cluster. */
  anew(name: string): RunOperator {
    const folder = join(FOLDER, name);
    Deno.mkdirSync(this.laptop.path(folder), { recursive: true });
    return new RunOperator(this.laptop, this.publicKey, folder);
  }

  /** The SPKI of the operator's key. */
  get spki(): Bytes {
    return readOperatorKey(this.publicKey, "the operator's key");
  }

  /**
   * Starts `bootstrapper init` against a machine. By default it waits until the machine's Node is Ready.
   *
   * @param at The machine's address. Default: the one that the world gave it.
   */
  init({ node }: RunMachine, more: readonly string[] = ["--wait", "2m"], at = node.ip): BootstrapperProcess {
    const file = (name: string) => join(FOLDER, name);
    const own = (name: string) => join(this.clusterFolder, name);
    const args = [
      ...["init", at, "--name", CLUSTER_NAME, "--output", "json", ...more],
      ...["--key", file("operator.key"), "--policy", file("policy.yaml"), "--cluster", file("cluster.yaml")],
      ...["--kubeconfig", own("kubeconfig"), "--cluster-file", own("cluster-file.yaml")],
      ...["--records", own("records")],
    ];
    const name = this.clusterFolder.split("/").at(-1);
    return BootstrapperProcess.start(this.laptop, args, `init-${name}-${++this.#inits}`);
  }

  /** The path on the host of one of the operator's files. */
  path(name: string): string {
    return this.laptop.path(join(this.clusterFolder, name));
  }

  /** The names of the cluster's Nodes, from kubectl with the operator's kubeconfig. */
  async nodes(): Promise<readonly string[]> {
    const argv = ["kubectl", `--kubeconfig=${this.clusterFolder}/kubeconfig`, "get", "nodes", "--output=name"] as const;
    const { code, output } = await this.laptop.run(argv);
    if (code !== 0) throw new Error(`kubectl failed: ${output}`);
    return output.trim().split("\n").sort();
  }
}
