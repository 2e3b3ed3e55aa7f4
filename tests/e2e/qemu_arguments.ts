import type { VmImage } from "../tools/vm_base.ts";

/** How the processor is emulated. */
export type Acceleration = "kvm" | "tcg";

/** Names of the files that QEMU and its VM share with this machine, all in the VM's folder. */
export const files = {
  disk: "disk.qcow2",
  console: "console.log",
  journal: "journal.jsonl",
  guestAgent: "agent.sock",
  monitor: "qmp.sock",
  tpm: "tpm.sock",
} as const;

/** What {@linkcode qemuArguments} needs to know. */
export interface QemuOptions {
  readonly acceleration: Acceleration;
  readonly image: Pick<VmImage, "kernel" | "initrd">;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** How fast this machine's time stamp counter is, which an emulated processor shows as its own; where that is known. */
  readonly tscKhz?: number;
  readonly tap: string;
  readonly mac: string;
  /** Added to the kernel's command line. */
  readonly kernelArguments: readonly string[];
  /** Credential names and the files with their contents. */
  readonly credentials: Readonly<Record<string, string>>;
}

const translationCacheMiB = 512;
/** Guards against a processor that speculates, and a fifth level of page tables, only cost time. */
const emulatedKernelArguments = ["mitigations=off", "no5lvl"];
const fwCfgPrefix = "opt/io.systemd.credentials/";
/** `FW_CFG_MAX_FILE_PATH` of QEMU, without the final zero. */
const fwCfgNameLength = 55;

/**
 * The command line that starts QEMU in a VM's folder, with relative names for all files in it.
 *
 * @throws Error when a credential's name is too long for fw_cfg.
 */
export function qemuArguments(options: QemuOptions): string[] {
  const { acceleration, image, credentials } = options;
  const processor = acceleration === "kvm"
    ? ["-accel", "kvm", "-cpu", "host"]
    : ["-accel", `tcg,thread=multi,tb-size=${translationCacheMiB}`, "-cpu", "max"];
  const kernelArguments = [
    ...["rw", "console=ttyS0", "quiet", "net.ifnames=0", "panic=-1"],
    // An emulated processor hung in the kernel's tests of its ciphers once; one that hangs starts anew by itself.
    ...["cryptomgr.notests", "softlockup_panic=1", "watchdog_thresh=60"],
    ...(acceleration === "kvm" ? [] : [...emulatedKernelArguments, ...clockArguments(options.tscKhz)]),
    ...options.kernelArguments,
  ];
  return [
    "qemu-system-x86_64",
    ...["-machine", "q35", ...processor, "-smp", `${options.cpus}`, "-m", `${options.memoryMiB}`],
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...["-kernel", image.kernel, "-initrd", image.initrd, "-append", kernelArguments.join(" ")],
    // "unsafe" never waits for this machine's disk, and what the guest flushes outlives QEMU nevertheless: power may be cut.
    ...["-drive", `file=${files.disk},if=virtio,format=qcow2,cache=unsafe,discard=unmap`],
    ...["-netdev", `tap,id=net,ifname=${options.tap},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=net,mac=${options.mac},romfile=`],
    ...["-device", "virtio-rng-pci"],
    ...["-chardev", `socket,id=tpm,path=${files.tpm}`, "-tpmdev", "emulator,id=tpm,chardev=tpm"],
    ...["-device", "tpm-crb,tpmdev=tpm"],
    ...["-chardev", `file,id=console,path=${files.console},append=on`, "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci"],
    ...["-chardev", `file,id=journal,path=${files.journal},append=on`],
    ...["-device", "virtserialport,chardev=journal,name=journal"],
    ...["-chardev", `socket,id=agent,path=${files.guestAgent},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
    ...["-qmp", `unix:${files.monitor},server=on,wait=off`],
    ...Object.entries(credentials).flatMap(([name, file]) => ["-fw_cfg", `name=${fwCfgName(name)},file=${file}`]),
  ];
}

function fwCfgName(credential: string): string {
  const name = `${fwCfgPrefix}${credential}`;
  if (name.length <= fwCfgNameLength) return name;
  throw new Error(
    `Cannot pass the credential "${credential}" as its name is longer than ${fwCfgNameLength - fwCfgPrefix.length}`,
  );
}

/**
 * Linux believes the time stamp counters of several emulated processors to differ, which they do not, and takes the HPET instead:
 * then whoever looks at the clock, as Go programs always do, waits for a lock of QEMU's. The rate must come with it: a machine
 * that measures it while others keep this one busy may get it wrong by far, and its clock runs away.
 */
function clockArguments(tscKhz: number | undefined): readonly string[] {
  return tscKhz === undefined ? [] : ["tsc=reliable", `tsc_early_khz=${tscKhz}`];
}
