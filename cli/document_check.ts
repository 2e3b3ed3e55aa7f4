/**
 * Checks a file that a person wrote for this program: recognises what it is meant to be, and finds all its problems.
 *
 * @module
 */
import type { EvidenceKind } from "../attestation/kind.ts";
import type { Policy } from "../attestation/policy/policy.ts";
import { readPolicy } from "../attestation/policy/policy.ts";
import { policyRemarks } from "../attestation/policy/policy_remarks.ts";
import { clusterRemarks, readNewClusterSettings } from "../kubernetes/new_cluster.ts";
import { POLICY_KEY } from "../kubernetes/policy_config_map.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import type { NodeConfiguration } from "../node/configuration.ts";
import { configurationRemarks, readNewNodeConfiguration } from "../node/configuration.ts";
import { DocumentError, documentText } from "../platform/document.ts";
import type { PlacedProblem } from "../platform/document.ts";
import type { DocumentKind } from "../platform/document_kinds.ts";
import { DOCUMENT_KINDS, likelyKind, strangerKind, titleOf } from "../platform/document_kinds.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { keyPath } from "../platform/schema_problems.ts";
import type { YamlDocument } from "../platform/yaml.ts";
import { documentsIn, readYamlDocument } from "../platform/yaml.ts";
import { checkKeyText } from "./key_text_check.ts";

/** A problem of a file, or what a person should know of it. */
export interface Finding {
  /** From 1; absent if the file cannot be read at all. */
  readonly line?: number;
  /** The path of the key; empty for the whole document. */
  readonly key: string;
  /** A clause, without the key. */
  readonly message: string;
}

/** A document without problems. */
export type ReadDocument =
  | { readonly kind: "node"; readonly configuration: NodeConfiguration }
  | { readonly kind: "cluster"; readonly settings: ClusterSettings; readonly text: string }
  | { readonly kind: "policy"; readonly policy: Policy };

/** A file that was checked. */
export interface CheckedFile {
  /** Its name, as it was given. */
  readonly file: string;
  /** What it is, or is meant to be, such as "a policy"; absent if nothing says so. */
  readonly title?: string;
  readonly problems: readonly Finding[];
  readonly remarks: readonly Finding[];
  /** What was read; absent if there are problems, and for keys. */
  readonly document?: ReadDocument;
  /** The line of a key of the document. */
  readonly lineOf?: (path: readonly (string | number)[]) => number | undefined;
}

/** Makes a finding of a problem. Its text begins with the path of its key, or is about the whole document. */
export function findingOf({ path, text, line = 1 }: PlacedProblem): Finding {
  const key = keyPath(path);
  const isNamed = key !== "" && (text.startsWith(`${key}: `) || text.startsWith(`${key} `));
  return { line, key, message: isNamed ? text.slice(key.length).replace(/^:? /, "") : text };
}

/** The checked file of bytes that no reader takes, for one reason. */
function unreadable(file: string, message: string, title?: string): CheckedFile {
  return {
    file,
    ...(title === undefined ? {} : { title }),
    problems: [{ line: 1, key: "", message }],
    remarks: [],
  };
}

/**
 * Checks the bytes of a file. Nothing is thrown: whatever is wrong is a problem of the file.
 *
 * @param file Its name, for people.
 * @param kind What it is meant to be. Default: it is recognised.
 * @param kinds The known kinds of evidence.
 */
