/**
 * Evidence from an Intel TDX machine: a quote by the platform's quoting enclave, through the kernel's configfs-tsm.
 *
 * @module
 */
import { concat, equalBytes, hex } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { EvidenceIssuer } from "../../evidence.ts";
import { readTsmReport } from "../../tsm/report.ts";
import type { ReadTsmReport } from "../../tsm/report.ts";
import type { TdxCollateral } from "./collateral.ts";
import { encodeTdxPayload } from "./payload.ts";
import { readQuote } from "./quote.ts";

const STATEMENT_BYTES = 32;

/**
 * Creates an issuer of Intel TDX evidence, through the kernel's configfs-tsm.
 *
 * @param collateral The documents of Intel's that the machine has. They are sent with its quotes.
 * @param read Asks the kernel for a report. By default, this process asks.
 * @returns An issuer whose methods throw `precondition/tsm…`, `system/tsm…`, `malformed/tdx-quote`, and
 *   `system/tdx-quote` if the quote is over other data than requested; `activate` throws `protocol/challenge`.
 */
export function createTdxIssuer(
  collateral: () => Promise<Partial<TdxCollateral>> = () => Promise.resolve({}),
  read: ReadTsmReport = readTsmReport,
): EvidenceIssuer {
  return {
    variant: "tdx",
    isChallenged: false,
    identityIsKey: true,
    async issue(statement) {
      if (statement.length !== STATEMENT_BYTES) {
        throw new BootstrapError("internal/statement", `A statement has ${STATEMENT_BYTES} bytes`);
      }
      const reportData = concat(statement, new Uint8Array(STATEMENT_BYTES));
      const { outblob } = await read({ provider: "tdx_guest", reportData });
      // The bytes after the quote in the host's buffer are meaningless.
      const { bytes, report } = readQuote(outblob);
      if (!equalBytes(report.reportData, reportData)) {
        throw new BootstrapError("system/tdx-quote", "The platform quoted other data than it was given", {
          details: { expected: hex(reportData), seen: hex(report.reportData) },
        });
      }
      return { variant: "tdx", payload: encodeTdxPayload({ quote: bytes, collateral: await collateral() }) };
    },
    activate: () =>
      Promise.reject(new BootstrapError("protocol/challenge", "Evidence of variant tdx has no challenge")),
    // A quote does not name the machine: verifiers know it by the identity that its statement binds.
    ownIdentity: (bound) => Promise.resolve(bound),
  };
}
