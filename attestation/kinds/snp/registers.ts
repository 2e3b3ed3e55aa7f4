import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { MeasurementRegisters } from "../../evidence.ts";
import { TRUST_REGISTER } from "../../evidence.ts";
import { readTsmReport } from "../../tsm/report.ts";
import type { ReadTsmReport } from "../../tsm/report.ts";
import { readReport, REPORT_DATA_BYTES } from "./report.ts";

const HOST_DATA_BYTES = 32;

/**
 * The registers of an SEV-SNP machine in place of PCR 12 and PCR 15. HOST_DATA stands for PCR 12: the host sets it at
 * launch, and it cannot change afterwards. There is no register for the lock, so the lock's state must die with the VM.
 *
 * @param read Asks the kernel for a report.
 */
export function snpRegisters(read: ReadTsmReport = readTsmReport): MeasurementRegisters {
  let hostData: Promise<Bytes> | undefined;
  return {
    read(index) {
      if (index !== TRUST_REGISTER) return Promise.resolve(new Uint8Array(HOST_DATA_BYTES));
      return hostData ??= readHostData(read);
    },
    extend(index) {
      return index === TRUST_REGISTER ? Promise.reject(notGiven()) : Promise.resolve();
    },
    extended: (index, digest) =>
      Promise.resolve(index === TRUST_REGISTER ? copyOf(digest) : new Uint8Array(HOST_DATA_BYTES)),
  };
}

async function readHostData(read: ReadTsmReport): Promise<Bytes> {
  const reportData = randomBytes(REPORT_DATA_BYTES);
  const { outblob } = await read({ provider: "sev_guest", reportData, privilegeLevel: 0 });
  return readReport(outblob).hostData;
}

function notGiven(): BootstrapError {
  return new BootstrapError("precondition/host-data", "The host launched this VM without HOST_DATA", {
    next: "Launch it with HOST_DATA = D12 of its configuration, which `bootstrapper policy registers` prints",
  });
}
