import { join } from "node:path";
import { readCertificate } from "../../certificate/x509.ts";
import { hex, sha256 } from "../../platform/bytes.ts";
import { capture } from "../tools/run.ts";
import { type ExecOptions, type ExecResult, GuestAgent } from "./guest_agent.ts";
import { Journal } from "./journal.ts";
import { JsonLines } from "./json_lines.ts";
import { inNamespace, setLink, subnet } from "./network.ts";
import { isAlive, killProcess, type ProcessIdentity, startProcess, waitForEnd } from "./process.ts";
import type { Acceleration } from "./kernel_arguments.ts";
import { files, qemuArguments } from "./qemu_arguments.ts";
import { startVtpm } from "./vtpm.ts";
import { waitUntil } from "./wait_until.ts";

/** The path from which the firmware boots (UEFI 2.10, 3.5.1.1). */
export const bootFile = "EFI/BOOT/BOOTX64.EFI";

/** The parameters of a machine; its folder keeps them as `machine.json`. */
export interface MachineSpecification {
  /** The machine's name in the testbed, an RFC 1123 label. It is the node's name as well unless another is given. */
  readonly name: string;
  /** The last byte of the machine's address. */
  readonly number: number;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly acceleration: Acceleration;
  readonly namespace: string;
  readonly tap: string;
  readonly keepRunning: boolean;
}

const connectDeadlineMs = 30_000;
const processFiles = { qemu: "qemu.process.json", swtpm: "swtpm.process.json" } as const;

/**
 * One VM with its own vTPM. The state disk and the TPM keep their contents across starts; PCRs start at zero, as after
 * a power cycle.
 */
export class Machine {
  readonly specification: MachineSpecification;
  /** Everything that belongs to the machine: console, journal, logs of QEMU and swtpm, disk, TPM state. */
  readonly folder: string;
  /** The journal of all boots. */
  readonly journal: Journal;
  readonly #agent: GuestAgent;
  /** How far the machine's clock is ahead of this machine's from the next start on, in milliseconds. */
  clockAheadMs = 0;

  constructor(folder: string, specification: MachineSpecification) {
    this.folder = folder;
    this.specification = specification;
    this.journal = new Journal(join(folder, files.journal));
    this.#agent = new GuestAgent(join(folder, files.guestAgent));
  }

  get name(): string {
    return this.specification.name;
  }

  get address(): string {
    return `${subnet.gateway.replace(/\d+$/, "")}${this.specification.number}`;
  }

  /** The file with the serial console's output. */
  get console(): string {
    return join(this.folder, files.console);
  }

  /** The unified kernel image that the machine boots. */
  get bootImage(): string {
    return join(this.folder, files.boot, bootFile);
  }

  /** The file with the DER certificate of the TPM's RSA-2048 endorsement key. */
  get ekCertificate(): string {
    return join(this.folder, "../ek-authority", `${this.name}.der`);
  }

  /** The identity by which a policy knows the machine: SHA-256 of that key's SPKI, in lower-case hexadecimal. */
  async identity(): Promise<string> {
    const { spki } = readCertificate(await Deno.readFile(this.ekCertificate), this.ekCertificate, "vendor");
    return hex(await sha256(spki));
  }

  /** Sets a credential, which QEMU's fw_cfg gives to the VM from the next start on. */
  async setCredential(name: string, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await Deno.writeFile(join(this.folder, "credentials", name), bytes);
  }

  /** Sets a credential, which a string of SMBIOS type 11 gives to the VM from the next start on. */
  async setSmbiosCredential(name: string, content: string): Promise<void> {
    await Deno.writeTextFile(join(this.folder, "smbios", name), `io.systemd.credential:${name}=${content}`);
  }

