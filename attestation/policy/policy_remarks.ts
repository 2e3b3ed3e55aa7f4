/**
 * What the users of a policy must know about it, said when it is made and each time it is loaded.
 *
 * @module
 */
import type { Policy } from "./policy.ts";
import { sectionOf } from "./policy.ts";

/** A pattern that every node name matches. */
export const ANY_NAME = "*";

/** The remark on a policy that allows images that are not fully measured. */
export const UNMEASURED =
  "UNMEASURED: the policy allows allowUnmeasuredImage: true, so a machine may run other code than its evidence shows";

/** Whether the policy lists every identity that it admits, and a name for each. */
function isEachNamed(policy: Policy): boolean {
  const [kind] = policy.required.node;
  const section = kind === undefined ? undefined : sectionOf(policy, kind);
  const identities = section === undefined ? undefined : kind?.section?.identities?.(section);
  return identities !== undefined && [...identities].every((identity) => policy.names.byIdentity.has(identity));
}

/** Returns the remarks, as sentences without a full stop. */
export function policyRemarks(policy: Policy): readonly string[] {
  const { allowedSwitches, names, kinds } = policy;
  const sections = kinds.flatMap((kind) => {
    const section = sectionOf(policy, kind);
    return section === undefined ? [] : kind.section?.remarks?.(section) ?? [];
  });
  return [
    ...(allowedSwitches.includes("allowUnmeasuredImage") ? [UNMEASURED] : []),
    ...(names.default.includes(ANY_NAME) && !isEachNamed(policy)
      ? [
        'UNBOUND NAMES: names.default is "*", so every admitted machine that names.byIdentity does not list may take ' +
        "any node name that is free; list each identity's name in names.byIdentity, or narrow names.default",
      ]
      : []),
    ...sections,
  ];
}
