import { join } from "node:path";
import { readOperatorKey } from "../../certificate/operator_key.ts";
import type { Bytes } from "../../platform/bytes.ts";
import type { WorldNode } from "../world_node.ts";
import { CLUSTER_NAME } from "./_run_machine.ts";
import type { RunMachine, RunWorld } from "./_run_machine.ts";
import { BOOTSTRAPPER, BootstrapperProcess } from "./_run_process.ts";

const FOLDER = "/etc/bootstrapper/operator";
const POLICY = "{version: 1, variant: none}\n";
const SETTINGS = "{kubernetesVersion: v1.36.3, podSubnet: 10.244.0.0/16, kubeProxy: false, coreDns: false}\n";

/** A person with a laptop on the world's network. */
export class RunOperator {
  #inits = 0;

  private constructor(readonly laptop: WorldNode, readonly publicKey: string) {}

  /** Makes the laptop, a key by `keygen`, a policy and the cluster's settings. */
  static async create({ world }: RunWorld): Promise<RunOperator> {
    const laptop = await world.node("laptop");
    await laptop.write(`${FOLDER}/policy.yaml`, POLICY);
    await laptop.write(`${FOLDER}/cluster.yaml`, SETTINGS);
    const keygen = ["keygen", "--out", `${FOLDER}/operator.key`, "--output", "json"] as const;
    const { code, output } = await laptop.run([...BOOTSTRAPPER, ...keygen], { log: "keygen" });
    if (code !== 0) throw new Error(`keygen failed: ${output}`);
    const { operatorKey }: { operatorKey: string } = JSON.parse(output);
    return new RunOperator(laptop, operatorKey);
  }

  /** SPKI of the key. */
  get spki(): Bytes {
    return readOperatorKey(this.publicKey, "the operator's key");
  }

  /** Starts `bootstrapper init` against a machine, by default until its Node is Ready. */
  init({ node }: RunMachine, more: readonly string[] = ["--wait", "2m"]): BootstrapperProcess {
    const file = (name: string) => join(FOLDER, name);
    const args = [
      ...["init", node.ip, "--name", CLUSTER_NAME, "--output", "json", ...more],
      ...["--key", file("operator.key"), "--policy", file("policy.yaml"), "--cluster", file("cluster.yaml")],
      ...["--kubeconfig", file("kubeconfig"), "--cluster-file", file("cluster-file.yaml")],
      ...["--records", file("records")],
    ];
    return BootstrapperProcess.start(this.laptop, args, `init-${++this.#inits}`);
  }

  /** Where one of the operator's files is on the host. */
  path(name: string): string {
    return this.laptop.path(join(FOLDER, name));
  }

  /** The names of the cluster's Nodes, by kubectl with the operator's kubeconfig. */
  async nodes(): Promise<readonly string[]> {
    const argv = ["kubectl", `--kubeconfig=${FOLDER}/kubeconfig`, "get", "nodes", "--output=name"] as const;
    const { code, output } = await this.laptop.run(argv);
    if (code !== 0) throw new Error(`kubectl failed: ${output}`);
    return output.trim().split("\n").sort();
  }
}
