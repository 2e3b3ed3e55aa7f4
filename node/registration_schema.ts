/**
 * The labels and taints with which a node registers, as its configuration has them.
 *
 * The configuration is not measured beyond its trust part: a host may write it. So it has no arguments of the kubelet,
 * which could weaken it; those are in the image, or in the cluster file that an operator gives.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { checkedText } from "../platform/checked_text.ts";
import { shown } from "../platform/label.ts";
import { present } from "../platform/present.ts";

/** A taint, as kubeadm has it. */
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}

/** `nodeRegistration` of a node's configuration. */
export interface RegistrationDocument {
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
}

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"] as const;
const MOST = 64;
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

function keyProblem(text: string): string | undefined {
  const [name = "", prefix, ...more] = text.split("/").reverse();
  const isPrefix = prefix === undefined || (prefix.length <= LONGEST_PREFIX && PREFIX.test(prefix));
  if (more.length === 0 && NAME.test(name) && isPrefix) return undefined;
  return `it must be a name of at most 63 letters, digits, "-", "_" and ".", with a DNS name and "/" before it or without; seen ${
    shown(text)
  }`;
}

function labelKeyProblem(text: string): string | undefined {
  const malformed = keyProblem(text);
  if (malformed !== undefined) return malformed;
  const [prefix = "", name] = text.split("/");
  const isKubernetes = name !== undefined && /(?:^|\.)(?:kubernetes|k8s)\.io$/.test(prefix);
  const isAllowed = KUBELETS_LABELS.includes(text) ||
    KUBELETS_PREFIXES.some((own) => prefix === own || prefix.endsWith(`.${own}`));
  if (!isKubernetes || isAllowed) return undefined;
  return `a node may not give itself ${shown(text)}: use \`kubectl label node\``;
}

function labelValueProblem(text: string): string | undefined {
  return text === "" || NAME.test(text)
    ? undefined
    : `it must be at most 63 letters, digits, "-", "_" and "."; seen ${shown(text)}`;
}

/** The form of `nodeRegistration`. */
export const registrationSchema: GenericSchema<unknown, RegistrationDocument> = v.strictObject({
  labels: v.exactOptional(v.pipe(
    v.record(checkedText(labelKeyProblem), checkedText(labelValueProblem)),
    v.check((labels) => Object.keys(labels).length <= MOST, `at most ${MOST} labels are allowed`),
  )),
  taints: v.exactOptional(v.pipe(
    v.array(v.strictObject({
      key: checkedText(keyProblem),
      value: v.exactOptional(checkedText(labelValueProblem)),
      effect: v.picklist(EFFECTS),
    })),
    v.maxLength(MOST, `at most ${MOST} taints are allowed`),
  )),
}) as GenericSchema<unknown, RegistrationDocument>;

/** What kubeadm's `nodeRegistration` gets of a node's own configuration; `undefined` if that is nothing. */
export function registrationOf(
  { labels, taints }: RegistrationDocument = {},
): Readonly<Record<string, unknown>> | undefined {
  if (labels === undefined && taints === undefined) return undefined;
  const list = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join(",");
  return {
    ...(list === "" ? {} : { kubeletExtraArgs: [{ name: "node-labels", value: list }] }),
    ...present("taints", taints),
  };
}
