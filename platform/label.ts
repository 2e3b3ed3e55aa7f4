/**
 * The names of clusters and of nodes.
 *
 * @module
 */

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LONGEST_LABEL = 63;
/**
 * The kubelet puts its node's name into the label `kubernetes.io/hostname`, whose value has at most 63 characters
 * (`pkg/kubelet/kubelet_node_status.go`; `IsValidLabelValue()` in apimachinery).
 */
const LONGEST_NODE_NAME = 63;
const LONGEST_SHOWN = 80;

/** Whether a text is an RFC 1123 label, the format of cluster names. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether a text can be a node's name; see {@linkcode nodeNameProblem}. */
export function isNodeName(text: string): boolean {
  return nodeNameProblem(text) === undefined;
}

/** Says why a text is no RFC 1123 label, the format of cluster names, as a clause; `undefined` if it is one. */
export function labelProblem(text: string): string | undefined {
  if (isLabel(text)) return undefined;
  const [first = ""] = text.split(".", 1);
  const dots = isLabel(first) ? `it has dots: write ${first}, or a name without dots` : undefined;
  const rule =
    "it must be an RFC 1123 label: at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit";
  return `${rule}; ${detailOf(text, isLabel) ?? dots ?? `current value is ${shown(text)}`}`;
}

/**
 * Says why a text cannot be a node's name, as a clause; `undefined` if it can.
 *
 * A node's name is an RFC 1123 subdomain, as Kubernetes requires: labels with dots between them. Its last label is not
 * a number, because such a name is an IPv4 address to many programs.
 */
export function nodeNameProblem(text: string): string | undefined {
  const labels = text.split(".");
  const isNumber = labels.length > 1 && /^\d+$/.test(labels.at(-1) ?? "");
  const [first = ""] = labels;
  if (labels.every(isLabel) && !isNumber) {
    if (text.length <= LONGEST_NODE_NAME) return undefined;
    return `it has ${text.length} characters, and at most ${LONGEST_NODE_NAME} are allowed: write a shorter name, such as ${first}`;
  }
  if (labels.every(isLabel)) return `${shown(text)} has the form of an IPv4 address: write a name`;
  const rule =
    "it must be an RFC 1123 subdomain: a-z, 0-9, - and dots, each part beginning and ending with a letter or digit";
  return `${rule}; ${detailOf(text, isNodeName) ?? `current value is ${shown(text)}`}`;
}

/** Names by which machines call themselves, and by which Pods and the control plane itself call the API server. */
const RESERVED_NAMES: readonly string[] = ["localhost", "localhost.localdomain", "kubernetes", "kubernetes.default"];
/** The names of Services, and of the machine itself (RFC 6761, 6.3). A node's certificate must not be for one of them. */
const RESERVED_ENDS: readonly string[] = [".localhost", ".svc", ".cluster.local"];

/** Says why no node may have a name, as a clause; `undefined` if one may. */
export function reservedNameProblem(name: string): string | undefined {
  if (!RESERVED_NAMES.includes(name) && !RESERVED_ENDS.some((end) => name.endsWith(end))) return undefined;
  return name.includes("localhost")
    ? `no node may be called ${name}: every machine calls itself by it`
    : `no node may be called ${name}: others know the API server or a Service by such a name`;
}

/** The variables of shells, Jinja, Go templates and Windows, and the placeholders of documentation and of autoconf. */
const VARIABLE =
  /\$\{[^}]*\}|\{\{.*\}\}|\{%.*%\}|\$\([^)]*\)|^\$[A-Za-z_]\w*|%[A-Z][A-Z_]+%|^<[A-Za-z][^<>]*>|^@[A-Z][A-Z_]*@/;

/** Whether a template's variable is left in a text, as in `${HOSTNAME}`. */
export function hasVariable(text: string): boolean {
  return VARIABLE.test(text);
}

/** The clause for a text with a variable that was not filled in. */
export function variableProblem(text: string): string {
  return `a variable was not filled in: ${shown(text)}`;
}

/** Quotes a text for an error, cut to a short length. */
export function shown(text: string): string {
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text);
}

function detailOf(text: string, isValid: (text: string) => boolean): string | undefined {
  if (text === "") return "it is empty";
  if (hasVariable(text)) return variableProblem(text);
  if (text !== text.trim()) return `it has spaces around it: ${shown(text)}`;
  const lower = text.toLowerCase();
  if (lower !== text && isValid(lower)) return `it has capital letters: write ${lower}`;
  if (text.endsWith(".") && isValid(lower.slice(0, -1))) return `leave out the final dot: write ${lower.slice(0, -1)}`;
  const dashed = lower.replaceAll("_", "-");
  if (text.includes("_")) return `"_" is not allowed${isValid(dashed) ? `: write ${dashed}` : `: ${shown(text)}`}`;
  const long = lower.split(".").find((part) => part.length > LONGEST_LABEL);
  if (long !== undefined) return `a part has ${long.length} characters, and at most ${LONGEST_LABEL} are allowed`;
  return undefined;
}
