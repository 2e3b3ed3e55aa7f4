import type { Acceleration } from "./kernel_arguments.ts";

/** Names of the files that QEMU and its VM share with this machine. All are in the VM's folder. */
export const files = {
  root: "root.img",
  state: "state.qcow2",
  boot: "esp",
  firmwareVariables: "firmware.fd",
  console: "console.log",
  journal: "journal.jsonl",
  guestAgent: "agent.sock",
  monitor: "qmp.sock",
  tpm: "tpm.sock",
} as const;

/** The input of {@linkcode qemuArguments}. */
export interface QemuOptions {
  readonly acceleration: Acceleration;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly tap: string;
  readonly mac: string;
  /** The time that the machine's clock shows at the start. Default: this machine's. */
  readonly clock?: Date;
  /** The names of the credentials, and the files with their contents. */
  readonly credentials: Readonly<Record<string, string>>;
  /** The files with the strings of SMBIOS type 11. */
  readonly smbiosStrings: readonly string[];
}

const translationCacheMiB = 512;
/**
 * Features that programs use when the processor has them, and that make an emulated processor slower. With `erms`,
 * memory is cleared and copied byte by byte (2 GiB/s more without it). With `smap`, each access of the kernel to a
 * program's memory changes the processor's mode. AVX, which depends on `xsave`, makes the inner loops of Go and glibc
 * longer (SHA-256 takes half the time without it).
 */
const emulatedProcessor = "max,-erms,-smap,-smep,-pku,-xsave";
/** From Debian's package `ovmf`: firmware without Secure Boot that measures what it starts. */
const firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const fwCfgPrefix = "opt/io.systemd.credentials/";
/** QEMU's `FW_CFG_MAX_FILE_PATH` without the terminating zero. */
const fwCfgNameLength = 55;

/**
 * The command line that starts QEMU in a VM's folder. All file names in it are relative.
 *
 * @throws Error when a credential's name is too long for fw_cfg.
 */
export function qemuArguments(options: QemuOptions): string[] {
  const { acceleration, clock, credentials, smbiosStrings } = options;
  const processor = acceleration === "kvm"
    ? ["-accel", "kvm", "-cpu", "host"]
    : ["-accel", `tcg,thread=multi,tb-size=${translationCacheMiB}`, "-cpu", emulatedProcessor];
  return [
    "qemu-system-x86_64",
    ...["-machine", "q35", ...processor, "-smp", `${options.cpus}`, "-m", `${options.memoryMiB}`],
    ...["-nodefaults", "-no-user-config", "-display", "none"],
    ...(clock === undefined ? [] : ["-rtc", `base=${clock.toISOString().slice(0, "2026-11-30T00:00:00".length)}`]),
    ...["-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${firmware}`],
    ...["-drive", `if=pflash,unit=1,format=raw,file=${files.firmwareVariables}`],
    // The kernel names them vda, vdb and vdc, in this order.
    ...["-drive", `file=${files.root},if=none,id=root,format=raw,readonly=on`, "-device", "virtio-blk-pci,drive=root"],
    // With "unsafe" QEMU never waits for this machine's disk. Flushed data still survives the end of QEMU, so tests may
    // cut the power.
    ...["-drive", `file=${files.state},if=none,id=state,format=qcow2,cache=unsafe,discard=unmap`],
    ...["-device", "virtio-blk-pci,drive=state"],
    // QEMU presents the folder as a FAT file system.
    ...["-drive", `file=fat:${files.boot},if=none,id=boot,format=raw,readonly=on`],
    ...["-device", "virtio-blk-pci,drive=boot,bootindex=0"],
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
    ...smbiosStrings.flatMap((file) => ["-smbios", `type=11,path=${file}`]),
  ];
}

function fwCfgName(credential: string): string {
  const name = `${fwCfgPrefix}${credential}`;
  if (name.length <= fwCfgNameLength) return name;
  throw new Error(
    `Cannot pass the credential "${credential}" as its name is longer than ${fwCfgNameLength - fwCfgPrefix.length}`,
  );
}
