import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { BootstrapImage } from "./bootstrap_image.ts";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";
import { clusterSettings } from "./operator.ts";
import type { CommandResult, Testbed } from "./testbed.ts";

/** How {@linkcode Founders.create} makes machines. */
export interface FoundersOptions {
  /** The image that all machines boot; its binary makes the policy. */
  readonly image: BootstrapImage;
  /** How many machines found the cluster. */
  readonly size: number;
  /** How many workers have the same trust part, and only join. Default: 0. */
  readonly workers?: number;
  /** The name of the folder with the policy, the configuration and the kubeconfig. Default: `founders`. */
  readonly folderName?: string;
}

const clusterName = "demo";
const joinServicePort = 9444;
/** The last byte of the first machine's address. */
const firstNumber = 11;
const adminKubeconfig = "/etc/kubernetes/admin.conf";

/**
 * Machines with one image and one configuration that become a cluster by attested founding: their policy pins the TPMs of
 * the founders as control planes, and what the image measures. There is no operator.
 */
export class Founders {
  /** The folder with the policy, the configuration and, later, the kubeconfig. */
  readonly folder: string;
  readonly machines: readonly Machine[];
  readonly workers: readonly Machine[];
  readonly #testbed: Testbed;

  private constructor(testbed: Testbed, folder: string, machines: readonly Machine[], workers: readonly Machine[]) {
    this.#testbed = testbed;
    this.folder = folder;
    this.machines = machines;
    this.workers = workers;
  }

  /** Makes machines named `node-1`, `node-2` and so on, founders first. They are off. */
  static async create(
    testbed: Testbed,
    { image, size, workers = 0, folderName = "founders" }: FoundersOptions,
  ): Promise<Founders> {
    const folder = join(testbed.folder, folderName);
    await Deno.mkdir(folder);
    const made: Machine[] = [];
    for (let index = 0; index < size + workers; index++) {
      made.push(
        await testbed.machine({ name: `node-${index + 1}`, number: firstNumber + index, image: image.image }),
      );
    }
    const founders = made.slice(0, size);
    const trust = {
      clusterName,
      operatorKeys: [],
      founding: { size, policy: await policyFor(testbed, image, made, size) },
    };
    const evidence = { variant: "tpm", ekType: "rsa2048" };
    const addresses = founders.map(({ address }) => address);
    const founding = stringify({
      ...{ version: 1, trust, evidence },
      node: { role: "control-plane" },
      founding: { peers: addresses, cluster: clusterSettings },
    });
    const joining = stringify({
      ...{ version: 1, trust, evidence },
      node: { role: "worker" },
      join: { endpoints: addresses.map((address) => `${address}:${joinServicePort}`) },
    });
    for (const [index, machine] of made.entries()) {
      await machine.setCredential("bootstrapper.config", index < size ? founding : joining);
    }
    await Deno.writeTextFile(join(folder, "founder.yaml"), founding);
    return new Founders(testbed, folder, founders, made.slice(size));
  }

  /** The administrator's kubeconfig, once {@linkcode takeKubeconfig} has copied it. */
  get kubeconfigFile(): string {
    return join(this.folder, "kubeconfig");
  }

  /**
   * The founder that the last decision in the log of one of them names.
   *
   * @throws Error when there is none.
   */
  async decided(witness = this.machines[0]): Promise<Machine> {
    const entries = await witness?.journal.entries() ?? [];
    const said = entries.findLast(({ message }) => message.includes('"event":"founding-decision"'))?.message ?? "{}";
    const { founder }: { founder?: string } = JSON.parse(said);
    const decided = this.machines.find(({ name }) => name === founder);
    if (decided === undefined) throw new Error(`No founder was decided on: ${witness?.name} says ${said}`);
    return decided;
  }

  /** Copies the administrator's kubeconfig of a control plane, as somebody who is root there does. */
  async takeKubeconfig(controlPlane: Machine): Promise<void> {
    const { exitCode, stdout, stderr } = await controlPlane.exec(["cat", adminKubeconfig], {
      deadlineMs: deadlinesMs.command,
    });
    if (exitCode !== 0) throw new Error(`Cannot read ${adminKubeconfig} of ${controlPlane.name}: ${stderr}`);
    await Deno.writeTextFile(this.kubeconfigFile, stdout, { mode: 0o600 });
  }

  /** Runs kubectl with that kubeconfig. */
  kubectl(kubectl: string, args: readonly string[]): Promise<CommandResult> {
    return this.#testbed.exec([kubectl, `--kubeconfig=${this.kubeconfigFile}`, ...args]);
  }
}

/** The policy for founders, from an image that was never booted, and from the TPMs of the machines. */
async function policyFor(
  testbed: Testbed,
  { binary }: BootstrapImage,
  machines: readonly Machine[],
  size: number,
): Promise<unknown> {
  const identities = await Promise.all(machines.map((machine) => machine.identity()));
  const uki = machines.slice(0, 1).map(({ bootImage }) => bootImage);
  const pins = ["--identity", ...identities, "--control-plane", ...identities.slice(0, size)];
  const { exitCode, stdout, stderr } = await testbed.exec([binary, "policy", "make", "--uki", ...uki, ...pins]);
  if (exitCode !== 0) throw new Error(`Cannot make the policy for founders: ${stderr}`);
  return parse(stdout);
}
