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
import { labelKeyProblem, labelValueProblem, ownLabelProblem } from "../kubernetes/node_labels.ts";
import { checkedText } from "../platform/checked_text.ts";
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
/** The form of `nodeRegistration`. */
export const registrationSchema: GenericSchema<unknown, RegistrationDocument> = v.strictObject({
  labels: v.exactOptional(v.pipe(
    v.record(checkedText(ownLabelProblem), checkedText(labelValueProblem)),
    v.check((labels) => Object.keys(labels).length <= MOST, `at most ${MOST} labels are allowed`),
  )),
  taints: v.exactOptional(v.pipe(
    v.array(v.strictObject({
      key: checkedText(labelKeyProblem),
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
