import { join } from "node:path";
import { cacheFolder } from "../tools/cache_folder.ts";
import type { VmBase } from "../tools/vm_base.ts";
import { withLock } from "../tools/with_lock.ts";
import { isAlive, killProcess, startProcess } from "./process.ts";
import type { Acceleration } from "./kernel_arguments.ts";
import { waitUntil } from "./wait_until.ts";

const probeDeadlineMs = 15_000;
/**
 * The kernel prints this line after it has probed its devices, when it starts the first program: a guest that prints it
 * really runs.
 */
const bootedText = "Run /init as init process";

/**
 * Whether this machine can run VMs with KVM. An accessible `/dev/kvm` proves little, so a guest is booted. The result
 * is cached until the machine reboots.
 */
export async function acceleration(image: Pick<VmBase, "kernel" | "initrd">): Promise<Acceleration> {
  const boot = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim();
  const answer = join(cacheFolder(), `acceleration-${boot}`);
  return await withLock("acceleration", async () => {
    const known = await Deno.readTextFile(answer).catch(() => undefined);
    if (known === "kvm" || known === "tcg") return known;
    const found: Acceleration = await guestBootsWithKvm(image) ? "kvm" : "tcg";
    await Deno.writeTextFile(`${answer}.new`, found);
    await Deno.rename(`${answer}.new`, answer);
    return found;
  });
}

async function guestBootsWithKvm(image: Pick<VmBase, "kernel" | "initrd">): Promise<boolean> {
  const opened = await Deno.open("/dev/kvm", { read: true, write: true }).catch(() => undefined);
  if (!opened) return false;
  opened.close();
  const folder = await Deno.makeTempDir({ prefix: "bootstrapper-kvm-" });
  const serial = join(folder, "serial");
  const machine = ["-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-display", "none"];
  const boot = [
    "-kernel",
    image.kernel,
    "-initrd",
    image.initrd,
    "-append",
    "console=ttyS0",
    "-serial",
    `file:${serial}`,
  ];
  const qemu = await startProcess(["qemu-system-x86_64", ...machine, ...boot], {
    log: join(folder, "log"),
    cwd: folder,
    keepRunning: false,
  });
  try {
    return await waitUntil({ what: "guest with KVM", deadlineMs: probeDeadlineMs }, async () => {
      const seen = await Deno.readTextFile(serial).catch(() => "");
      if (seen.includes(bootedText)) return "yes";
      return await isAlive(qemu) ? undefined : "no";
    }) === "yes";
  } catch {
    return false;
  } finally {
    await killProcess(qemu);
    await qemu.ended;
    await Deno.remove(folder, { recursive: true });
  }
}
