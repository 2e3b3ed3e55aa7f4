import { join } from "node:path";
import type { CommandOptions, CommandResult, CommandRunner } from "../../platform/command.ts";
import { Kubeadm, type KubeadmParts } from "../kubeadm.ts";
import { kubeconfig } from "../kubeconfig.ts";

const KEY_PEM = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
const CERTIFICATE_PEM = KEY_PEM.replaceAll("PRIVATE KEY", "CERTIFICATE");
const KUBELET_KUBECONFIG = kubeconfig({
  ...{ clusterName: "c", userName: "u", server: "https://a:1" },
  ...{ keyPem: KEY_PEM, caPem: CERTIFICATE_PEM, certificatePem: CERTIFICATE_PEM },
});

/** A machine on which kubeadm prints prepared output. It records all calls. */
export class Machine implements CommandRunner, AsyncDisposable {
  readonly calls: string[][] = [];
  readonly configs: { readonly mode: number; readonly text: string }[] = [];
  #answers: Partial<CommandResult>[] = [];

  private constructor(readonly folder: string) {}

  static async create(): Promise<Machine> {
    const machine = new Machine(await Deno.makeTempDir());
    await Deno.mkdir(join(machine.folder, "kubernetes/pki"), { recursive: true });
    for (const name of ["ca.crt", "ca.key"]) {
      await Deno.writeTextFile(join(machine.folder, "kubernetes/pki", name), "x");
    }
    await Deno.writeTextFile(join(machine.folder, "kubernetes/kubelet.conf"), KUBELET_KUBECONFIG);
    return machine;
  }

  get kubeadm(): Kubeadm {
    return new Kubeadm(this.parts);
  }

  get parts(): Required<KubeadmParts> {
    return {
      commands: this,
      privateFolder: join(this.folder, "private"),
      kubernetesFolder: join(this.folder, "kubernetes"),
      kubeletFolder: join(this.folder, "kubelet"),
    };
  }

  answer(...answers: Partial<CommandResult>[]): this {
    this.#answers = answers;
    return this;
  }

  async run(argv: readonly [string, ...string[]], options: CommandOptions): Promise<CommandResult> {
    this.calls.push(argv.map((arg) => arg.replace(/^--config=.*/, "--config=…").replaceAll(this.folder, "…")));
    const config = argv.find((arg) => arg.startsWith("--config="))?.slice("--config=".length);
    if (config !== undefined) {
      const mode = ((await Deno.stat(config)).mode ?? 0) & 0o777;
      this.configs.push({ mode, text: await Deno.readTextFile(config) });
    }
    const { code = 0, stdout = "", stderr = "" } = this.#answers.shift() ?? {};
    for (const line of stdout.split("\n")) options.onLine?.(line, "stdout");
    for (const line of stderr.split("\n")) options.onLine?.(line, "stderr");
    return { code, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Writes the files of a kubelet that has joined; its credentials are on every machine. */
export async function layJoined(machine: Machine): Promise<void> {
  await Deno.mkdir(join(machine.folder, "kubelet"), { recursive: true });
  await Deno.writeTextFile(join(machine.folder, "kubelet/kubeadm-flags.env"), 'KUBELET_KUBEADM_ARGS="--a=b"\n');
  await Deno.writeTextFile(join(machine.folder, "kubelet/config.yaml"), "kind: KubeletConfiguration\n");
  await Deno.writeTextFile(join(machine.folder, "kubernetes/pki/ca.crt"), KEY_PEM);
}
