/**
 * Policies from machines and images that are known to be good.
 *
 * @module
 */
import { stringify } from "yaml";
import { BootstrapError } from "../../platform/errors.ts";
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
import { createVerifier } from "./policy_verifier.ts";

/** A machine that a policy is made for. */
export interface NamedEvidence {
  /** Where its evidence is from, for people: a path, an endpoint. */
  readonly name: string;
  /** Its evidence. */
  readonly file: Pick<EvidenceFile, "evidence">;
}

/** What a policy is made from. */
export interface PolicySources extends Omit<SectionSources, "machines"> {
  /** Machines; their evidence is of the same kinds in the same order. */
  readonly files: readonly NamedEvidence[];
  /** Identities that may be control planes. */
  readonly controlPlanes: readonly string[];
  /** Where the policy has collateral looked for. */
  readonly collateral?: CollateralPlaces;
  /** What is said at first, instead of what it was made from. */
  readonly preface?: readonly string[];
}

/** The same, with files whose evidence can be verified. */
export interface FileSources extends PolicySources {
  /** Evidence files, with their names. */
  readonly files: readonly { readonly name: string; readonly file: EvidenceFile }[];
}

/** What a policy is made with. */
export interface DraftContext extends SectionContext {
  /** The kinds of evidence that there are. */
  readonly kinds?: readonly EvidenceKind[];
}

/** What a policy is made and verified with. */
export interface MakeContext extends DraftContext {
  /** Where to look for what vendors sign. */
  readonly collateral: Collateral;
}

/** A policy that was made. */
export interface MadePolicy {
  /** The document, YAML with the remarks as comments; `readPolicy()` reads it. */
  readonly text: string;
  /** What whoever uses it should know. */
  readonly remarks: readonly string[];
  /** The policy itself. */
  readonly policy: Policy;
}

/**
 * Makes a policy, and sees that it accepts every file.
 *
 * @param sources What it is made from.
 * @param context Where to look for what vendors sign, and the time of day.
 * @throws {BootstrapError} What {@linkcode draftPolicy} does; `refused/…` or `malformed/…`, naming the file, for evidence that is not
 *   right in itself.
 */
export async function makePolicy(
  sources: FileSources,
  context: MakeContext,
): Promise<MadePolicy> {
  const made = await draftPolicy(sources, context);
  for (const { name, file } of sources.files) await checkAccepted(name, file, made, context);
  return made;
}

/**
 * Makes a policy of what machines show, of which nothing is verified but what the makers of the sections say.
 *
 * @throws {BootstrapError} `usage/policy-sources` for sources that make none, `usage/document` for a control plane that it does not
 *   trust, `malformed/…` and `refused/…` for evidence that is not right in itself or cannot be judged.
 */
export async function draftPolicy(sources: PolicySources, context: DraftContext): Promise<MadePolicy> {
  const { kinds = KINDS } = context;
  const sections = [];
  for (const { name, section } of makableKinds(sources, kinds)) {
    sections.push([name, await section.make({ ...sources, machines: machinesOf(name, sources) }, context)] as const);
  }
  const names = sections.map(([name]) => name);
  const { collateral = {} } = sources;
  const document = {
    version: 1,
    variant: names.length === 1 ? names[0] : names,
    ...Object.fromEntries(sections.map(([name, { section }]) => [name, section])),
    ...(Object.keys(collateral).length === 0 ? {} : { collateral }),
    roles: { controlPlanes: unique(sources.controlPlanes) },
  };
  const remarks = [...sources.preface ?? prefaceOf(sources), ...unique(sections.flatMap(([, made]) => made.remarks))];
  const yaml = stringify(document, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  const text = `${remarks.map(commentOf).join("")}${yaml}`;
  return { text, remarks, policy: readPolicy(text, "the policy that was made", kinds) };
}

/** Sees that a policy accepts an evidence file, whatever its registers say of its configuration and its lock. */
async function checkAccepted(
  name: string,
  file: EvidenceFile,
  { policy }: MadePolicy,
  context: MakeContext,
): Promise<void> {
  const { refusal } = await explainEvidence({ file, policy, ...context });
  if (refusal !== null) {
    throw wrongSource(
      name,
      policy.kinds.flatMap(({ section }) => section?.missingCollateral ?? []),
      refusal,
    );
  }
}

/**
 * Makes a policy for a fresh node at the other end of a connection, and perhaps for evidence files too, and sees that it accepts all
 * of them.
 *
 * @param name What the node is called in remarks: its endpoint.
 * @param ask Asks the node for its evidence, has it judged by the verifier that it is given, and does what else is to be done there.
 * @throws {BootstrapError} What {@linkcode makePolicy} and `ask` do.
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
  if (made === undefined) throw new BootstrapError("internal/policy", "No evidence came, and no error");
  for (const { name, file } of sources.files) await checkAccepted(name, file, made, context);
  return made;
}

/** A kind that policies are made for. */
interface MakableKind {
  readonly name: string;
  readonly section: PolicySection<unknown>;
}

/** The kinds of the machines' evidence, the same of all; images alone are for the default kind. */
function makableKinds(
  { files, images, identities, withoutPcrs }: PolicySources,
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
  if (!takesImages && images.length + identities.length + withoutPcrs.length > 0) {
    const reason = "images, identities and PCRs are of TPMs, of which the files have no evidence";
    throw sourcesError(reason, "Leave them out, or make the evidence of a TPM too");
  }
  return makable;
}

function makableKind({ name, section }: Partial<MakableKind>, kinds: readonly EvidenceKind[]): MakableKind {
  if (name !== undefined && section !== undefined) return { name, section };
  const known = kinds.flatMap((kind) => kind.section === undefined ? [] : [kind.name]);
  throw sourcesError(`nothing is known of evidence of the kind ${name}`, `Use ${alternatives(known)}`);
}

/** `a, b or c`. */
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
    "Whoever made these files is believed: use it only if you trust the machines and the images.",
  ];
}

/** Whatever files are called, a remark is a comment. */
function commentOf(remark: string): string {
  return remark.split("\n").map((line) => `${`# ${line.replaceAll(/\p{Cc}+/gu, " ")}`.trimEnd()}\n`).join("");
}
