/**
 * The machine, as far as it is behind files that Deno opens only with all permissions: looked at once, at the start.
 *
 * @module
 */
import { join } from "node:path";
import { createTpmIssuer } from "../attestation/kinds/tpm/issuer.ts";
import type { MachineDevices } from "../attestation/kind.ts";
import { TSM_FOLDER } from "../attestation/tsm/report.ts";
import type { MachineFacts } from "../node/configuration_defaults.ts";
import { defaultRouteInterfaces } from "../node/configuration_defaults.ts";
import type { ImageFinding } from "../node/image_measured.ts";
import { findUnmeasured } from "../node/image_measured.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import { present } from "../platform/present.ts";
import type { CliContext } from "./context.ts";

/** This machine. */
export interface Machine extends MachineDevices {
  /** Name and addresses. */
  readonly facts: MachineFacts;
  /** What of "the image is measured" does not hold. */
  readonly unmeasured: readonly ImageFinding[];
}

const MAXIMUM_PROC_BYTES = 1 << 20;
/** Registers are read without the endorsement key. */
const ANY_EK_TYPE = "rsa2048";

/**
 * Opens the machine. Every subcommand that needs it does so first and gives up its permissions then.
 *
 * @throws {BootstrapError} `system/tpm-transport` for a TPM that is there and cannot be opened, `system/…`.
 */
export async function openMachine(context: CliContext): Promise<Machine> {
  const { paths } = context;
  const tpm = await exists(paths.tpmDevice) ? await context.openTpm() : undefined;
  const device = await exists(join(paths.root, TSM_FOLDER)) ? context.openDevice() : undefined;
  const routes = await readFileIfExists(join(paths.root, "proc/net/route"), MAXIMUM_PROC_BYTES);
  const names = context.machineNames();
  return {
    ...present("tpm", tpm),
    ...present("device", device),
    facts: { ...names, defaultRouteInterfaces: defaultRouteInterfaces(fromUtf8(routes ?? new Uint8Array(), "routes")) },
    unmeasured: await findUnmeasured({
      root: paths.root,
      isConfidential: device !== undefined,
      ...(tpm === undefined ? {} : { registers: createTpmIssuer(tpm, ANY_EK_TYPE, context.clock) }),
    }),
  };
}
