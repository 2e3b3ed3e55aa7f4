/**
 * Makes new inputs from old ones.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import type { Mutation } from "./_byte_mutations.ts";
import { BYTE_MUTATIONS } from "./_byte_mutations.ts";
import type { Random } from "./_random.ts";
import type { InputForm } from "./target.ts";
import { jsonMutation, textMutation } from "./_text_mutations.ts";
import { derMutation, protobufMutation } from "./_tree.ts";

const OF_FORM: Readonly<Record<InputForm, Mutation | undefined>> = {
  bytes: undefined,
  der: derMutation,
  protobuf: protobufMutation,
  text: textMutation,
  json: jsonMutation,
};
const MOST_STEPS = 6;

/** Mutates an input in one to six steps. Two out of three steps use the input's form. */
export function mutate(input: Bytes, form: InputForm, random: Random, other: Bytes, maximumBytes: number): Bytes {
  let out = input;
  for (let steps = 1 + random.below(1 + random.below(MOST_STEPS)); steps > 0; steps--) {
    const known = OF_FORM[form];
    const mutation = known === undefined || random.oneIn(3) ? random.pick(BYTE_MUTATIONS) : known;
    out = mutation(out, random, other);
    if (out.length > maximumBytes) out = out.slice(0, maximumBytes);
  }
  return out;
}
