/**
 * Policies made from known good machines and images.
 *
 * @module
 */
import { stringify } from "yaml";
import { BootstrapError } from "../../platform/errors.ts";
import { checkValue } from "../../platform/schema_problems.ts";
import type { InsecureSwitch } from "../../protocol/transcript.ts";
import type { Collateral } from "../collateral.ts";
import { piecesOf } from "../combined.ts";
import type { EvidenceVerifier } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import { explainEvidence } from "../explain/explain.ts";
import type { EvidenceKind, PolicySection } from "../kind.ts";
import { defaultKind } from "../kind.ts";
import { KINDS } from "../kinds.ts";
import type { SectionContext, SectionSource, SectionSources } from "./policy_section.ts";
import { sourcesError, unique, wrongSource } from "./policy_section.ts";
import type { CollateralPlaces, Policy } from "./policy.ts";
import { readPolicy } from "./policy.ts";
import { ANY_NAME, policyRemarks } from "./policy_remarks.ts";
import { createVerifier } from "./policy_verifier.ts";

/** A machine that the policy is made for. */
export interface NamedEvidence {
  /** The source of its evidence, for people: a path or an endpoint. */
  readonly name: string;
  readonly file: Pick<EvidenceFile, "evidence">;
}

/** The sources of a policy. */
export interface PolicySources extends Omit<SectionSources, "machines"> {
  /** The machines. All have evidence of the same kinds in the same order. */
  readonly files: readonly NamedEvidence[];
  /** Identities that may be control planes. */
  readonly controlPlanes: readonly string[];
  /** The places of collateral that the policy names. */
  readonly collateral?: CollateralPlaces;
  /** Node names by identity, and patterns of those of all other machines. Default: any name. */
  readonly names?: {
    readonly default?: readonly string[];
    readonly byIdentity: Readonly<Record<string, readonly string[]>>;
  };
  /** The switches that weaken a check and that the policy allows. Default: none. */
  readonly allowedSwitches?: readonly InsecureSwitch[];
  /** The first remarks. Default: a list of the sources. */
  readonly preface?: readonly string[];
}

/** The sources of a policy, with evidence files that can be verified. */
export interface FileSources extends PolicySources {
  /** The evidence files and their names. */
  readonly files: readonly { readonly name: string; readonly file: EvidenceFile }[];
}

/** The dependencies of {@linkcode draftPolicy}. */
export interface DraftContext extends SectionContext {
  /** The kinds of evidence that there are. */
  readonly kinds?: readonly EvidenceKind[];
}

/** The dependencies of {@linkcode makePolicy}. */
export interface MakeContext extends DraftContext {
  /** The source of documents that vendors sign. */
  readonly collateral: Collateral;
}

/** A new policy. */
export interface MadePolicy {
  /** The document: YAML with the remarks as comments, which `readPolicy()` reads. */
  readonly text: string;
  /** Remarks for the users of the policy. */
  readonly remarks: readonly string[];
  readonly policy: Policy;
}

/**
 * Makes a policy, and checks that it accepts every evidence file.
 *
 * @param sources The sources of the policy.
 * @param context The source of documents that vendors sign, and the time of day.
 * @throws {BootstrapError} The errors of {@linkcode draftPolicy}; `refused/…` or `malformed/…` with the file's name,
 *   for invalid evidence.
 */
export async function makePolicy(
  sources: FileSources,
  context: MakeContext,
): Promise<MadePolicy> {
  const made = await draftPolicy(sources, context);
  return await withFiles(made, sources, context);
}

/** Checks that a policy accepts each file, and adds what was remarked on. */
async function withFiles(made: MadePolicy, { files }: FileSources, context: MakeContext): Promise<MadePolicy> {
  const remarks: string[] = [];
  for (const { name, file } of files) remarks.push(...await checkAccepted(name, file, made, context));
  const text = `${remarks.map(commentOf).join("")}${made.text}`;
  return { ...made, remarks: [...remarks, ...made.remarks], text };
}

/**
 * Makes a policy from the values that machines show. Only the checks in the sections' `make` are run; the rest of the
 * evidence is not verified.
 *
 * @throws {BootstrapError} `usage/policy-sources` for sources that do not make a policy or a control plane that the
 *   policy does not trust, `malformed/…` and `refused/…` for evidence that is invalid or cannot be
 *   judged.
 */
