import type { RosterEntry } from "../protocol/transcript.ts";
import type { OwnKeySeen } from "./founder.ts";

/** What is there twice. */
export type ConflictKind = "own-key" | "key" | "identity" | "name" | "address";

/** Something that two founders cannot share. Nobody pledges while it lasts. */
export interface Conflict {
  readonly kind: ConflictKind;
  /** For people: who, and what to do. */
  readonly message: string;
}

/** What is known besides the entries. */
export interface ConflictFacts {
  /** The own F, at another process. */
  readonly ownKey?: OwnKeySeen;
  /** Founders whose key two processes use. */
  readonly twice: readonly RosterEntry[];
}

/** Names what the founders that are there cannot share. */
export function conflictsOf(entries: readonly RosterEntry[], { ownKey, twice }: ConflictFacts): Conflict[] {
  const own = entries[0]?.name ?? "";
  return [
    ...(ownKey === undefined ? [] : [
      {
        kind: "own-key",
        message: `${ownKey.name} (${ownKey.address}), seen at ${ownKey.peer}, has the key of ${own}: ` +
          "one is a clone of the other's disk; switch one off, and reset it",
      } as const,
    ]),
    ...twice.map(({ name, address }) => ({
      kind: "key",
      message:
        `two machines have the key of ${name} (${address}): one is a clone of the other's disk; switch one off, ` +
        "and reset it",
    } as const)),
    ...shared(entries, "identity", ({ identity }) => identity, (names) => `${names} show one TPM or machine identity`),
    ...shared(entries, "name", ({ name }) => name, (names) => `two founders have the name ${names}`, true),
    ...shared(entries, "address", ({ address }) => address, (names) => `${names} have one address`),
  ];
}

function shared(
  entries: readonly RosterEntry[],
  kind: ConflictKind,
  valueOf: (entry: RosterEntry) => string,
  text: (names: string) => string,
  isName = false,
): Conflict[] {
  const groups = Map.groupBy(entries, valueOf);
  return [...groups].filter(([, group]) => group.length > 1).map(([value, group]) => {
    const whose = isName ? value : group.map(({ name }) => name).join(" and ");
    const where = [...new Set(group.map(({ address }) => address))].join(" and ");
    return { kind, message: `${text(whose)} (${where}): change one of them, or switch it off` };
  });
}
