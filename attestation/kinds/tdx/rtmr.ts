/**
 * 32-byte digests in TDX's fields and registers of 48 bytes.
 *
 * A digest is padded with 16 zero bytes, `D ‖ 0¹⁶`, both in MRCONFIGID and in the value that extends a register. A
 * register that was zero then holds `SHA-384(0⁴⁸ ‖ D ‖ 0¹⁶)` (Intel TDX Module ABI, TDG.MR.RTMR.EXTEND). Other software
 * extends SHA-384 digests, which do not end in 16 zero bytes.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, copyOf } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";

/** The size of MRTD, of MRCONFIGID and of each RTMR. */
export const TDX_REGISTER_BYTES = 48;
/** The register that holds the lock. Firmware and kernel leave it to applications. */
export const TDX_LOCK_REGISTER = 3;

const DIGEST_BYTES = 32;

/** Pads a digest of 32 bytes to 48: `D ‖ 0¹⁶`. */
export function padded(digest: Uint8Array): Bytes {
  if (digest.length !== DIGEST_BYTES) {
    throw new BootstrapError("internal/digest", `A digest has ${DIGEST_BYTES} bytes, not ${digest.length}`);
  }
  return concat(digest, new Uint8Array(TDX_REGISTER_BYTES - DIGEST_BYTES));
}

/** Computes the value of a zero register after it is extended by a digest of 32 bytes. */
export async function extendedRtmr(digest: Uint8Array): Promise<Bytes> {
  const message = concat(new Uint8Array(TDX_REGISTER_BYTES), padded(digest));
  return new Uint8Array(await crypto.subtle.digest("SHA-384", message));
}

/** A TD's own registers. */
export interface TdxRegisters {
  /** Reads MRCONFIGID, 48 bytes. */
  configId(): Promise<Bytes>;
  /** Reads RTMR 0 to 3, 48 bytes. */
  read(index: number): Promise<Bytes>;
  /** Extends an RTMR by a digest of 32 bytes, padded. */
  extend(index: number, digest: Uint8Array): Promise<void>;
}

/** A folder with files of 48 bytes. */
export interface RegisterFiles {
  /** Reads a file. */
  read(name: string): Promise<Uint8Array>;
  /** Writes a file in one write. */
  write(name: string, bytes: Uint8Array): Promise<void>;
}

/** The kernel's folder of registers, since 6.16 (Documentation/ABI/testing/sysfs-devices-virtual-misc-tdx_guest). */
export const TDX_MEASUREMENTS_FOLDER = "/sys/devices/virtual/misc/tdx_guest/measurements";

/**
 * Creates access to a TD's registers through the kernel's files.
 *
 * @param files The folder. Default: {@linkcode systemRegisterFiles}.
 * @returns Registers whose methods throw `system/tdx-register`.
 */
export function createTdxRegisters(files: RegisterFiles = systemRegisterFiles()): TdxRegisters {
  return {
    configId: () => readRegister(files, "mrconfigid"),
    read: (index) => readRegister(files, fileOf(index)),
    extend: (index, digest) => attempt(fileOf(index), () => files.write(fileOf(index), padded(digest))),
  };
}

/** Opens the kernel's files. */
export function systemRegisterFiles(folder: string = TDX_MEASUREMENTS_FOLDER): RegisterFiles {
  return {
    read: (name) => Deno.readFile(`${folder}/${name}`),
    async write(name, bytes) {
      using file = await Deno.open(`${folder}/${name}`, { write: true });
      // A sysfs attribute takes its value from one write.
      if (await file.write(bytes) !== bytes.length) throw new Error("not all bytes were written");
    },
  };
}

function fileOf(index: number): string {
  return `rtmr${index}:sha384`;
}

async function readRegister(files: RegisterFiles, name: string): Promise<Bytes> {
  const value = await attempt(name, () => files.read(name));
  if (value.length === TDX_REGISTER_BYTES) return copyOf(value);
  throw new BootstrapError("system/tdx-register", `The register ${name} has ${value.length} bytes, not 48`);
}

async function attempt<T>(name: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    throw new BootstrapError("system/tdx-register", `Cannot use the register ${name}`, {
      cause,
      next: "Use a kernel of version 6.16 or later with the driver tdx_guest",
    });
  }
}
