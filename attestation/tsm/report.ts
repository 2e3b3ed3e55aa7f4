/**
 * Reports of a confidential VM through the kernel's configfs-tsm (Documentation/ABI/testing/configfs-tsm-report).
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { copyOf, hex, randomBytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { TsmFiles } from "./files.ts";
import { systemTsmFiles } from "./files.ts";

/** The kernel's folder of configfs-tsm. */
export const TSM_FOLDER = "/sys/kernel/config/tsm/report";

/** The kernel drivers whose reports this project reads. */
export type TsmProvider = "sev_guest" | "tdx_guest";

/** A request for a report. */
export interface TsmRequest {
  /** The driver that must answer. */
  readonly provider: TsmProvider;
  /** Exactly 64 bytes, which the report contains. */
  readonly reportData: Uint8Array;
  /** The privilege level to report for, 0 to 3, if the provider has levels (SEV-SNP: the VMPL). */
  readonly privilegeLevel?: number;
}

/** A report from the kernel, with the host's additions. */
export interface TsmReport {
  /** The report in the provider's own format: an SNP report or a TDX quote. */
  readonly outblob: Bytes;
  /** Unproven data from the host: for SNP the certificate table. It may be empty. */
  readonly auxblob: Bytes;
}

/** {@linkcode readTsmReport}, or a function that asks another process to run it. */
export type ReadTsmReport = (request: TsmRequest) => Promise<TsmReport>;

/** The length of report data for both SNP and TDX (sev-guest.c, tdx-guest.c). */
const REPORT_DATA_BYTES = 64;
/** TSM_OUTBLOB_MAX, and the corresponding limits of newer kernels (include/linux/tsm.h). */
export const MAXIMUM_BLOB_BYTES: number = 1 << 20;
const MAXIMUM_ATTRIBUTE_BYTES = 4096;
/** `bootstrapper-PID-RANDOM`. The name is unique for each report, and identifies the process that created it. */
const ENTRY_NAME = /^bootstrapper-([1-9]\d*)-[0-9a-f]{16}$/;

/**
 * Asks the kernel for a report.
 *
 * Each report has its own entry, which is removed in any case. Entries of killed processes are removed too. An entry's
 * generation counts its writes. Before and after the report is read, it must equal the number of this process's writes.
 * A lower generation reveals that the kernel refused the report data; configfs drops that error when the file is
 * closed.
 *
 * @param request The request.
 * @param files The operations on the folder. Default: the kernel's folder.
 * @throws {BootstrapError} `precondition/tsm` if the kernel does not have the interface, `precondition/tsm-provider`,
 *   `precondition/tsm-privilege-level`, `system/tsm-generation` if another process wrote to the entry, `system/tsm`.
 */
export async function readTsmReport(
  { provider, reportData, privilegeLevel }: TsmRequest,
  files: TsmFiles = systemTsmFiles(TSM_FOLDER),
): Promise<TsmReport> {
  if (reportData.length !== REPORT_DATA_BYTES) {
    throw new BootstrapError("internal/report-data", `Report data must have ${REPORT_DATA_BYTES} bytes`);
  }
  await removeLeftovers(files);
  const name = `bootstrapper-${files.processId}-${hex(randomBytes(8))}`;
  await attempt("make an entry", () => files.makeEntry(name));
  let report: TsmReport;
  try {
    report = await readEntry(new Entry(files, name), { provider, reportData, privilegeLevel });
  } catch (error) {
    // The first error matters; an error of the removal is dropped.
    await files.removeEntry(name).catch(() => {});
    throw error;
  }
  await attempt("remove its entry", () => files.removeEntry(name));
  return report;
}

