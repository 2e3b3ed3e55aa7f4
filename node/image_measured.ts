/**
 * Checks that all code that can run before the bootstrapper is measured. Only then do the registers tell a verifier
 * what this machine runs.
 *
 * @module
 */
import { join } from "node:path";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { NO_IMPORT_ARGUMENT, turnsOffCredentials } from "../attestation/uki/kernel_arguments.ts";
import { fromUtf8, isZero } from "../platform/bytes.ts";
import { exists, readFile, readFileIfExists } from "../platform/files.ts";
import { foldersOfCode } from "./mounts.ts";

/** A requirement that does not hold. */
export interface ImageFinding {
  /** The name of the check; stable. */
  readonly check: "file-system" | "kernel-arguments" | "boot-measurement" | "credential";
  /** The problem, as a sentence without a final full stop. */
  readonly message: string;
}

/** The machine to check. */
export interface ImageFacts {
  /** The root folder: `/` on a node. */
  readonly root: string;
  /** The TPM's registers; absent if there is no TPM. */
  readonly registers?: Pick<MeasurementRegisters, "read">;
  /** Whether the machine is a confidential VM, whose processor measured its launch image. */
  readonly isConfidential?: boolean;
}

/**
 * systemd-stub measures the parts of the unified kernel image into this register (UAPI group, "Linux TPM PCR
 * Registry").
 */
const KERNEL_IMAGE_REGISTER = 11;
/**
 * An EFI variable that systemd-stub, the loader of a unified kernel image, sets for the system that it starts
 * (systemd-stub(7)).
 */
const STUB_INFO = "sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const MAXIMUM_PROC_BYTES = 1 << 20;
const CREDENTIAL_FOLDERS = ["run/credentials/@system", "run/credentials/@encrypted"];
/**
 * Credentials that give the host no power over the machine (systemd.system-credentials(7)). All others are findings:
 * some make users, files, units or mounts, and new versions of systemd add more of them.
 */
const HARMLESS_CREDENTIALS =
  /^(?:bootstrapper\.[\w.-]+|system\.hostname|system\.machine_id|vmm\.notify_socket|login\.(?:motd|issue)|firstboot\.(?:locale|locale-messages|keymap|timezone)|network\.(?:dns|search_domains))$/;

/**
 * Finds the parts of this machine's image that are not measured.
 *
 * Secure Boot is not needed: the registers say what was booted, and the verifier's policy says what may be booted.
 * systemd-stub measures additional kernel arguments of a unified kernel image into PCR 12; measuring the trust part
 * then fails.
 *
 * @returns The findings; empty if the image is fully measured.
 * @throws {BootstrapError} `system/file` if a file of the machine cannot be read; the errors of the registers.
 */
export async function findUnmeasured(facts: ImageFacts): Promise<readonly ImageFinding[]> {
  const findings = await Promise.all([
    findFileSystems(facts.root),
    findKernelArguments(facts.root),
    findBootMeasurement(facts),
    findCredentialImport(facts.root),
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
    const message =
      `${folder} is neither on dm-verity nor in memory: anyone who can write to its disk can run code here`;
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

async function findCredentialImport(root: string): Promise<readonly ImageFinding[]> {
  const path = join(root, "proc/cmdline");
  const kernelArguments = await readFileIfExists(path, MAXIMUM_PROC_BYTES) ?? new Uint8Array();
  if (turnsOffCredentials(fromUtf8(kernelArguments, path))) return [];
  const message = `The kernel arguments lack ${NO_IMPORT_ARGUMENT}: systemd obeys the host's credentials, which may ` +
    "grant it root here";
  return [{ check: "credential", message }];
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
