/**
 * Evidence of an Intel TDX machine: a quote by the platform's quoting enclave, through the kernel's configfs-tsm.
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
 * The evidence of an Intel TDX machine, through the kernel's configfs-tsm.
 *
 * @param collateral What the machine has of what Intel says, to go with its quotes.
 * @param read Asks the kernel for a report; this process does by default.
 * @returns An issuer whose methods throw `precondition/tsm…`, `system/tsm…`, `malformed/tdx-quote`, and `system/tdx-quote` if the quote
 *   is over other data than was asked for; `activate` throws `protocol/challenge`.
 */
export function createTdxIssuer(
  collateral: () => Promise<Partial<TdxCollateral>> = () => Promise.resolve({}),
  read: ReadTsmReport = readTsmReport,
): EvidenceIssuer {
  return {
    variant: "tdx",
    isChallenged: false,
    async issue(statement) {
      if (statement.length !== STATEMENT_BYTES) {
        throw new BootstrapError("internal/statement", `A statement has ${STATEMENT_BYTES} bytes`);
      }
      const reportData = concat(statement, new Uint8Array(STATEMENT_BYTES));
      const { outblob } = await read({ provider: "tdx_guest", reportData });
      // What follows it in the buffer of the host is nobody's.
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
    // A quote does not say who the machine is: verifiers know it by what its statement binds.
    ownIdentity: (bound) => Promise.resolve(bound),
  };
}