  /** Powers the machine on and returns as soon as QEMU runs. */
  async start(): Promise<void> {
    if (await this.isRunning()) throw new Error(`Cannot start the machine "${this.name}" as it is running`);
    for (const name of [files.tpm, files.guestAgent, files.monitor]) await removeFile(join(this.folder, name));
    const { keepRunning, namespace } = this.specification;
    const swtpm = await startVtpm(join(this.folder, "tpm"), join(this.folder, files.tpm), keepRunning);
    await this.#record(processFiles.swtpm, swtpm);
    await this.#appears(files.tpm, swtpm, "swtpm.log");
    const qemu = await startProcess(inNamespace(namespace, qemuArguments(await this.#qemuOptions())), {
      log: join(this.folder, "qemu.log"),
      cwd: this.folder,
      keepRunning,
    });
    await this.#record(processFiles.qemu, qemu);
    await this.#appears(files.monitor, qemu, "qemu.log");
  }

  /** Whether QEMU is running. */
  async isRunning(): Promise<boolean> {
    const qemu = await this.#recorded(processFiles.qemu);
    return qemu !== undefined && await isAlive(qemu);
  }

  /**
   * Cuts the power: kills QEMU and the vTPM with SIGKILL. The next {@linkcode start} finds everything on the disk that
   * the guest had flushed, and whatever else had reached the disk by then.
   */
  async kill(): Promise<void> {
    for (const file of [processFiles.qemu, processFiles.swtpm]) {
      const identity = await this.#recorded(file);
      if (identity) await killProcess(identity);
    }
  }

  /** Presses the reset button. */
  async reset(): Promise<void> {
    await using monitor = await JsonLines.connect(join(this.folder, files.monitor), connectDeadlineMs);
    for (const execute of ["qmp_capabilities", "system_reset"]) {
      await monitor.send({ execute });
      await monitor.receive((message) => message.return);
    }
  }

  /**
   * Shuts the system down cleanly, and waits until the machine is off.
   *
   * @throws Error when the machine is still on at the deadline.
   */
  async powerOff(deadlineMs: number): Promise<void> {
    await this.#agent.start(["systemctl", "poweroff"]);
    await this.waitUntilOff(deadlineMs);
  }

  /** Waits until the machine is off. */
  async waitUntilOff(deadlineMs: number): Promise<void> {
    for (const file of [processFiles.qemu, processFiles.swtpm]) {
      const identity = await this.#recorded(file);
      if (identity) await waitForEnd(identity, deadlineMs);
    }
  }

  /** Waits until the system has booted far enough for {@linkcode exec} to work. */
  async waitUntilBooted(deadlineMs: number): Promise<void> {
    await this.#agent.ready(deadlineMs);
  }

  /** Runs a command as root in the machine. */
  async exec(argv: readonly [string, ...string[]], options: ExecOptions): Promise<ExecResult> {
    return await this.#agent.exec(argv, options);
  }

  /** Plugs in or unplugs the network cable. */
  async setLink(up: boolean): Promise<void> {
    await setLink(this.specification.namespace, this.specification.tap, up);
  }

  async #qemuOptions(): Promise<Parameters<typeof qemuArguments>[0]> {
    const { number, acceleration, cpus, memoryMiB, tap } = this.specification;
    const mac = `52:54:00:00:00:${number.toString(16).padStart(2, "0")}`;
    const namesIn = async (folder: string) =>
      (await Array.fromAsync(Deno.readDir(join(this.folder, folder)))).map(({ name }) => name).toSorted();
    const names = await namesIn("credentials");
    const credentials = Object.fromEntries(names.map((name) => [name, join("credentials", name)]));
    const smbiosStrings = (await namesIn("smbios")).map((name) => join("smbios", name));
    const clock = this.clockAheadMs === 0 ? {} : { clock: new Date(Date.now() + this.clockAheadMs) };
    return { acceleration, cpus, memoryMiB, tap, mac, credentials, smbiosStrings, ...clock };
  }

  async #appears(socket: string, owner: ProcessIdentity, log: string): Promise<void> {
    await waitUntil({ what: `socket "${socket}"`, deadlineMs: connectDeadlineMs, everyMs: 20 }, async () => {
      if (await Deno.stat(join(this.folder, socket)).then(() => true, () => false)) return true;
      if (await isAlive(owner)) return undefined;
      const tail = await capture(["tail", "-n", "5", join(this.folder, log)]);
      throw new Error(`Cannot start the machine "${this.name}": ${log} ends with:\n${tail}`);
    });
  }

  async #record(file: string, { pid, startTime }: ProcessIdentity): Promise<void> {
    await Deno.writeTextFile(join(this.folder, file), JSON.stringify({ pid, startTime }));
  }

  async #recorded(file: string): Promise<ProcessIdentity | undefined> {
    const text = await Deno.readTextFile(join(this.folder, file)).catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text);
  }
}

async function removeFile(path: string): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}