export async function draftPolicy(sources: PolicySources, context: DraftContext): Promise<MadePolicy> {
  const { kinds = KINDS } = context;
  const sections = [];
  for (const { name, section } of makableKinds(sources, kinds)) {
    sections.push([name, await section.make({ ...sources, machines: machinesOf(name, sources) }, context)] as const);
  }
  const names = sections.map(([name]) => name);
  checkControlPlanes(sources, kinds, sections.map(([name, { section }]) => [name, section]));
  const { collateral = {} } = sources;
  const document = {
    version: 1,
    variant: names.length === 1 ? names[0] : names,
    ...Object.fromEntries(sections.map(([name, { section }]) => [name, section])),
    ...(Object.keys(collateral).length === 0 ? {} : { collateral }),
    ...Object.fromEntries((sources.allowedSwitches ?? []).map((name) => [name, true])),
    roles: { controlPlanes: unique(sources.controlPlanes) },
    names: { default: sources.names?.default ?? [ANY_NAME], byIdentity: sources.names?.byIdentity ?? {} },
  };
  const yaml = stringify(document, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  const policy = readPolicy(yaml, "the new policy", kinds);
  const remarks = [
    ...sources.preface ?? prefaceOf(sources),
    ...unique(sections.flatMap(([, made]) => made.remarks)),
    ...policyRemarks(policy).map((remark) => `${remark}.`),
  ];
  const text = `${remarks.map(commentOf).join("")}${yaml}`;
  return { text, remarks, policy };
}

/** Refuses a control plane that the policy would not trust. Only the first kind of evidence has the identity. */
function checkControlPlanes(
  { controlPlanes }: PolicySources,
  kinds: readonly EvidenceKind[],
  [first]: readonly (readonly [name: string, section: unknown])[],
): void {
  if (first === undefined) return;
  const [name, draft] = first;
  const section = kinds.find((kind) => kind.name === name)?.section;
  if (section?.trusts === undefined) return;
  const checked = checkValue(draft, section.schema);
  if (checked.problem !== undefined) return;
  const stranger = controlPlanes.find((identity) => section.trusts?.(checked.value, identity) === false);
  if (stranger === undefined) return;
  throw sourcesError(
    `the control plane ${stranger} is none of the trusted identities`,
    `Give the evidence of that machine too, or --identity ${stranger}`,
  );
}

/**
 * Checks that a policy accepts an evidence file, whatever configuration and lock its registers show. Returns remarks on
 * the file.
 */
async function checkAccepted(
  name: string,
  file: EvidenceFile,
  { policy }: MadePolicy,
  context: MakeContext,
): Promise<readonly string[]> {
  const { refusal, claims } = await explainEvidence({ file, policy, ...context });
  if (refusal !== null) {
    throw wrongSource(
      name,
      policy.kinds.flatMap(({ section }) => section?.missingCollateral ?? []),
      refusal,
    );
  }
  return (claims?.remarks ?? []).map((remark) => `${name}: ${remark}.`);
}

/**
 * Makes a policy for a fresh node at the other end of a connection, and optionally for evidence files. Checks that the
 * policy accepts the node and the files.
 *
 * @param name The node's name in remarks: its endpoint.
 * @param ask Asks the node for its evidence, passes it to the given verifier, and completes the exchange.
 * @throws {BootstrapError} The errors of {@linkcode makePolicy} and `ask`.
 */
export async function makePolicyOf(
  name: string,
  sources: FileSources,
  context: MakeContext,
  ask: (verifier: Pick<EvidenceVerifier, "verify">) => Promise<unknown>,
): Promise<MadePolicy> {
  let made: MadePolicy | undefined;
  await ask({
    async verify(evidence, ...expected) {
      const node = { name, file: { evidence: piecesOf(evidence) } };
      made = await draftPolicy({ ...sources, files: [...sources.files, node] }, context);
      const verifier = createVerifier(made.policy, "init", context.collateral, context.now);
      return await verifier.verify(evidence, ...expected);
    },
  });
  if (made === undefined) throw new BootstrapError("internal/policy", "Neither evidence nor an error arrived");
  return await withFiles(made, sources, context);
}

/** A kind of evidence that policies can be made for. */
interface MakableKind {
  readonly name: string;
  readonly section: PolicySection<unknown>;
}

/**
 * Returns the kinds of the machines' evidence, which all machines must share. Without machines it returns the default
 * kind.
 */
function makableKinds(
  { files, images, identities, withoutPcrs, withPcrs = [] }: PolicySources,
  kinds: readonly EvidenceKind[],
): readonly MakableKind[] {
  const lists = files.map(({ file }) => file.evidence.map(({ variant }) => variant).join(", "));
  const [first = defaultKind(kinds).name, ...others] = unique(lists);
  if (others.length > 0) {
    throw sourcesError(
      `the files have evidence of different kinds: ${[first, ...others].join("; ")}`,
      "Make all evidence with the same evidence.variant",
    );
  }
  const found = first.split(", ").map((name) => kinds.find((kind) => kind.name === name) ?? { name });
  const takesImages = found.some((kind) => "hasEndorsementKey" in kind && kind.hasEndorsementKey === true);
  const makable = found.map((kind) => makableKind(kind, kinds));
  if (!takesImages && images.length + identities.length + withoutPcrs.length + withPcrs.length > 0) {
    const reason = "images, identities and PCRs apply only to TPMs, but the files have no evidence of a TPM";
    throw sourcesError(reason, "Leave them out, or make the evidence of a TPM too");
  }
  return makable;
}

function makableKind({ name, section }: Partial<MakableKind>, kinds: readonly EvidenceKind[]): MakableKind {
  if (name !== undefined && section !== undefined) return { name, section };
  const known = kinds.flatMap((kind) => kind.section === undefined ? [] : [kind.name]);
  throw sourcesError(`evidence of the kind ${name} is unknown`, `Use ${alternatives(known)}`);
}

/** Returns `a, b or c`. */
function alternatives(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

function machinesOf(kind: string, { files }: PolicySources): readonly SectionSource[] {
  return files.flatMap(({ name, file }) =>
    file.evidence.filter(({ variant }) => variant === kind).map(({ payload }) => ({ name, payload }))
  );
}

function prefaceOf({ files, images }: PolicySources): readonly string[] {
  return [
    `Made from ${[...files, ...images].map(({ name }) => name).join(", ")}.`,
    "The makers of these files are trusted: use it only if you trust the machines and the images.",
  ];
}

/**
 * Returns a remark as a YAML comment. Control characters are replaced, so that a file's name cannot end the comment.
 */
function commentOf(remark: string): string {
  return remark.split("\n").map((line) => `${`# ${line.replaceAll(/\p{Cc}+/gu, " ")}`.trimEnd()}\n`).join("");
}
