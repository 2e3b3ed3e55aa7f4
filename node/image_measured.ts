/**
 * Whether the image is measured as far as code can run before the bootstrapper: what a verifier of the registers may
 * then conclude of this machine, and what not.
 *
 * @module
 */
import { join } from "node:path";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { fromUtf8, isZero } from "../platform/bytes.ts";
import { exists, readFile, readFileIfExists } from "../platform/files.ts";
import { foldersOfCode } from "./mounts.ts";

/** One thing that must hold and does not. */
export interface ImageFinding {
  /** What was looked at, stable. */
  readonly check: "file-system" | "kernel-arguments" | "boot-measurement" | "credential";
  /** What does not hold, as a sentence without a final full stop. */
  readonly message: string;
}

/** The machine as it is looked at. */
export interface ImageFacts {
  /** The root folder: `/` on a node. */
  readonly root: string;
  /** The TPM's registers; none where there is no TPM. */
  readonly registers?: Pick<MeasurementRegisters, "read">;
  /** Whether it is a confidential VM, whose processor measured what it was launched from. */
  readonly isConfidential?: boolean;
}

/** systemd-stub measures the parts of the unified kernel image into it (UAPI group, "Linux TPM PCR Registry"). */
const KERNEL_IMAGE_REGISTER = 11;
/** Set by systemd-stub, the loader of a unified kernel image, for the system that it starts (systemd-stub(7)). */
const STUB_INFO = "sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const MAXIMUM_PROC_BYTES = 1 << 20;
const CREDENTIAL_FOLDERS = ["run/credentials/@system", "run/credentials/@encrypted"];
/**
 * Credentials by which a host gains nothing (systemd.system-credentials(7)). All others are findings, as some make
 * users, files, units or mounts, and each new version of systemd knows more of those.
 */
const HARMLESS_CREDENTIALS =
  /^(?:bootstrapper\.[\w.-]+|system\.hostname|system\.machine_id|vmm\.notify_socket|login\.(?:motd|issue)|firstboot\.(?:locale|locale-messages|keymap|timezone)|network\.(?:dns|search_domains))$/;

/**
 * Looks for what of "the image is measured" does not hold on this machine.
 *
 * Secure Boot is not needed: registers say what was booted, and the verifier's policy says what may be. What an image
 * with a unified kernel gets handed as other kernel arguments is measured into PCR 12 by systemd-stub, where it makes
 * measuring the trust part fail.
 *
 * @returns Nothing if all of it holds.
 * @throws {BootstrapError} `system/file` if the machine cannot be looked at; what the registers throw.
 */
export async function findUnmeasured(facts: ImageFacts): Promise<readonly ImageFinding[]> {
  const findings = await Promise.all([
    findFileSystems(facts.root),
    findKernelArguments(facts.root),
    findBootMeasurement(facts),
    findCredentials(facts.root),
  ]);
  return findings.flat();
}

async function findFileSystems(root: string): Promise<readonly ImageFinding[]> {
  const path = join(root, "proc/self/mountinfo");
  const folders = foldersOfCode(fromUtf8(await readFile(path, MAXIMUM_PROC_BYTES), path));
  const findings = await Promise.all(folders.map(async ({ folder, type, device }): Promise<ImageFinding[]> => {
    if (type === "memory") return [];
    const uuid = await readFileIfExists(join(root, `sys/dev/block/${device}/dm/uuid`), MAXIMUM_PROC_BYTES);
    if (type === "block" && uuid !== undefined && fromUtf8(uuid, "dm/uuid").startsWith("CRYPT-VERITY-")) return [];
    const message = `${folder} is neither on dm-verity nor in memory: whoever can write its disk can run code here`;
    return [{ check: "file-system", message }];
  }));
  return findings.flat();
}

async function findKernelArguments(root: string): Promise<readonly ImageFinding[]> {
  if (await exists(join(root, STUB_INFO))) return [];
  const message =
    "The kernel was not started from a unified kernel image: its arguments are not fixed and not measured";
  return [{ check: "kernel-arguments", message }];
}

async function findBootMeasurement(
  { registers, isConfidential = false }: ImageFacts,
): Promise<readonly ImageFinding[]> {
  if (registers === undefined && isConfidential) return [];
  if (registers === undefined) return [{ check: "boot-measurement", message: "There is no TPM: nothing is measured" }];
  if (!isZero(await registers.read(KERNEL_IMAGE_REGISTER))) return [];
  const message = `PCR ${KERNEL_IMAGE_REGISTER} is zero: the kernel, its arguments and the initramfs were not measured`;
  return [{ check: "boot-measurement", message }];
}

async function findCredentials(root: string): Promise<readonly ImageFinding[]> {
  const findings: ImageFinding[] = [];
  for (const folder of CREDENTIAL_FOLDERS.map((folder) => join(root, folder))) {
    if (!await exists(folder)) continue;
    for await (const { name } of Deno.readDir(folder)) {
      if (HARMLESS_CREDENTIALS.test(name)) continue;
      const message = `The host handed in the credential ${JSON.stringify(name)}, which may grant it root here`;
      findings.push({ check: "credential", message });
    }
  }
  return findings.sort((a, b) => a.message < b.message ? -1 : 1);
}
