/**
 * Evidence from an AMD SEV-SNP machine: a report from its secure processor, and the certificates that its host gives.
 *
 * @module
 */
import { readPem } from "../../../certificate/pem.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, equalBytes, fromUtf8, hex, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { EvidenceIssuer } from "../../evidence.ts";
import { readTsmReport } from "../../tsm/report.ts";
import type { ReadTsmReport } from "../../tsm/report.ts";
import { CERTIFICATE_GUID, readCertificateTable } from "./certificate_table.ts";
import { encodePayload, MAXIMUM_PART_BYTES } from "./payload.ts";
import { readReport, REPORT_DATA_BYTES, type SnpReport } from "./report.ts";

const STATEMENT_BYTES = 32;
/** The guest's most privileged level. Verifiers require it. */
const PRIVILEGE_LEVEL = 0;
const PEM_START = "-----BEGIN ";

/**
 * Creates an issuer of SEV-SNP evidence, through the kernel's configfs-tsm. The issuer does not examine the host's
 * certificates: the verifier judges them, and looks for missing ones.
 *
 * @param read Asks the kernel for a report. By default, this process asks.
 * @returns An issuer whose methods throw `precondition/tsm…`, `system/tsm…`, `system/snp-report` if the processor
 *   answers with another report than requested, `malformed/snp-…`; `activate` throws `protocol/challenge`.
 */
export function createSnpIssuer(read: ReadTsmReport = readTsmReport): EvidenceIssuer {
  return {
    variant: "snp",
    isChallenged: false,
    identityIsOfBoot: true,
    async issue(statement) {
      if (statement.length !== STATEMENT_BYTES) {
        throw new BootstrapError("internal/statement", `A statement has ${STATEMENT_BYTES} bytes`);
      }
      const reportData = concat(statement, new Uint8Array(REPORT_DATA_BYTES - STATEMENT_BYTES));
      const { bytes, report, auxblob } = await ownReport(reportData, read);
      return { variant: "snp", payload: encodePayload({ report: bytes, ...certificatesOf(report, auxblob) }) };
    },
    activate: () =>
      Promise.reject(new BootstrapError("protocol/challenge", "Evidence of variant snp has no challenge")),
    async ownIdentity() {
      // A report over random data is not evidence for any statement.
      const { report } = await ownReport(randomBytes(REPORT_DATA_BYTES), read);
      return hex(report.reportId);
    },
  };
}

async function ownReport(
  reportData: Bytes,
  read: ReadTsmReport,
): Promise<{ bytes: Bytes; report: SnpReport; auxblob: Bytes }> {
  const request = { provider: "sev_guest", reportData, privilegeLevel: PRIVILEGE_LEVEL } as const;
  const { outblob: bytes, auxblob } = await read(request);
  const report = readReport(bytes);
  if (!equalBytes(report.reportData, reportData)) {
    throw new BootstrapError("system/snp-report", "The secure processor reported over other data than it was given", {
      details: { expected: hex(reportData), seen: hex(report.reportData) },
    });
  }
  return { bytes, report, auxblob };
}

function certificatesOf({ signingKey }: SnpReport, auxblob: Bytes): { vek: Bytes; authority: Bytes; crl: Bytes } {
  const table = readCertificateTable(auxblob);
  const entry = (guid: string, part: keyof typeof MAXIMUM_PART_BYTES): Bytes => {
    const der = derOf(table.get(guid) ?? new Uint8Array());
    if (der.length <= MAXIMUM_PART_BYTES[part]) return der;
    const message = `The host gives a ${part} of ${der.length} bytes, more than ${MAXIMUM_PART_BYTES[part]}`;
    throw new BootstrapError("malformed/snp-certificate-table", message);
  };
  return {
    vek: entry(signingKey === "vlek" ? CERTIFICATE_GUID.vlek : CERTIFICATE_GUID.vcek, "vek"),
    authority: entry(CERTIFICATE_GUID.ask, "authority"),
    crl: entry(CERTIFICATE_GUID.crl, "crl"),
  };
}

/** Hosts give certificates in PEM or DER; verifiers read DER only. */
function derOf(bytes: Bytes): Bytes {
  const isPem = new TextDecoder().decode(bytes.subarray(0, PEM_START.length)) === PEM_START;
  return isPem ? readPem(fromUtf8(bytes, "certificate of the host"), "CERTIFICATE", "certificate of the host") : bytes;
}
