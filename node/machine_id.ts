import { join } from "node:path";
import { fromUtf8 } from "../platform/bytes.ts";
import { readFileIfExists } from "../platform/files.ts";

/** Only root may read it. */
const FIRMWARE_UUID = "sys/class/dmi/id/product_uuid";
/** Linux makes it anew at each boot (random(4)). */
const BOOT_ID = "proc/sys/kernel/random/boot_id";
const MAXIMUM_BYTES = 4096;

/**
 * Reads the UUID that the firmware gives the machine below `root`. Returns `undefined` if it gives none, or if this
 * process may not read it.
 */
export async function readMachineId(root: string): Promise<string | undefined> {
  const bytes = await readFileIfExists(join(root, FIRMWARE_UUID), MAXIMUM_BYTES).catch(() => undefined);
  const uuid = bytes === undefined ? "" : fromUtf8(bytes, "UUID").trim().toLowerCase();
  // Firmware without a UUID of its own gives one digit alone.
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid) && !/^([0f])(?:\1|-)+$/.test(uuid)
    ? uuid
    : undefined;
}

/** Reads the ID of this boot below `root`. Returns `undefined` if it cannot be read. */
export async function readBootId(root: string): Promise<string | undefined> {
  const bytes = await readFileIfExists(join(root, BOOT_ID), MAXIMUM_BYTES).catch(() => undefined);
  const id = bytes === undefined ? "" : fromUtf8(bytes, "boot ID").trim();
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? id : undefined;
}