async function readEntry(entry: Entry, request: {
  readonly provider: TsmProvider;
  readonly reportData: Uint8Array;
  readonly privilegeLevel: number | undefined;
}): Promise<TsmReport> {
  const provider = await entry.text("provider");
  if (provider !== request.provider) {
    throw new BootstrapError(
      "precondition/tsm-provider",
      `The reports of this machine are from ${provider}, not ${request.provider}`,
      { details: { expected: request.provider, seen: provider } },
    );
  }
  let generation = await entry.generation();
  if (request.privilegeLevel !== undefined) {
    await writePrivilegeLevel(entry, request.privilegeLevel);
    generation++;
  }
  await entry.write("inblob", copyOf(request.reportData));
  generation++;
  await entry.checkGeneration(generation);
  const outblob = await entry.read("outblob");
  const auxblob = await entry.readIfThere("auxblob");
  await entry.checkGeneration(generation);
  return { outblob, auxblob };
}

async function writePrivilegeLevel(entry: Entry, level: number): Promise<void> {
  const floor = Number(await entry.text("privlevel_floor"));
  if (!(level >= floor)) {
    throw new BootstrapError(
      "precondition/tsm-privilege-level",
      `This machine reports for privilege level ${floor} and less privileged ones, not for ${level}`,
      { details: { expected: String(level), seen: String(floor) } },
    );
  }
  await entry.write("privlevel", new TextEncoder().encode(String(level)));
}

/** The attributes of one entry. */
class Entry {
  readonly #files: TsmFiles;
  readonly #name: string;

  constructor(files: TsmFiles, name: string) {
    this.#files = files;
    this.#name = name;
  }

  async read(attribute: string, maximumBytes = MAXIMUM_BLOB_BYTES): Promise<Bytes> {
    const bytes = await this.#find(attribute, maximumBytes);
    if (bytes === undefined) throw new BootstrapError("system/tsm", `An entry has no ${attribute}`);
    return bytes;
  }

  /** Reads an attribute that may be absent: TDX has no auxblob, and a host need not provide certificates. */
  async readIfThere(attribute: string): Promise<Bytes> {
    return await this.#find(attribute, MAXIMUM_BLOB_BYTES) ?? new Uint8Array();
  }

  async text(attribute: string): Promise<string> {
    return new TextDecoder().decode(await this.read(attribute, MAXIMUM_ATTRIBUTE_BYTES)).trim();
  }

  write(attribute: string, bytes: Bytes): Promise<void> {
    return attempt(`write ${attribute}`, () => this.#files.write(this.#name, attribute, bytes));
  }

  async generation(): Promise<bigint> {
    const text = await this.text("generation");
    if (/^\d{1,20}$/.test(text)) return BigInt(text);
    throw new BootstrapError("system/tsm", `The generation of an entry is not a number: ${text}`);
  }

  async checkGeneration(expected: bigint): Promise<void> {
    const seen = await this.generation();
    if (seen === expected) return;
    throw new BootstrapError(
      "system/tsm-generation",
      "Another process wrote to this process's report, or the kernel refused the data",
      { details: { expected: String(expected), seen: String(seen) } },
    );
  }

  #find(attribute: string, maximumBytes: number): Promise<Bytes | undefined> {
    return attempt(`read ${attribute}`, () => this.#files.read(this.#name, attribute, maximumBytes));
  }
}

/** Removes entries of processes that have ended. A failed removal is ignored. */
async function removeLeftovers(files: TsmFiles): Promise<void> {
  const names = await files.entries();
  if (names === undefined) {
    throw new BootstrapError("precondition/tsm", "The kernel provides no reports of a confidential VM", {
      next: "Boot the machine as an SEV-SNP or TDX guest, with configfs mounted and the guest driver loaded",
    });
  }
  for (const name of names) {
    const [, processId] = ENTRY_NAME.exec(name) ?? [];
    if (processId === undefined || await files.isRunning(Number(processId))) continue;
    await files.removeEntry(name).catch(() => {});
  }
}

async function attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BootstrapError("system/tsm", `The kernel's report interface failed to ${what}: ${reason}`, { cause });
  }
}
