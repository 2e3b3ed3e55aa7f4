/**
 * The labels with which a kubelet registers its node.
 *
 * @module
 */
import { shown } from "../platform/label.ts";

const LONGEST_PREFIX = 253;
/** `ValidateLabelName` in apimachinery. */
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
/** What a kubelet may say of itself in Kubernetes' own namespaces (`kubelet/apis/well_known_labels.go`). */
const KUBELETS_PREFIXES = ["kubelet.kubernetes.io", "node.kubernetes.io"];
const KUBELETS_LABELS = [
  ...["kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "topology.kubernetes.io/zone"],
  ...["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone"],
  ...["failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type"],
];

/** Says why a text is no key of a label or a taint. */
export function labelKeyProblem(text: string): string | undefined {
  const [name = "", prefix, ...more] = text.split("/").reverse();
  const isPrefix = prefix === undefined || (prefix.length <= LONGEST_PREFIX && PREFIX.test(prefix));
  if (more.length === 0 && NAME.test(name) && isPrefix) return undefined;
  return `it must be a name of at most 63 letters, digits, "-", "_" and ".", with a DNS name and "/" before it or without; seen ${
    shown(text)
  }`;
}

/** Says why a kubelet may not give itself a label of this key: it would not start with it. */
export function ownLabelProblem(text: string): string | undefined {
  const malformed = labelKeyProblem(text);
  if (malformed !== undefined) return malformed;
  const [prefix = "", name] = text.split("/");
  const isKubernetes = name !== undefined && /(?:^|\.)(?:kubernetes|k8s)\.io$/.test(prefix);
  const isAllowed = KUBELETS_LABELS.includes(text) ||
    KUBELETS_PREFIXES.some((own) => prefix === own || prefix.endsWith(`.${own}`));
  if (!isKubernetes || isAllowed) return undefined;
  return `a node may not give itself ${shown(text)}: use \`kubectl label node\``;
}

/** Says why a text is no value of a label or a taint. */
export function labelValueProblem(text: string): string | undefined {
  return text === "" || NAME.test(text)
    ? undefined
    : `it must be at most 63 letters, digits, "-", "_" and "."; seen ${shown(text)}`;
}

/** Says what is wrong with the value of `--node-labels`, such as `zone=a,disk=ssd`. */
export function nodeLabelsProblem(text: string): string | undefined {
  for (const label of text.split(",")) {
    const [key = "", value, ...more] = label.split("=");
    if (value === undefined || more.length > 0) return `a label must have the form KEY=VALUE; seen ${shown(label)}`;
    const problem = ownLabelProblem(key) ?? labelValueProblem(value);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
