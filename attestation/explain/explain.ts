/**
 * Explains the verdict on evidence, check by check, by the verifier that the services use. For a refused PCR it also
 * lists the measured events, and the first difference from a known good machine.
 *
 * @module
 */
import { PeerError } from "../../protocol/refusal.ts";
import type { NodeRole } from "../../kubernetes/node_role.ts";
import { asBootstrapError, BootstrapError, errorFamily, optionsOf } from "../../platform/errors.ts";
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
import { withMeaning } from "../verify_evidence.ts";
import type { ExplainedRegister, ShownMachine } from "./explained_registers.ts";
import { explainRegisters } from "./explained_registers.ts";

/** The input of {@linkcode explainEvidence}. */
export interface ExplainRequest {
  readonly file: EvidenceFile;
  readonly policy: Policy;
  /** The expected configuration and lock of the machine. Without it neither is judged. */
  readonly expectation?: Expectation;
  /** Evidence of a known good machine. It is trusted without verification. */
  readonly reference?: EvidenceFile;
  /** The kind of peer that the machine is judged as. Default: a node that asks for a ticket. */
  readonly peer?: PeerKind;
  /** The source of documents that vendors sign and that the evidence does not contain. Default: none. */
  readonly collateral?: Collateral;
  /** Returns the time of day, for the validity of certificates. */
  readonly now: () => Date;
}

/** One check with its verdict, for output. */
export interface ExplainedCheck extends Omit<EvidenceCheck, "passed"> {
  /** The result; `not judged` if the request has no expectation. */
  readonly verdict: "passed" | "refused" | "not judged";
}

/** The verdict and all its reasons. */
export interface Explanation {
  /** The verdict of the judged checks. */
  readonly verdict: "accepted" | "refused";
  /** The error with which a service would refuse the evidence; `null` if it would accept. */
  readonly refusal: BootstrapError | null;
  /** Every check, in order. The list ends at bytes that cannot be read. */
  readonly checks: readonly ExplainedCheck[];
  /** The claims of the evidence; `null` if it was refused. */
  readonly claims: EvidenceClaims | null;
  /** The role that the policy gives to the identity; `null` if the evidence was refused. */
  readonly role: NodeRole | null;
  /** The refused registers that an event log may explain. */
  readonly registers: readonly ExplainedRegister[];
  /** The facts that are not proven or were not judged. */
  readonly remarks: readonly string[];
}

/** Receives a check. */
export type ReportCheck = (check: EvidenceCheck) => void;

/**
 * Explains evidence.
 *
 * @throws {BootstrapError} `internal/…` for defects only. Refused or malformed evidence is a verdict, not an error.
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
 * @param verifier Judges the evidence.
 * @param ask Asks the machine for its evidence, passes it to the given verifier, and completes the exchange, such as
 *   the challenge to a TPM.
 * @throws {BootstrapError} Errors of `ask` that are not this side's verdict.
 */
export async function explainConnection(
  policy: Policy,
  verifier: Pick<EvidenceVerifier, "verify">,
  ask: (verifier: Pick<EvidenceVerifier, "verify">, report: ReportCheck) => Promise<EvidenceClaims>,
): Promise<Explanation> {
  const file: { evidence: readonly Evidence[] } = { evidence: [] };
  const seen: { file: ShownMachine; isConnection: true; expectation?: Expectation } = { file, isConnection: true };
  const keeping: Pick<EvidenceVerifier, "verify"> = {
    verify(evidence, statement, expectation, report) {
      file.evidence = readablePieces(evidence);
      seen.expectation = expectation;
      return verifier.verify(evidence, statement, expectation, report);
    },
  };
  return await explain(policy, seen, (report) => ask(keeping, report));
}

/** Returns the pieces of evidence. For an unreadable set it returns none, as the verifier refuses the set anyway. */
function readablePieces(evidence: Evidence): readonly Evidence[] {
  try {
    return piecesOf(evidence);
  } catch (error) {
    if (error instanceof BootstrapError) return [];
    throw error;
  }
}

/** The data that explains the checks. */
interface Seen extends Pick<ExplainRequest, "reference" | "expectation"> {
  readonly file: ShownMachine;
  /** Set for evidence from a connection, where everything is judged and proven. */
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
  const failed = checks.some(({ passed }) => !passed);
  const known = failed ? await seen.expectation?.otherTrust?.() ?? [] : [];
  const shown = checks.map((check) => check.passed ? check : { ...check, message: withMeaning(check, known) });
  const unjudged = policy.kinds.flatMap((kind) => kind.registers?.checks ?? []);
  const isUnjudged = seen.expectation === undefined && seen.isConnection !== true;
  return {
    verdict: refusal === null ? "accepted" : "refused",
    refusal: refusal === null ? null : withMeaningOf(refusal, shown),
    checks: shown.map((check) => explainedCheck(check, isUnjudged ? unjudged : [])),
    claims,
    role: claims === null ? null : roleOf(policy, claims.identity),
    registers,
    remarks: [...claims?.remarks ?? [], ...remarksOn(seen, policy.kinds, problems)],
  };
}

/** Replaces the message of a refusal by that of its check, which may say more. */
function withMeaningOf(error: BootstrapError, checks: readonly EvidenceCheck[]): BootstrapError {
  const failed = checks.find(({ check, passed }) => !passed && error.code === `refused/${check}`);
  return failed === undefined ? error : new BootstrapError(error.code, failed.message, optionsOf(error));
}

/**
 * Returns the evidence that the policy requires. If the file lacks it, returns other evidence, which the verifier
 * refuses by its variant.
 */
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
    return { ...check, verdict: "not judged", expected: "no expectation was given" };
  }
  return { ...check, verdict: passed ? "passed" : "refused" };
}

/** Returns the remarks. There are none on a connection: everything is judged and proven, and there are no logs. */
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
      ? [`The values of ${registers.join(", ")} were not judged: --config names a configuration to judge them by`]
      : []),
    ...problems,
  ];
}
