/**
 * The machine, as far as it is behind files that Deno opens only with all permissions: looked at once, at the start.
 *
 * @module
 */
import { join } from "node:path";
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { Tpm } from "../attestation/tpm/tpm.ts";
import type { MachineFacts } from "../node/configuration_defaults.ts";
import { defaultRouteInterfaces } from "../node/configuration_defaults.ts";
import type { ImageFinding } from "../node/image_measured.ts";
import { findUnmeasured } from "../node/image_measured.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists, readFileIfExists } from "../platform/files.ts";
import type { CliContext } from "./context.ts";

/** This machine's TPM, open. */
export interface MachineTpm {
  /** Its commands. */
  readonly tpm: Tpm;
  /** Its registers. */
  readonly registers: MeasurementRegisters;
}

/** This machine. */
export interface Machine {
  /** The TPM; none where the machine has none. */
  readonly tpm?: MachineTpm;
  /** Name and addresses. */
  readonly facts: MachineFacts;
  /** What of "the image is measured" does not hold. */
  readonly unmeasured: readonly ImageFinding[];
}

const MAXIMUM_PROC_BYTES = 1 << 20;

/**
 * Opens the machine. Every subcommand that needs it does so first and gives up its permissions then.
 *
 * @throws {BootstrapError} `system/tpm-transport` for a TPM that is there and cannot be opened, `system/…`.
 */
export async function openMachine(context: CliContext): Promise<Machine> {
  const { paths } = context;
  const tpm = await openTpm(context);
  const routes = await readFileIfExists(join(paths.root, "proc/net/route"), MAXIMUM_PROC_BYTES);
  const names = context.machineNames();
  return {
    ...(tpm === undefined ? {} : { tpm }),
    facts: { ...names, defaultRouteInterfaces: defaultRouteInterfaces(fromUtf8(routes ?? new Uint8Array(), "routes")) },
    unmeasured: await findUnmeasured({ root: paths.root, ...(tpm === undefined ? {} : { registers: tpm.registers }) }),
  };
}

async function openTpm({ paths, openTpm, clock }: CliContext): Promise<MachineTpm | undefined> {
  if (!await exists(paths.tpmDevice)) return undefined;
  const tpm = new Tpm(await openTpm(), clock);
  return {
    tpm,
    registers: {
      async read(index) {
        const [value] = await tpm.pcrRead([index]);
        if (value === undefined) throw new BootstrapError("system/tpm-pcr", `The TPM gave no value of PCR ${index}`);
        return value;
      },
      extend: (index, digest) => tpm.pcrExtend(index, digest),
    },
  };
}
