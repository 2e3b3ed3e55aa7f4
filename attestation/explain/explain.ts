/**
 * The verdict on an evidence file, check by check, by the verifier that the services use; and for a PCR that is refused what
 * went into it, and where that begins to differ from a machine that is known to be good.
 *
 * @module
 */
import { hex } from "../../platform/bytes.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { Evidence, EvidenceCheck, EvidenceClaims, EvidenceVariant, RegisterExpectation } from "../evidence.ts";
import { NO_COLLATERAL } from "../collateral.ts";
import type { Collateral } from "../collateral.ts";
import { combinedName, encodeEvidenceSet } from "../combined.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { NodeRole, PeerKind, Policy } from "../policy.ts";
import { createVerifier, roleOf } from "../policy.ts";
import { decodePayload as decodeSnpPayload } from "../snp/payload.ts";
import { readReport } from "../snp/report.ts";
import { decodeTdxPayload } from "../tdx/payload.ts";
import { readQuote } from "../tdx/quote.ts";
import { decodePayload } from "../tpm/payload.ts";
import { fileStatement } from "../transcript.ts";
import type { VendorAnchors } from "../vendor_anchors.ts";
import type { ExplainedEvent, ReplayedRegister } from "./replayed_log.ts";
import { replayLog } from "./replayed_log.ts";

/** What is to be explained. */
export interface ExplainRequest {
  /** The evidence. */
  readonly file: EvidenceFile;
  /** The policy. */
  readonly policy: Policy;
  /** What PCR 12 and PCR 15 must hold; without it neither is judged. */
  readonly registers?: RegisterExpectation;
  /** Evidence of a machine that is known to be good. It is believed, not verified. */
  readonly reference?: EvidenceFile;
  /** As what the machine is judged; by default as a node that asks for a ticket. */
  readonly peer?: PeerKind;
  /** Where to look for what vendors sign and the evidence does not bring; by default nowhere. */
  readonly collateral?: Collateral;
  /** The time of day, for certificates. */
  readonly now: () => Date;
  /** What is trusted. */
  readonly anchors?: VendorAnchors;
}

/** One check, as it is shown. */
export interface ExplainedCheck extends Omit<EvidenceCheck, "passed"> {
  /** How it ended; `not judged` where nobody said what to expect. */
  readonly verdict: "passed" | "refused" | "not judged";
}

/** Where the events of a PCR leave those of the reference. */
export interface FirstDifference {
  /** How many events of this PCR are the same before it. */
  readonly same: number;
  /** The event here; none where this log ends before the reference's. */
  readonly here: ExplainedEvent | null;
  /** The event there; none where the reference's ends first. */
  readonly there: ExplainedEvent | null;
}

/** A PCR that is refused. */
export interface ExplainedRegister extends ReplayedRegister {
  /** Its number. */
  readonly pcr: number;
  /** The quoted value, hexadecimal. */
  readonly quoted: string;
  /** What the reference's log says of its own PCR; nothing without a reference. */
  readonly reference: "replays" | "differs" | "absent" | null;
  /** The first difference, where both logs replay. */
  readonly firstDifference: FirstDifference | null;
}

/** The verdict, and everything that led to it. */
export interface Explanation {
  /** The verdict of the checks that were judged. */
  readonly verdict: "accepted" | "refused";
  /** The error that a service would refuse it with; none if it would not. */
  readonly refusal: BootstrapError | null;
  /** Every check, in order. After bytes that cannot be read there are no more. */
  readonly checks: readonly ExplainedCheck[];
  /** What the evidence says; none where it was refused. */
  readonly claims: EvidenceClaims | null;
  /** What the policy makes of the identity; none where it was refused. */
  readonly role: NodeRole | null;
  /** The PCRs that are refused. */
  readonly registers: readonly ExplainedRegister[];
  /** What of this is not proven, or was not looked at. */
  readonly remarks: readonly string[];
}

const REGISTER_CHECK = /^pcr-(\d+)$/;
const OWN_CHECKS: readonly string[] = [
  `pcr-${TRUST_REGISTER}`,
  `pcr-${LOCK_REGISTER}`,
  "snp-host-data",
  "tdx-mrconfigid",
];
const ZERO_REGISTER = new Uint8Array(32);

/**
 * Explains evidence.
 *
 * @throws {BootstrapError} `internal/…` for defects alone: evidence that is refused, or no evidence, is a verdict.
 */
export async function explainEvidence(request: ExplainRequest): Promise<Explanation> {
  const { file, policy, registers, peer = "node", collateral = NO_COLLATERAL } = request;
  const evidence = chooseEvidence(file, policy.required[peer]);
  const checks: EvidenceCheck[] = [];
  let claims: EvidenceClaims | null = null;
  let refusal: BootstrapError | null = null;
  try {
    const verifier = createVerifier(policy, peer, collateral, request.now, request.anchors);
    const expectation = registers ?? ownRegisters(file);
    const statement = await fileStatement(file.nonce);
    ({ claims } = await verifier.verify(evidence, statement, expectation, (check) => checks.push(check)));
  } catch (error) {
    refusal = asBootstrapError(error);
    if (!["refused", "malformed"].includes(errorFamily(refusal.code))) throw refusal;
  }
  return {
    verdict: refusal === null ? "accepted" : "refused",
    refusal,
    checks: checks.map((check) => explainedCheck(check, registers === undefined)),
    claims,
    role: claims === null ? null : roleOf(policy, claims.identity),
    ...await explainRegisters(request, checks),
  };
}

