import { join } from "node:path";
import { stringify } from "yaml";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";
import type { CommandResult, Testbed } from "./testbed.ts";
import { Overdue } from "./wait_until.ts";
import { withDeadline } from "./with_deadline.ts";

/** The settings of a node's configuration besides the cluster's name and its operators. */
export interface NodeOptions {
  /** Public keys of the operators; by default this operator's only. */
  readonly operatorKeys?: readonly string[];
  /** The addresses of the machines from which the node requests a ticket. */
  readonly joinAddresses?: readonly string[];
  /** The role that the node requests; by default `worker`. */
  readonly role?: "worker" | "control-plane";
}

/** The operator's choices for a cluster. */
export interface ClusterOptions {
  /** Machines that may become control planes by joining. */
  readonly controlPlanes?: readonly Machine[];
  /** How long certificates of nodes are valid, such as `1h`; by default as long as the program says. */
  readonly nodeCertificateLifetime?: string;
  /** The stable endpoint of the API servers as `host:port`; by default that of the initialised machine. */
  readonly controlPlaneEndpoint?: string;
}

const clusterName = "demo";
const joinServicePort = 9444;
/** The PCRs that the firmware and the boot loader extend; a policy is made from them. */
const policyRegisters = ["0", "4", "8", "11"];
/**
 * Long enough that the deadline of the whole command always passes first: that deadline accounts for how busy this
 * machine is.
 */
const initWait = "4h";

/** The settings of every cluster of VMs. */
export const clusterSettings = {
  ...{ kubernetesVersion: "v1.36.3", podSubnet: "10.244.0.0/16", kubeProxy: false, coreDns: false },
  // Emulated processors that share cores stall for a second now and then.
  etcd: { heartbeatIntervalMs: 500, electionTimeoutMs: 5000 },
  leaderElection: { leaseDuration: "60s", renewDeadline: "45s", retryPeriod: "5s" },
} as const;

/** An operator with a laptop in the testbed's network: a folder with keys and files, and the compiled binary. */
export class Operator {
  readonly folder: string;
  /** The line with the operator's public key for nodes' configurations. */
  readonly publicKey: string;
  readonly #testbed: Testbed;
  readonly #binary: string;

  private constructor(testbed: Testbed, binary: string, folder: string, publicKey: string) {
    this.#testbed = testbed;
    this.#binary = binary;
    this.folder = folder;
    this.publicKey = publicKey;
  }

  /** Makes an operator with a new key. */
  static async create(testbed: Testbed, binary: string, name = "operator"): Promise<Operator> {
    const folder = join(testbed.folder, name);
    await Deno.mkdir(folder);
    const operator = new Operator(testbed, binary, folder, "");
    const { exitCode, stdout, stderr } = await operator.run([
      "keygen",
      "--out",
      operator.keyFile,
      "--no-passphrase",
      "--output",
      "json",
    ]);
    if (exitCode !== 0) throw new Error(`Cannot make an operator's key: ${stderr}`);
    const { operatorKey }: { operatorKey: string } = JSON.parse(stdout);
    return new Operator(testbed, binary, folder, operatorKey);
  }

  get keyFile(): string {
    return join(this.folder, "operator.key");
  }

  /** The kubeconfig. It exists once {@linkcode initCommand} has succeeded. */
  get kubeconfigFile(): string {
    return join(this.folder, "kubeconfig");
  }

  get policyFile(): string {
    return join(this.folder, "policy.yaml");
  }

  /** The file with the cluster's settings. */
  get clusterFile(): string {
    return join(this.folder, "cluster.yaml");
  }

  /** Runs the binary as this operator, to its end. */
  run(args: readonly string[]): Promise<CommandResult> {
    return this.#exec(args, [this.#binary, ...args]);
  }

