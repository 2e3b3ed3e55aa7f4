import { stringify } from "yaml";
import type { PlacedProblem } from "../platform/document.ts";
import { DocumentError, documentError } from "../platform/document.ts";
import { documentsIn, readYamlDocument, type YamlDocument } from "../platform/yaml.ts";
import {
  isKubernetesDocument,
  type KubeadmDocuments,
  type KubeadmKind,
  type Mapping,
  readKubeadmDocument,
  valueAt,
} from "./kubeadm_documents.ts";

/** What both the cluster document and kubeadm's documents can say: the key of the one, and the path in the other. */
const SAID_BY_BOTH: readonly { readonly key: string; readonly kind: KubeadmKind; readonly path: readonly string[] }[] =
  [
    { key: "kubernetesVersion", kind: "ClusterConfiguration", path: ["kubernetesVersion"] },
    { key: "controlPlaneEndpoint", kind: "ClusterConfiguration", path: ["controlPlaneEndpoint"] },
    { key: "podSubnet", kind: "ClusterConfiguration", path: ["networking", "podSubnet"] },
    { key: "serviceSubnet", kind: "ClusterConfiguration", path: ["networking", "serviceSubnet"] },
    { key: "coreDns", kind: "ClusterConfiguration", path: ["dns", "disabled"] },
    { key: "kubeProxy", kind: "ClusterConfiguration", path: ["proxy", "disabled"] },
    { key: "timeouts", kind: "InitConfiguration", path: ["timeouts"] },
  ];

interface Part {
  readonly text: string;
  readonly document: YamlDocument;
}

/**
 * Whether a text has several documents, and some of them are kubeadm's. What is no YAML is a cluster document with an error,
 * and one of kubeadm's documents alone was meant for kubeadm.
 */
export function isClusterFile(text: string): boolean {
  const parts = partsOf(text) ?? [];
  return parts.length > 1 && parts.some(({ document }) => isKubernetesDocument(document.value));
}

/** Cuts a file into its documents. The text of each has the lines of the file. */
function partsOf(text: string): readonly Part[] | undefined {
  try {
    return documentsIn(text).map(({ text, line }) => {
      const placed = "\n".repeat(line - 1) + text;
      return { text: placed, document: readYamlDocument(placed) };
    });
  } catch {
    return undefined;
  }
}

/**
 * Reads a file of a cluster document and kubeadm's documents.
 *
 * @param read Reads a cluster document.
 * @throws {DocumentError} `usage/document`, with the problems of all documents.
 */
export function readClusterFile<T>(
  text: string,
  what: string,
  read: (own: string) => T,
): T & { readonly kubeadm: KubeadmDocuments } {
  const problems: PlacedProblem[] = [];
  const collect = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DocumentError)) throw error;
      problems.push(...error.problems);
      return undefined;
    }
  };
  const parts = partsOf(text) ?? [];
  const owns = parts.filter(({ document }) => !isKubernetesDocument(document.value));
  const kubeadm: Partial<Record<KubeadmKind, Mapping>> = {};
  const places: Partial<Record<KubeadmKind, YamlDocument>> = {};
  for (const { text, document } of parts.filter((part) => !owns.includes(part))) {
    const [kind, fields] = collect(() => readKubeadmDocument(text, what)) ?? [];
    if (kind === undefined || fields === undefined) continue;
    if (kind in kubeadm) problems.push(twice(kind, document.lineOf(["kind"])));
    kubeadm[kind] = fields;
    places[kind] = document;
  }
  const [own, second] = owns;
  if (second !== undefined) problems.push(twice("cluster document", second.document.lineOf([])));
  const lifted = liftedValues(kubeadm, own?.document.value);
  for (const { key, kind, path } of lifted.saidTwice) {
    const line = places[kind]?.lineOf(path);
    const text = `${path.join(".")}: the cluster document has ${key} too: leave one of them out`;
    problems.push({ path, text, ...(line === undefined ? {} : { line }) });
  }
  const settings = collect(() => read(withValues(own, lifted.values)));
  if (settings !== undefined && problems.length === 0) return { ...settings, kubeadm: withoutLifted(kubeadm) };
  throw documentError(what, problems.map((problem) => replaced(problem, lifted.values, places)));
}

/** The cluster document with values that kubeadm's documents have. Its own lines stay where they are. */
function withValues(own: Part | undefined, values: Mapping): string {
  const isEmpty = Object.keys(values).length === 0;
  if (own === undefined) return stringify(values);
  if (isEmpty) return own.text;
  const { value } = own.document;
  // Lines do not follow a mapping in braces.
  const isFlow = own.text.replaceAll(/^\s*(?:#.*)?$/gm, "").trim().startsWith("{");
  if (isFlow && typeof value === "object") return stringify({ ...value, ...values });
  return `${own.text}\n${stringify(values)}`;
}

function twice(what: string, line: number | undefined): PlacedProblem {
  return { path: [], text: `there are two of ${what}`, ...(line === undefined ? {} : { line }) };
}

function liftedValues(kubeadm: KubeadmDocuments, own: unknown): {
  readonly values: Mapping;
  readonly saidTwice: typeof SAID_BY_BOTH;
} {
  const said = SAID_BY_BOTH.filter(({ kind, path }) => valueAt(kubeadm[kind], path) !== undefined);
  const saidTwice = said.filter(({ key }) => valueAt(own, [key]) !== undefined);
  const values = said.filter((both) => !saidTwice.includes(both)).map(({ key, kind, path }) => {
    const value = valueAt(kubeadm[kind], path);
    return [key, path.at(-1) === "disabled" && typeof value === "boolean" ? !value : value];
  });
  return { values: Object.fromEntries(values), saidTwice };
}

/** A problem of a value that kubeadm's document has is at its line there. */
function replaced(
  problem: PlacedProblem,
  lifted: Mapping,
  places: Partial<Record<KubeadmKind, YamlDocument>>,
): PlacedProblem {
  const [key] = problem.path;
  const both = SAID_BY_BOTH.find((both) => both.key === key);
  if (both === undefined || !(both.key in lifted)) return problem;
  const path = [...both.path, ...problem.path.slice(1)];
  const line = places[both.kind]?.lineOf(path);
  return { path, text: problem.text, ...(line === undefined ? {} : { line }) };
}

/** What the cluster document says now is not said again. */
function withoutLifted(kubeadm: KubeadmDocuments): KubeadmDocuments {
  const copy = structuredClone(kubeadm) as Partial<Record<KubeadmKind, Record<string, unknown>>>;
  for (const { kind, path } of SAID_BY_BOTH) {
    const parent = valueAt(copy[kind], path.slice(0, -1));
    if (typeof parent === "object" && parent !== null) Reflect.deleteProperty(parent, path.at(-1) ?? "");
  }
  return copy;
}
