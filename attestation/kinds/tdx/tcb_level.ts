/**
 * Finds the TCB levels of a platform, its TDX module and its quoting enclave (Intel TDX DCAP, "TCB status evaluation";
 * PCS API, version 4, "Get TDX TCB Info").
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import type { RefusalCheck } from "../../../protocol/refusal.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { equalBytes, hex } from "../../../platform/bytes.ts";
import type { PckPlatform } from "./pck.ts";
import type { QeIdentity } from "./qe_identity.ts";
import type { QeReport, TdReport } from "./quote.ts";
import type { ModuleIdentity, TcbInfo } from "./tcb_info.ts";
import type { IsvLevel, TcbVerdict } from "./tcb_status.ts";

/**
 * Finds the first level that the platform reaches in every component. If the module has a major version
 * (TEE_TCB_SVN[1]), {@linkcode moduleVerdict} judges its first two SVNs instead.
 *
 * @throws {BootstrapError} `refused/tdx-tcb-level` if the platform reaches no level.
 */
export function platformVerdict(tcbInfo: TcbInfo, platform: PckPlatform, teeTcbSvn: Uint8Array): TcbVerdict {
  const firstTdx = (teeTcbSvn[1] ?? 0) > 0 ? 2 : 0;
  const level = tcbInfo.levels.find(({ sgx, pceSvn, tdx }) =>
    reaches(platform.components, sgx, 0) && platform.pceSvn >= pceSvn && reaches(teeTcbSvn, tdx, firstTdx)
  );
  if (level !== undefined) return level;
  const seen = `SGX ${platform.components.join(".")}, PCE ${platform.pceSvn}, TDX ${[...teeTcbSvn].join(".")}`;
  throw refusal("tdx-tcb-level", "The platform reaches none of Intel's TCB levels", "one of the TCB info", seen);
}

/**
 * Checks the TDX module's signer and attributes, and finds its level.
 *
 * @returns Nothing for a module of major version 0; its level is the platform's.
 * @throws {BootstrapError} `refused/tdx-module-version`, `refused/tdx-module-signer`, `refused/tdx-module-attributes`,
 *   `refused/tdx-module-level`.
 */
export function moduleVerdict(
  tcbInfo: TcbInfo,
  { mrSignerSeam, seamAttributes }: TdReport,
  teeTcbSvn: Uint8Array,
): TcbVerdict | undefined {
  const [svn = 0, version = 0] = teeTcbSvn;
  if (version === 0) {
    checkModule(tcbInfo.module, mrSignerSeam, seamAttributes);
    return undefined;
  }
  const id = `TDX_${version.toString(16).toUpperCase().padStart(2, "0")}`;
  const module = tcbInfo.modules.find((candidate) => candidate.id === id);
  if (module === undefined) {
    const known = tcbInfo.modules.map((candidate) => candidate.id).join(", ") || "none";
    throw refusal("tdx-module-version", "Intel knows no TDX module of that version for the platform", known, id);
  }
  checkModule(module, mrSignerSeam, seamAttributes);
  return isvVerdict(module.levels, svn, "tdx-module-level", "TDX module");
}

/**
 * Checks the quoting enclave's report against its identity, and finds its level.
 *
 * @throws {BootstrapError} `refused/tdx-qe-miscselect`, `refused/tdx-qe-attributes`, `refused/tdx-qe-signer`,
 *   `refused/tdx-qe-product`, `refused/tdx-qe-level`.
 */
export function qeVerdict(identity: QeIdentity, report: QeReport): TcbVerdict {
  checkMasked("tdx-qe-miscselect", "QE's MISCSELECT", report.miscSelect, identity.miscSelect, identity.miscSelectMask);
  checkMasked("tdx-qe-attributes", "QE's attributes", report.attributes, identity.attributes, identity.attributesMask);
  if (!equalBytes(report.mrSigner, identity.mrSigner)) {
    throw refusal("tdx-qe-signer", "The QE is not Intel's", hex(identity.mrSigner), hex(report.mrSigner));
  }
  if (report.isvProdId !== identity.isvProdId) {
    const [expected, seen] = [String(identity.isvProdId), String(report.isvProdId)];
    throw refusal("tdx-qe-product", "The enclave is another of Intel's, not the QE for TDs", expected, seen);
  }
  return isvVerdict(identity.levels, report.isvSvn, "tdx-qe-level", "QE");
}

function checkModule(module: ModuleIdentity, signer: Bytes, attributes: Bytes): void {
  if (!equalBytes(signer, module.mrSigner)) {
    throw refusal("tdx-module-signer", "The TDX module is of another signer", hex(module.mrSigner), hex(signer));
  }
  const { attributesMask } = module;
  checkMasked("tdx-module-attributes", "TDX module's attributes", attributes, module.attributes, attributesMask);
}

function checkMasked(
  check: RefusalCheck,
  what: string,
  seen: Uint8Array,
  expected: Uint8Array,
  mask: Uint8Array,
): void {
  if (seen.every((octet, i) => (octet & (mask[i] ?? 0)) === (expected[i] ?? 0))) return;
  throw refusal(check, `The ${what} do not have the required value`, `${hex(expected)} (mask ${hex(mask)})`, hex(seen));
}

function isvVerdict(levels: readonly IsvLevel[], svn: number, check: RefusalCheck, what: string): TcbVerdict {
  const level = levels.find(({ isvSvn }) => svn >= isvSvn);
  if (level !== undefined) return level;
  const lowest = Math.min(...levels.map(({ isvSvn }) => isvSvn));
  throw refusal(check, `The ${what} reaches none of Intel's levels`, `ISVSVN ${lowest} or more`, `ISVSVN ${svn}`);
}

function reaches(seen: ArrayLike<number>, lowest: readonly number[], first: number): boolean {
  return lowest.every((svn, i) => i < first || (seen[i] ?? -1) >= svn);
}