/** The evidence that the policy asks for; where the file has none, another, which the verifier then refuses by its variant. */
function chooseEvidence({ evidence }: EvidenceFile, required: readonly EvidenceVariant[]): Evidence {
  const wanted = required.flatMap((variant) => evidence.find((one) => one.variant === variant) ?? []);
  if (wanted.length === required.length && wanted.length > 1) {
    return { variant: combinedName(required), payload: encodeEvidenceSet(wanted) };
  }
  const chosen = wanted[0] ?? evidence[0];
  if (chosen === undefined) throw new BootstrapError("internal/evidence-file", "An evidence file has no evidence");
  return chosen;
}

/** What the protocol itself wants, as the evidence shows it, for when nobody said what to expect. A TD is judged as a fresh one. */
function ownRegisters(file: EvidenceFile): RegisterExpectation {
  const pcrs = quotedPcrs(file);
  const hostData = readIn(file, "snp", (payload) => readReport(decodeSnpPayload(payload).report).hostData);
  const configId = readIn(file, "tdx", (payload) => readQuote(decodeTdxPayload(payload).quote).report.mrConfigId);
  return {
    trust: [pcrs[TRUST_REGISTER] ?? ZERO_REGISTER],
    trustDigests: [hostData ?? configId?.slice(0, ZERO_REGISTER.length) ?? ZERO_REGISTER],
    lock: [pcrs[LOCK_REGISTER] ?? ZERO_REGISTER],
    lockDigests: [ZERO_REGISTER],
    identity: hex(ZERO_REGISTER),
  };
}

/** The PCRs in TPM evidence; none where there is none. */
function quotedPcrs(file: EvidenceFile): readonly Uint8Array[] {
  return readIn(file, "tpm", (payload) => decodePayload(payload).pcrs) ?? [];
}

/** Something in evidence of a kind, if it can be read. */
function readIn<T>(file: EvidenceFile, kind: EvidenceVariant, read: (payload: Uint8Array) => T): T | undefined {
  const found = file.evidence.find(({ variant }) => variant === kind);
  try {
    return found === undefined ? undefined : read(found.payload);
  } catch (error) {
    if (error instanceof BootstrapError) return undefined;
    throw error;
  }
}

function explainedCheck({ passed, ...check }: EvidenceCheck, isOwn: boolean): ExplainedCheck {
  if (isOwn && OWN_CHECKS.includes(check.check)) {
    return { ...check, verdict: "not judged", expected: "nobody said what to expect" };
  }
  return { ...check, verdict: passed ? "passed" : "refused" };
}

async function explainRegisters(
  { file, reference, registers }: ExplainRequest,
  checks: readonly EvidenceCheck[],
): Promise<{ readonly registers: readonly ExplainedRegister[]; readonly remarks: readonly string[] }> {
  const quoted = quotedPcrs(file);
  const log = replayLog(file.eventLog, quoted);
  const otherLog = reference === undefined ? undefined : replayLog(reference.eventLog, quotedPcrs(reference));
  const hasTpm = quoted.length > 0;
  const refused = checks.filter(({ passed }) => !passed)
    .flatMap(({ check }) => REGISTER_CHECK.exec(check)?.[1] ?? []).map(Number);
  const explained: ExplainedRegister[] = [];
  for (const pcr of refused) {
    const here = await log.register(pcr);
    const there = await otherLog?.register(pcr);
    const isComparable = here.log === "replays" && there?.log === "replays";
    explained.push({
      pcr,
      quoted: hex(quoted[pcr] ?? new Uint8Array()),
      ...here,
      reference: there?.log ?? null,
      firstDifference: isComparable ? firstDifference(here.events, there.events) : null,
    });
  }
  const remarks = [
    ...(hasTpm
      ? [
        "That the quote is by the TPM of this endorsement key is proven on a connection alone, by its answer to a challenge",
      ]
      : []),
    ...(registers === undefined
      ? [
        "What PCR 12 and PCR 15, or HOST_DATA, MRCONFIGID and RTMR 3, must hold was not judged: --config names a configuration to judge them by",
      ]
      : []),
    ...(hasTpm && log.problem !== "" ? [log.problem] : []),
    ...(otherLog !== undefined && otherLog.problem !== "" ? [`Of the reference: ${otherLog.problem}`] : []),
    ...(hasTpm && reference !== undefined && quotedPcrs(reference).length === 0
      ? ["The reference has no evidence of a TPM"]
      : []),
  ];
  return { registers: explained, remarks };
}

function firstDifference(here: readonly ExplainedEvent[], there: readonly ExplainedEvent[]): FirstDifference | null {
  const longest = Math.max(here.length, there.length);
  for (let same = 0; same < longest; same++) {
    if (here[same]?.digest === there[same]?.digest) continue;
    return { same, here: here[same] ?? null, there: there[same] ?? null };
  }
  return null;
}
