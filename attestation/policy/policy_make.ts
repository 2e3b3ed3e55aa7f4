/**
 * Policies from machines and images that are known to be good.
 *
 * @module
 */
import { stringify } from "yaml";
import { BootstrapError } from "../../platform/errors.ts";
import type { Collateral } from "../collateral.ts";
import { piecesOf } from "../combined.ts";
import type { EvidenceVariant, EvidenceVerifier } from "../evidence.ts";
import { EVIDENCE_VARIANTS } from "../evidence.ts";
import type { EvidenceFile } from "../evidence_file.ts";
import { explainEvidence } from "../explain/explain.ts";
import type { MadeSection, SectionContext, SectionSource } from "./policy_section.ts";
import { sourcesError, unique, wrongSource } from "./policy_section.ts";
import type { CollateralPlaces, Policy } from "./policy.ts";
import { readPolicy } from "./policy.ts";
import { createVerifier } from "./policy_verifier.ts";
import { makeSnpSection } from "../kinds/snp/policy_section.ts";
import { makeTdxSection } from "../kinds/tdx/policy_section.ts";
import type { TpmSources } from "../kinds/tpm/policy_section.ts";
import { makeTpmSection } from "../kinds/tpm/policy_section.ts";

/** A machine that a policy is made for. */
export interface NamedEvidence {
  /** Where its evidence is from, for people: a path, an endpoint. */
  readonly name: string;
  /** Its evidence. */
  readonly file: Pick<EvidenceFile, "evidence">;
}

/** What a policy is made from. */
export interface PolicySources extends Omit<TpmSources, "machines"> {
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

/** What a policy is made and verified with. */
export interface MakeContext extends SectionContext {
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
export async function draftPolicy(sources: PolicySources, context: SectionContext): Promise<MadePolicy> {
  const kinds = kindsOf(sources);
  const sections = [];
  for (const kind of kinds) sections.push([kind, await makeSection(kind, sources, context)] as const);
  const { collateral = {} } = sources;
  const document = {
    version: 1,
    variant: kinds.length === 1 ? kinds[0] : kinds,
    ...Object.fromEntries(sections.map(([kind, { section }]) => [kind, section])),
    ...(Object.keys(collateral).length === 0 ? {} : { collateral }),
    roles: { controlPlanes: unique(sources.controlPlanes) },
  };
  const remarks = [...sources.preface ?? prefaceOf(sources), ...unique(sections.flatMap(([, made]) => made.remarks))];
  const yaml = stringify(document, { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  const text = `${remarks.map(commentOf).join("")}${yaml}`;
  return { text, remarks, policy: readPolicy(text, "the policy that was made") };
}

/** Sees that a policy accepts an evidence file, whatever its registers say of its configuration and its lock. */
async function checkAccepted(
  name: string,
  file: EvidenceFile,
  { policy }: MadePolicy,
  context: MakeContext,
): Promise<void> {
  const { refusal } = await explainEvidence({ file, policy, ...context });
  if (refusal !== null) throw wrongSource(name, refusal);
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
      const verifier = createVerifier(made.policy, "init", context.collateral, context.now, context.anchors);
      return await verifier.verify(evidence, ...expected);
    },
  });
  if (made === undefined) throw new BootstrapError("internal/policy", "No evidence came, and no error");
  for (const { name, file } of sources.files) await checkAccepted(name, file, made, context);
  return made;
}

/** The kinds of the machines' evidence, the same of all; images alone are for TPMs. */
function kindsOf({ files, images, identities, withoutPcrs }: PolicySources): readonly EvidenceVariant[] {
  const lists = files.map(({ file }) => file.evidence.map(({ variant }) => variant).join(", "));
  const [first = "tpm", ...others] = unique(lists);
  if (others.length > 0) {
    throw sourcesError(
      `the files have evidence of different kinds: ${[first, ...others].join("; ")}`,
      "Make all evidence with the same evidence.variant",
    );
  }
  const kinds = first.split(", ").map((name) => {
    const kind = EVIDENCE_VARIANTS.find((variant) => variant === name && variant !== "none");
    if (kind === undefined) {
      throw sourcesError(`nothing is known of evidence of the kind ${name}`, "Use tpm, snp or tdx");
    }
    return kind;
  });
  if (!kinds.includes("tpm") && images.length + identities.length + withoutPcrs.length > 0) {
    const reason = "images, identities and PCRs are of TPMs, of which the files have no evidence";
    throw sourcesError(reason, "Leave them out, or make the evidence of a TPM too");
  }
  return kinds;
}

function makeSection(kind: EvidenceVariant, sources: PolicySources, context: SectionContext): Promise<MadeSection> {
  const machines = sources.files.flatMap(({ name, file }): readonly SectionSource[] =>
    file.evidence.filter(({ variant }) => variant === kind).map(({ payload }) => ({ name, payload }))
  );
  if (kind === "snp") return makeSnpSection(machines, context);
  return kind === "tdx" ? makeTdxSection(machines, context) : makeTpmSection({ ...sources, machines });
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
