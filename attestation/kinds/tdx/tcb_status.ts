/**
 * What Intel says of a trusted computing base (Intel PCS API, version 4, `tcbStatus`).
 *
 * @module
 */
/** All that Intel says, from the best to the worst. */
export const TCB_STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
] as const;

/** The state of a platform, of a TDX module, of a quoting enclave, or of all of them. */
export type TcbStatus = typeof TCB_STATUSES[number];

/** One level's verdict. */
export interface TcbVerdict {
  /** The state. */
  readonly status: TcbStatus;
  /** Intel's advisories that are not mitigated at this level, such as INTEL-SA-00837. */
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
 * The worst of several verdicts: every flaw that one of them has, and all advisories. A platform that needs configuration under a
 * module that is out of date is `OutOfDateConfigurationNeeded`.
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

/** The level of one program: a quoting enclave or a TDX module. */
export interface IsvLevel extends TcbVerdict {
  /** The lowest ISVSVN of this level. */
  readonly isvSvn: number;
}
