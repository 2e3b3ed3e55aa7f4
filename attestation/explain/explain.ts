/**
 * The verdict on an evidence file, check by check, by the verifier that the services use; and for a PCR that is refused what
 * went into it, and where that begins to differ from a machine that is known to be good.
 *
 * @module
 */
import { PeerError } from "../../protocol/refusal.ts";
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../../platform/errors.ts";
import type { Evidence, EvidenceCheck, EvidenceClaims, EvidenceVerifier, Expectation } from "../evidence.ts";
import { NO_COLLATERAL } from "../collateral.ts";
import type { Collateral } from "../collateral.ts";
import { combinedName, encodeEvidenceSet, piecesOf } from "../combined.ts";
import { AS_SHOWN } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import type { EvidenceKind } from "../kind.ts";
import type { PeerKind, Policy } from "../policy/policy.ts";
import { roleOf } from "../policy/policy.ts";
import { createExplainingVerifier } from "../policy/policy_verifier.ts";
import { fileStatement } from "../../protocol/transcript.ts";
import type { ExplainedRegister, ShownMachine } from "./explained_registers.ts";
import { explainRegisters } from "./explained_registers.ts";

/** What is to be explained. */
export interface ExplainRequest {
  /** The evidence. */
  readonly file: EvidenceFile;
  /** The policy. */
  readonly policy: Policy;
  /** What the machine must show of its configuration and its lock; without it neither is judged. */
  readonly expectation?: Expectation;
  /** Evidence of a machine that is known to be good. It is believed, not verified. */
  readonly reference?: EvidenceFile;
  /** As what the machine is judged; by default as a node that asks for a ticket. */
  readonly peer?: PeerKind;
  /** Where to look for what vendors sign and the evidence does not bring; by default nowhere. */
  readonly collateral?: Collateral;
  /** The time of day, for certificates. */
  readonly now: () => Date;
}

/** One check, as it is shown. */
export interface ExplainedCheck extends Omit<EvidenceCheck, "passed"> {
  /** How it ended; `not judged` where nobody said what to expect. */
  readonly verdict: "passed" | "refused" | "not judged";
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

/** Hears of a check. */
export type ReportCheck = (check: EvidenceCheck) => void;

/**
 * Explains evidence.
 *
 * @throws {BootstrapError} `internal/…` for defects alone: evidence that is refused, or no evidence, is a verdict.
 */
export async function explainEvidence(request: ExplainRequest): Promise<Explanation> {
  const { file, policy, expectation = AS_SHOWN, peer = "node", collateral = NO_COLLATERAL } = request;
  const evidence = chooseEvidence(file, policy.required[peer]);
  return await explain(policy, request, async (report) => {
    const verifier = createExplainingVerifier(policy, peer, { collateral, now: request.now });
    return (await verifier.verify(evidence, await fileStatement(file.nonce), expectation, report)).claims;
  });
}

/**
 * Explains the verdict on a machine at the other end of a connection.
 *
 * @param policy The policy.
 * @param verifier Judges the evidence that comes.
 * @param ask Asks the machine for its evidence, has it judged by the verifier that it is given, and does what else is to be done there,
 *   such as the challenge to a TPM.
 * @throws {BootstrapError} What `ask` throws that is no verdict of this side.
 */
export async function explainConnection(
  policy: Policy,
  verifier: Pick<EvidenceVerifier, "verify">,
  ask: (verifier: Pick<EvidenceVerifier, "verify">, report: ReportCheck) => Promise<EvidenceClaims>,
): Promise<Explanation> {
  const file: { evidence: readonly Evidence[] } = { evidence: [] };
  const keeping: Pick<EvidenceVerifier, "verify"> = {
    verify(evidence, ...expected) {
      file.evidence = readablePieces(evidence);
      return verifier.verify(evidence, ...expected);
    },
  };
  return await explain(policy, { file, isConnection: true }, (report) => ask(keeping, report));
}

/** What cannot be read the verifier refuses. */
function readablePieces(evidence: Evidence): readonly Evidence[] {
  try {
    return piecesOf(evidence);
  } catch (error) {
    if (error instanceof BootstrapError) return [];
    throw error;
  }
}

/** What is looked at beside the checks. */
interface Seen extends Pick<ExplainRequest, "reference" | "expectation"> {
  readonly file: ShownMachine;
  /** Where everything is judged, and proven. */
  readonly isConnection?: true;
}

async function explain(
  policy: Policy,
  seen: Seen,
  judge: (report: ReportCheck) => Promise<EvidenceClaims>,
): Promise<Explanation> {
  const checks: EvidenceCheck[] = [];
  let claims: EvidenceClaims | null = null;
  let refusal: BootstrapError | null = null;
  try {
    claims = await judge((check) => checks.push(check));
  } catch (error) {
    refusal = asBootstrapError(error);
    const isOwn = !(refusal instanceof PeerError) && ["refused", "malformed"].includes(errorFamily(refusal.code));
    if (!isOwn) throw refusal;
  }
  const { registers, problems } = await explainRegisters(seen.file, seen.reference, checks, policy.kinds);
  const unjudged = policy.kinds.flatMap((kind) => kind.registers?.checks ?? []);
  const isUnjudged = seen.expectation === undefined && seen.isConnection !== true;
  return {
    verdict: refusal === null ? "accepted" : "refused",
    refusal,
    checks: checks.map((check) => explainedCheck(check, isUnjudged ? unjudged : [])),
    claims,
    role: claims === null ? null : roleOf(policy, claims.identity),
    registers,
    remarks: remarksOn(seen, policy.kinds, problems),
  };
}

/** The evidence that the policy asks for; where the file has none, another, which the verifier then refuses by its variant. */
function chooseEvidence({ evidence }: EvidenceFile, required: readonly EvidenceKind[]): Evidence {
  const wanted = required.flatMap(({ name }) => evidence.find(({ variant }) => variant === name) ?? []);
  if (wanted.length === required.length && wanted.length > 1) {
    return { variant: combinedName(required.map(({ name }) => name)), payload: encodeEvidenceSet(wanted) };
  }
  const chosen = wanted[0] ?? evidence[0];
  if (chosen === undefined) throw new BootstrapError("internal/evidence-file", "An evidence file has no evidence");
  return chosen;
}

function explainedCheck({ passed, ...check }: EvidenceCheck, unjudged: readonly string[]): ExplainedCheck {
  if (unjudged.includes(check.check)) {
    return { ...check, verdict: "not judged", expected: "nobody said what to expect" };
  }
  return { ...check, verdict: passed ? "passed" : "refused" };
}

/** On a connection everything is judged and proven, and there are no logs. */
function remarksOn(
  { file, expectation, isConnection }: Seen,
  kinds: readonly EvidenceKind[],
  problems: readonly string[],
): readonly string[] {
  if (isConnection) return [];
  const shown = kinds.filter(({ name }) => file.evidence.some(({ variant }) => variant === name));
  const registers = shown.flatMap((kind) => kind.registers?.names ?? []);
  return [
    ...shown.flatMap(({ openInFiles = [] }) => openInFiles),
    ...(expectation === undefined && registers.length > 0
      ? [`What ${registers.join(", ")} must hold was not judged: --config names a configuration to judge it by`]
      : []),
    ...(shown.some(({ pcrs }) => pcrs !== undefined) ? problems : []),
  ];
}
