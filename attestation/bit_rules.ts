/**
 * A policy's rules for the bits of a signed field, such as a guest policy. A bit that has no name here is shown, and is
 * refused only where a policy says so: later firmware uses more bits.
 *
 * @module
 */

/** A bit, by its name, or by its number if it has no name. */
export type Bit<Name extends string> = Name | number;

/** Bits that must be set, and bits that must not be set. */
export interface BitRules<Name extends string> {
  readonly required: readonly Bit<Name>[];
  readonly forbidden: readonly Bit<Name>[];
  /** The bits that may be set besides the required ones. If unset, all others that are not forbidden. */
  readonly allowed?: readonly Bit<Name>[];
}

/** The result of rules on one field. */
export interface BitVerdict {
  /** The bits that differ from the rules, for people; empty if none do. */
  readonly wrong: string;
  /** The rules, for people. */
  readonly wanted: string;
  /** The set bits, for people. */
  readonly seen: string;
}

const FIELD_BITS = 64;

/** Tells whether a bit is set. */
export function hasBit(value: bigint, bit: number): boolean {
  return (value >> BigInt(bit) & 1n) === 1n;
}

/** The numbers of the set bits, ascending. */
export function setBits(value: bigint): readonly number[] {
  return Array.from({ length: FIELD_BITS }, (_, bit) => bit).filter((bit) => hasBit(value, bit));
}

/** Names set bits, those without a name by their number; `none` if none is set. */
export function bitsText(
  value: bigint,
  unnamed: readonly number[],
  names: Readonly<Record<string, number>>,
): string {
  const named = Object.keys(names).filter((name) => hasBit(value, names[name] ?? 0));
  return [...named, ...unnamed.map((bit) => `bit ${bit}`)].join(", ") || "none";
}

/**
 * Applies rules to a field.
 *
 * @param value The field.
 * @param unnamed The numbers of its set bits that have no name and are flags.
 * @param names The bits that have a name, by their numbers.
 */
export function judgeBits<Name extends string>(
  value: bigint,
  unnamed: readonly number[],
  names: Readonly<Record<Name, number>>,
  { required, forbidden, allowed }: BitRules<Name>,
): BitVerdict {
  const isSet = (bit: Bit<Name>) => hasBit(value, typeof bit === "number" ? bit : names[bit]);
  const text = (bit: Bit<Name>) => typeof bit === "number" ? `bit ${bit}` : bit;
  const set: readonly Bit<Name>[] = [...(Object.keys(names) as Name[]).filter(isSet), ...unnamed];
  const wrong = [
    ...required.filter((bit) => !isSet(bit)),
    ...set.filter((bit) => forbidden.includes(bit)),
    ...(allowed === undefined ? [] : set.filter((bit) => !required.includes(bit) && !allowed.includes(bit))),
  ];
  const wanted = [
    ...required.map(text),
    ...forbidden.map((bit) => `not ${text(bit)}`),
    ...(allowed === undefined ? [] : [`otherwise nothing but ${allowed.map(text).join(", ") || "zeros"}`]),
  ];
  return {
    wrong: [...new Set(wrong)].map(text).join(", "),
    wanted: wanted.join(", ") || "anything",
    seen: bitsText(value, unnamed, names),
  };
}
