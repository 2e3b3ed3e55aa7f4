import { dirname, join } from "node:path";
import { bootImage } from "../tools/boot_image.ts";
import { cacheFolder } from "../tools/cache_folder.ts";
import { debianPackages } from "../tools/debian_packages.ts";
import { vmPackages } from "../tools/package_sets.ts";
import type { VmImage } from "../tools/prepare_image.ts";
import { capture } from "../tools/run.ts";
import { acceleration } from "./acceleration.ts";
import { hostTscKhz } from "./host_tsc.ts";
import { kernelArguments } from "./kernel_arguments.ts";
import { bootFile, Machine, type MachineSpecification } from "./machine.ts";
import { addTap, createNetwork, deleteNetwork, inNamespace, subnet } from "./network.ts";
import { isAlive, type ProcessIdentity, thisProcess } from "./process.ts";
import { files } from "./qemu_arguments.ts";
import { createVtpmAuthority, manufactureVtpm, type VtpmAuthority } from "./vtpm.ts";

/** How {@linkcode Testbed.create} makes a testbed. */
export interface TestbedOptions {
  /**
   * The folder in which the testbed's folder is made, on the file system of the cache folder; by default `runs` in the
   * cache folder. Sockets limit the length of the path.
   */
  readonly parent?: string;
  /** Whether machines outlive this process until {@linkcode Testbed.down}. If not, they die with it. */
  readonly keepRunning?: boolean;
}

/** The parameters of a machine; see {@linkcode MachineSpecification}. */
export interface MachineOptions {
  readonly name: string;
  /** The node's name if it differs from the machine's. */
  readonly nodeName?: string;
  readonly number: number;
  readonly image: VmImage;
  /** The names and contents of credentials that fw_cfg gives to the machine. */
  readonly credentials?: Readonly<Record<string, string | Uint8Array>>;
  /** The names and contents of credentials that SMBIOS gives to the machine. */
  readonly smbiosCredentials?: Readonly<Record<string, string>>;
  readonly cpus?: number;
  readonly memoryMiB?: number;
  /** Further kernel arguments; they give the machine a different image. */
  readonly kernelArguments?: readonly string[];
}

/** How a command in the testbed's network ended. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The content of `testbed.json` in a testbed's folder. */
interface TestbedRecord {
  readonly namespace: string;
  readonly keepRunning: boolean;
  readonly owner: ProcessIdentity;
}

const longestFolder = 70;
const keptForMs = 24 * 60 * 60 * 1000;

/**
 * An isolated network of VMs: a network namespace with a bridge, machines with vTPMs whose endorsement keys one
 * authority certifies, and a folder with all records. Needs root.
 */
export class Testbed implements AsyncDisposable {
  /** The folder with logs and records. It is kept for a day after the testbed is gone. */
  readonly folder: string;
  readonly namespace: string;
  /** The authority that signs the vTPMs' EK certificates. */
  readonly authority: VtpmAuthority;
  /** All machines, in the order of their creation. */
  readonly machines: Machine[] = [];
  readonly #keepRunning: boolean;

  private constructor(folder: string, record: TestbedRecord, authority: VtpmAuthority) {
    this.folder = folder;
    this.namespace = record.namespace;
    this.authority = authority;
    this.#keepRunning = record.keepRunning;
  }

  /** Makes a testbed without machines, after removing the leftovers of testbeds whose process was killed. */
  static async create(options: TestbedOptions = {}): Promise<Testbed> {
    await debianPackages(vmPackages);
    const parent = options.parent ?? join(cacheFolder(), "runs");
    await Deno.mkdir(parent, { recursive: true });
    await sweep(parent);
    const folder = await Deno.makeTempDir({ dir: parent, prefix: `${new Date().toISOString().slice(0, 10)}-` });
    if (folder.length > longestFolder) {
      throw new Error(`Cannot use "${folder}" as sockets in it would have too long paths`);
    }
    const namespace = `bootstrapper-${folder.slice(-8)}`;
    const record = { namespace, keepRunning: options.keepRunning ?? false, owner: await thisProcess() };
    await Deno.writeTextFile(join(folder, recordFile), JSON.stringify(record));
    await createNetwork(namespace);
    return new Testbed(folder, record, await createVtpmAuthority(folder));
  }

  /** Opens the testbed that another process made in that folder. */
  static async open(folder: string): Promise<Testbed> {
    const record: TestbedRecord = JSON.parse(await Deno.readTextFile(join(folder, recordFile)));
    const testbed = new Testbed(folder, record, await createVtpmAuthority(folder));
    for await (const entry of Deno.readDir(folder)) {
      const file = join(folder, entry.name, "machine.json");
      const text = await Deno.readTextFile(file).catch(() => undefined);
      if (text !== undefined) testbed.machines.push(new Machine(join(folder, entry.name), JSON.parse(text)));
    }
    testbed.machines.sort((a, b) => a.specification.number - b.specification.number);
    return testbed;
  }

