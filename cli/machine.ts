/**
 * The facts and devices of this machine behind files that Deno opens only with all permissions. They are read or opened
 * once, at the start.
 *
 * @module
 */
import { join } from "node:path";
import { createTpmIssuer } from "../attestation/kinds/tpm/issuer.ts";
import type { MachineDevices } from "../attestation/kind.ts";
import { TDX_MEASUREMENTS_FOLDER } from "../attestation/kinds/tdx/rtmr.ts";
import { TSM_FOLDER } from "../attestation/tsm/report.ts";
import type { MachineFacts } from "../node/configuration_defaults.ts";
import { defaultRouteInterfaces, transientAddresses } from "../node/default_routes.ts";
import type { FirmwareData } from "../node/host_credentials.ts";
import { readFirmwareData } from "../node/host_credentials.ts";
import type { ImageFinding } from "../node/image_measured.ts";
import { findUnmeasured } from "../node/image_measured.ts";
import { readMachineId } from "../node/machine_id.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import { addressBytes } from "../platform/ip_address.ts";
import { present } from "../platform/present.ts";
import type { CliContext } from "./context.ts";

/** This machine. */
export interface Machine extends MachineDevices {
  /** The machine's name and addresses. */
  readonly facts: MachineFacts;
  /** What the machine's host hands over by SMBIOS and fw_cfg. */
  readonly firmware: FirmwareData;
  /** The parts of the image that are not measured. */
  readonly unmeasured: readonly ImageFinding[];
  /** The UUID that the firmware gives the machine, if it gives one. */
  readonly machineId?: string;
  /** Rejects when the process that has the machine's devices ends. */
  readonly deviceEnd?: Promise<never>;
}

const MAXIMUM_PROC_BYTES = 1 << 20;
/** Any type will do: registers are read without the endorsement key. */
const ANY_EK_TYPE = "rsa2048";

/**
 * Opens the machine. Each command that needs the machine opens it first, and then gives up its permissions.
 *
 * @throws {BootstrapError} `system/tpm-transport` if there is a TPM that cannot be opened, `system/…`.
 */
export async function openMachine(context: CliContext): Promise<Machine> {
  const { paths } = context;
  const tpm = await exists(paths.tpmDevice) ? await context.openTpm() : undefined;
  const hasTdRegisters = await exists(join(paths.root, TDX_MEASUREMENTS_FOLDER));
  const isConfidential = await exists(join(paths.root, TSM_FOLDER));
  const deviceEnd = Promise.withResolvers<never>();
  deviceEnd.promise.catch(() => {});
  const device = isConfidential || hasTdRegisters ? context.openDevice(deviceEnd.reject) : undefined;
  try {
    return {
      ...present("tpm", tpm),
      ...present("device", device),
      ...(device === undefined ? {} : { deviceEnd: deviceEnd.promise }),
      ...present("machineId", await readMachineId(paths.root)),
      hasTdRegisters,
      facts: await machineFacts(context),
      firmware: await readFirmwareData(paths.root),
      unmeasured: await findUnmeasured({
        root: paths.root,
        isConfidential,
        ...(tpm === undefined ? {} : { registers: createTpmIssuer(tpm, ANY_EK_TYPE, context.clock) }),
      }),
    };
  } catch (error) {
    // The caller may open the machine again.
    tpm?.close();
    device?.[Symbol.dispose]?.();
    throw error;
  }
}

/** Reads the name, the addresses and the default routes of the machine. */
export async function machineFacts({ paths, machineNames }: CliContext): Promise<MachineFacts> {
  const table = async (name: string) => {
    // With ProcSubset=pid of a unit there is no link /proc/net.
    const bytes = await readFileIfExists(join(paths.root, "proc/self/net", name), MAXIMUM_PROC_BYTES);
    return fromUtf8(bytes ?? new Uint8Array(), name);
  };
  const transient = transientAddresses(await table("if_inet6"));
  const { hostName, addresses } = machineNames();
  return {
    hostName,
    addresses: addresses.map((entry) => {
      const isTransient = transient.has(addressBytes(entry.address)?.toHex() ?? "");
      return isTransient ? { ...entry, isTransient } : entry;
    }),
    defaultRouteInterfaces: defaultRouteInterfaces(await table("route"), await table("ipv6_route")),
  };
}