export function checkDocument(
  file: string,
  bytes: Uint8Array,
  kind: DocumentKind | undefined,
  kinds: readonly EvidenceKind[],
): CheckedFile {
  let text: string;
  try {
    text = documentText(bytes, file);
  } catch (error) {
    return failed(file, undefined, error);
  }
  if (kind !== undefined) return read(file, text, kind, kinds);
  const keyText = checkKeyText(text);
  if (keyText !== undefined) {
    const { title, problem } = keyText;
    return problem === undefined ? { file, title, problems: [], remarks: [] } : unreadable(file, problem, title);
  }
  const several = severalDocuments(text);
  if (several !== undefined) return unreadable(file, several);
  const document = documentIn(text);
  const stranger = strangerKind(text, document?.value);
  const policy = policyInConfigMap(text, document);
  if (policy !== undefined) return placedInConfigMap(read(file, policy.text, "policy", kinds), policy.lineAt);
  if (stranger !== undefined) return unreadable(file, `this is ${stranger}; expected is ${EXPECTED}`, stranger);
  const likely = likelyKind(text, document?.value);
  if (likely !== undefined) return read(file, text, likely, kinds);
  if (text.replace(/^\ufeff/, "").replaceAll(/^\s*(?:#.*)?$/gm, "").trim() === "") {
    return unreadable(file, "it is empty");
  }
  return unreadable(file, `nothing says what it is; expected is ${EXPECTED}: --kind says which one it is meant to be`);
}

const EXPECTED = DOCUMENT_KINDS.map(titleOf).join(" or ");

function documentIn(text: string): YamlDocument | undefined {
  try {
    return readYamlDocument(text);
  } catch {
    // The reader of its kind says what is wrong.
    return undefined;
  }
}

/** Says which documents a file has, if they do not go together. Those of kubeadm are one cluster document. */
function severalDocuments(text: string): string | undefined {
  const parts = documentsIn(text).map(({ text, line }) => ({ line, kind: likelyKind(text, documentIn(text)?.value) }));
  if (parts.length < 2 || parts.every(({ kind }) => kind === "cluster")) return undefined;
  const list = parts.map(({ kind, line }) => `${kind === undefined ? "something" : titleOf(kind)} at line ${line}`);
  return `it has several documents, ${list.join(", ")}: write each into a file of its own`;
}

function read(file: string, text: string, kind: DocumentKind, kinds: readonly EvidenceKind[]): CheckedFile {
  try {
    const { document, remarks } = READERS[kind](text, file, kinds);
    const lineOf = documentIn(text)?.lineOf;
    const found = remarks.map((remark) => remarkOf(remark, lineOf));
    return {
      file,
      title: titleOf(kind),
      problems: [],
      remarks: found,
      document,
      ...(lineOf === undefined ? {} : { lineOf }),
    };
  } catch (error) {
    return failed(file, titleOf(kind), error);
  }
}

interface Read {
  readonly document: ReadDocument;
  /** Sentences, some of which begin with a key at the top. */
  readonly remarks: readonly string[];
}

const READERS: Readonly<
  Record<DocumentKind, (text: string, file: string, kinds: readonly EvidenceKind[]) => Read>
> = {
  node(text, file, kinds) {
    const configuration = readNewNodeConfiguration(text, file, kinds);
    return { document: { kind: "node", configuration }, remarks: configurationRemarks(configuration) };
  },
  cluster(text, file) {
    const settings = readNewClusterSettings(text, file);
    return { document: { kind: "cluster", settings, text }, remarks: clusterRemarks(settings) };
  },
  policy(text, file, kinds) {
    const policy = readPolicy(text, file, kinds);
    return { document: { kind: "policy", policy }, remarks: policyRemarks(policy) };
  },
};

function remarkOf(message: string, lineOf: YamlDocument["lineOf"] | undefined): Finding {
  const [key = ""] = /^[a-z]\w*(?:\.\w+)*(?=[: ])/.exec(message) ?? [];
  const line = key === "" ? undefined : lineOf?.(key.split("."));
  return { line: line ?? 1, key: "", message };
}

function failed(file: string, title: string | undefined, error: unknown): CheckedFile {
  const problems = error instanceof DocumentError
    ? error.problems.map(findingOf)
    : [{ line: 1, key: "", message: asBootstrapError(error).message }];
  return { file, ...(title === undefined ? {} : { title }), problems, remarks: [] };
}

interface EmbeddedPolicy {
  readonly text: string;
  /** The line of the file at which a line of the policy is. */
  readonly lineAt: (line: number) => number;
}

/** The policy in a manifest of the ConfigMap that join services read. */
function policyInConfigMap(text: string, document: YamlDocument | undefined): EmbeddedPolicy | undefined {
  const path = ["data", POLICY_KEY];
  const value = path.reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined,
    document?.value,
  );
  const start = document?.lineOf(path);
  if (typeof value !== "string" || start === undefined) return undefined;
  const lines = text.split("\n");
  const isBlock = /[|>][-+0-9]*\s*$/.test(lines[start - 1] ?? "");
  return { text: value, lineAt: (line) => isBlock ? Math.min(start + line, lines.length) : start };
}

function placedInConfigMap(checked: CheckedFile, lineAt: EmbeddedPolicy["lineAt"]): CheckedFile {
  const place = (finding: Finding): Finding => ({ ...finding, line: lineAt(finding.line ?? 1) });
  const { lineOf, ...rest } = checked;
  return {
    ...rest,
    title: `${titleOf("policy")} in a ConfigMap`,
    problems: checked.problems.map(place),
    remarks: checked.remarks.map(place),
    ...(lineOf === undefined ? {} : { lineOf: (path) => lineAt(lineOf(path) ?? 1) }),
  };
}