  /** Makes a machine with the image's initial state and a new TPM. The machine is off. */
  async machine(options: MachineOptions): Promise<Machine> {
    const { name, number } = options;
    const folder = join(this.folder, name);
    await Deno.mkdir(folder);
    for (const part of ["credentials", "smbios", "tpm"]) await Deno.mkdir(join(folder, part));
    const { image } = options;
    const accelerated = await acceleration(image);
    const specification: MachineSpecification = {
      ...{ name, number, namespace: this.namespace, tap: `tap${number}`, keepRunning: this.#keepRunning },
      cpus: options.cpus ?? 2,
      memoryMiB: options.memoryMiB ?? 3072,
      acceleration: accelerated,
    };
    const machine = new Machine(folder, specification);
    await addTap(this.namespace, specification.tap);
    await manufactureVtpm(this.authority, join(folder, "tpm"), name);
    const boot = [...kernelArguments(accelerated, await hostTscKhz()), ...options.kernelArguments ?? []];
    await makeDisks(folder, image, await bootImage(image, boot));
    const own = {
      "bootstrapper.node.name": options.nodeName ?? name,
      "bootstrapper.node.address": `${machine.address}/${subnet.prefixLength}`,
      "bootstrapper.node.gateway": subnet.gateway,
    };
    for (const [key, content] of Object.entries({ ...own, ...options.credentials })) {
      await machine.setCredential(key, content);
    }
    for (const [key, content] of Object.entries(options.smbiosCredentials ?? {})) {
      await machine.setSmbiosCredential(key, content);
    }
    await Deno.writeTextFile(join(folder, "machine.json"), JSON.stringify(specification));
    this.machines.push(machine);
    return machine;
  }

  /** The command line that runs `argv` in the testbed's network, with the address {@linkcode subnet.gateway}. */
  command(argv: readonly string[]): [string, ...string[]] {
    return inNamespace(this.namespace, argv);
  }

  /** Runs an operator's command in the testbed's network to its end, and returns the result even if it failed. */
  async exec(argv: readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<CommandResult> {
    const [command, ...args] = this.command(argv);
    const output = await new Deno.Command(command, { args, stdin: "null", ...options }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { exitCode: output.code, stdout: text(output.stdout), stderr: text(output.stderr) };
  }

  /** Ends all machines, and removes the network, the disks and the TPMs. Logs are kept. */
  async down(): Promise<void> {
    for (const machine of this.machines) await machine.kill();
    await deleteNetwork(this.namespace);
    for (const machine of this.machines) {
      for (const part of ["tpm", ...disks]) await removeAll(join(machine.folder, part));
    }
    await Deno.writeTextFile(join(this.folder, endedFile), "");
  }

  /** Takes the testbed down unless it was made to keep running. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#keepRunning) await this.down();
  }
}

const recordFile = "testbed.json";
const endedFile = "ended";

const stateBase = "state.img";
const disks = [files.root, stateBase, files.state, files.boot, files.firmwareVariables];
/** From Debian's package `ovmf`: no variable is set, and Secure Boot is off. */
const firmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/**
 * Makes a machine's disks from links to the image, so that the image exists as long as the machine even if the cache
 * drops it.
 */
async function makeDisks(folder: string, image: VmImage, uki: string): Promise<void> {
  const path = (name: string) => join(folder, name);
  await Deno.link(image.image, path(files.root));
  await Deno.link(image.state, path(stateBase));
  await capture(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", stateBase, path(files.state)]);
  await Deno.mkdir(dirname(join(path(files.boot), bootFile)), { recursive: true });
  await Deno.link(uki, join(path(files.boot), bootFile));
  await Deno.copyFile(firmwareVariables, path(files.firmwareVariables));
}

/** Takes down testbeds whose process has died, and removes folders of those that ended long ago. */
async function sweep(parent: string): Promise<void> {
  for await (const entry of Deno.readDir(parent)) {
    const folder = join(parent, entry.name);
    const text = await Deno.readTextFile(join(folder, recordFile)).catch(() => undefined);
    if (text === undefined) continue;
    const record: TestbedRecord = JSON.parse(text);
    const ended = await Deno.stat(join(folder, endedFile)).catch(() => undefined);
    if (ended) {
      if (Date.now() - (ended.mtime?.getTime() ?? 0) > keptForMs) await removeAll(folder);
    } else if (!record.keepRunning && !await isAlive(record.owner)) {
      await (await Testbed.open(folder)).down();
    }
  }
}

async function removeAll(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
