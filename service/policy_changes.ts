import * as v from "valibot";
import { keyPath, readDocument } from "../platform/document.ts";

const SHOWN_CHANGES = 20;

/**
 * Returns the differences between two documents, by the paths of their keys: `tpm.pcrs["4"]`. A list counts as one
 * value. At most twenty keys are named, and then the number of the others. Documents that differ only in form give
 * none.
 *
 * @param before YAML that can be read.
 * @param after YAML that can be read.
 */
export function policyChanges(before: string, after: string): string[] {
  const [old, now] = [before, after].map((text) => readDocument(text, v.unknown(), "the policy"));
  const paths = changedPaths(old, now, []);
  const more = paths.length - SHOWN_CHANGES;
  return more > 0 ? [...paths.slice(0, SHOWN_CHANGES), `and ${more} more`] : paths;
}

function changedPaths(before: unknown, after: unknown, path: readonly string[]): string[] {
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => changedPaths(before[key], after[key], [...path, key]));
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [keyPath(path)];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
