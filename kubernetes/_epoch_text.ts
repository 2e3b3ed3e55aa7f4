import * as v from "valibot";
import { readEpoch } from "../certificate/subjects.ts";

/** An epoch in a ConfigMap, as decimal digits. */
export const epochText = v.pipe(
  v.string(),
  v.transform(readEpoch),
  v.check((epoch) => epoch !== undefined),
  v.transform((epoch = 0) => epoch),
);