  /**
   * Runs the binary as this operator, and copies its standard output into a file while it runs.
   *
   * @param log a file that does not exist yet
   */
  async runLogged(log: string, args: readonly string[]): Promise<CommandResult> {
    const ended = await this.#exec(args, ["sh", "-c", 'exec "$@" >"$0"', log, this.#binary, ...args]);
    return { ...ended, stdout: await Deno.readTextFile(log) };
  }

  /** Runs a command line that contains the binary and `args`, for at most the deadline of a member's init. */
  async #exec(args: readonly string[], command: readonly string[]): Promise<CommandResult> {
    const reason = (after: string) => new Overdue(`Cannot go on: "bootstrapper ${args[0]}" has not ended ${after}`);
    return await withDeadline(deadlinesMs.member, reason, async (signal) => {
      const ended = await this.#testbed.exec(command, { signal });
      signal.throwIfAborted();
      return ended;
    });
  }

  /** Runs kubectl with the operator's kubeconfig. */
  kubectl(kubectl: string, args: readonly string[]): Promise<CommandResult> {
    return this.#testbed.exec([kubectl, `--kubeconfig=${this.kubeconfigFile}`, ...args]);
  }

  nodeConfiguration(
    { operatorKeys = [this.publicKey], joinAddresses = [], role = "worker" }: NodeOptions = {},
  ): string {
    return stringify({
      version: 1,
      trust: { clusterName, operatorKeys },
      node: { role },
      evidence: { variant: "tpm", ekType: "rsa2048" },
      join: { endpoints: joinAddresses.map((address) => `${address}:${joinServicePort}`) },
    });
  }

  /** Writes the cluster's settings, and a policy made from the evidence of a machine that is known to be good. */
  async writeDocuments(knownGood: Machine, options: ClusterOptions = {}): Promise<void> {
    const { controlPlanes = [] } = options;
    const { exitCode, stdout, stderr } = await knownGood.exec(
      ["bootstrapper", "evidence", "--ek-type", "rsa2048", "--output", "json"],
      { deadlineMs: deadlinesMs.command },
    );
    if (exitCode !== 0) throw new Error(`${knownGood.name} gave no evidence: ${stderr}`);
    const { pcrs }: { pcrs: Record<string, string> } = JSON.parse(stdout);
    const certificate = await Deno.readTextFile(this.#testbed.authority.issuerCertificate);
    const policy = stringify({
      version: 1,
      variant: "tpm",
      tpm: {
        ekType: "rsa2048",
        pcrs: Object.fromEntries(policyRegisters.map((register) => [register, [pcrs[register] ?? ""]])),
        trust: { issuers: [{ certificate, attributes: { tpmManufacturer: "id:00001014", tpmModel: "swtpm" } }] },
      },
      roles: { controlPlanes: await Promise.all(controlPlanes.map((machine) => machine.identity())) },
    });
    await Deno.writeTextFile(this.policyFile, policy);
    await this.writeSettings(options);
  }

  /** Writes the cluster's settings. */
  async writeSettings(
    { controlPlaneEndpoint, nodeCertificateLifetime }: Omit<ClusterOptions, "controlPlanes"> = {},
  ): Promise<void> {
    const chosen = {
      ...(controlPlaneEndpoint === undefined ? {} : { controlPlaneEndpoint }),
      ...(nodeCertificateLifetime === undefined ? {} : { nodeCertificateLifetime }),
    };
    await Deno.writeTextFile(this.clusterFile, stringify({ ...clusterSettings, ...chosen }));
  }

  /** The arguments of `bootstrapper init` for a machine. */
  initArguments(machine: Machine): string[] {
    return [
      "init",
      machine.address,
      ...["--name", clusterName, "--policy", this.policyFile, "--key", this.keyFile, "--cluster", this.clusterFile],
      ...["--kubeconfig", this.kubeconfigFile, "--cluster-file", join(this.folder, "demo.cluster.yaml")],
      ...["--records", join(this.folder, "records"), "--wait", initWait],
      ...["--output", "json"],
    ];
  }
}
