/**
 * Intel's verdicts on a trusted computing base (Intel PCS API, version 4, `tcbStatus`).
 *
 * @module
 */
/** All of Intel's verdicts, from the best to the worst. */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;

/** The state of a platform, a TDX module or a quoting enclave, or of all of them together. */
export type TcbStatus = typeof TCB_STATUSES[number];

/** The verdict on one level. */
export interface TcbVerdict {
  readonly status: TcbStatus;
  /** Intel's advisories that this level does not mitigate, such as INTEL-SA-00837. */
  readonly advisoryIds: readonly string[];
}

const FLAWS: Readonly<Record<TcbStatus, readonly TcbStatus[]>> = Object.freeze({
  UpToDate: [],
  SWHardeningNeeded: ["SWHardeningNeeded"],
  ConfigurationNeeded: ["ConfigurationNeeded"],
  ConfigurationAndSWHardeningNeeded: ["ConfigurationNeeded", "SWHardeningNeeded"],
  OutOfDate: ["OutOfDate"],
  OutOfDateConfigurationNeeded: ["OutOfDate", "ConfigurationNeeded"],
  Revoked: ["Revoked"],
});

/**
 * Combines several verdicts into the worst: it has every flaw of each verdict, and all advisories. A platform that
 * needs configuration, with a module that is out of date, is `OutOfDateConfigurationNeeded`.
 */
export function worstOf(verdicts: readonly TcbVerdict[]): TcbVerdict {
  const flaws = new Set(verdicts.flatMap(({ status }) => FLAWS[status]));
  return {
    status: statusOf(flaws),
    advisoryIds: [...new Set(verdicts.flatMap((verdict) => verdict.advisoryIds))].sort(),
  };
}

function statusOf(flaws: ReadonlySet<TcbStatus>): TcbStatus {
  const needsConfiguration = flaws.has("ConfigurationNeeded");
  if (flaws.has("Revoked")) return "Revoked";
  if (flaws.has("OutOfDate")) return needsConfiguration ? "OutOfDateConfigurationNeeded" : "OutOfDate";
  if (!flaws.has("SWHardeningNeeded")) return needsConfiguration ? "ConfigurationNeeded" : "UpToDate";
  return needsConfiguration ? "ConfigurationAndSWHardeningNeeded" : "SWHardeningNeeded";
}

/** A level of one program: a quoting enclave or a TDX module. */
export interface IsvLevel extends TcbVerdict {
  /** The lowest ISVSVN of this level. */
  readonly isvSvn: number;
}
