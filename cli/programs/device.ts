import { systemRegisterFiles } from "../../attestation/kinds/tdx/rtmr.ts";
import { serveDevice } from "../../attestation/tsm/device.ts";
import { readTsmReport } from "../../attestation/tsm/report.ts";

/** Serves reports and registers of this machine on standard input and output, until the input ends. */
export async function device(): Promise<void> {
  const pipe = { readable: Deno.stdin.readable, writable: Deno.stdout.writable };
  await serveDevice(pipe, { report: (request) => readTsmReport(request), registers: systemRegisterFiles() });
}
