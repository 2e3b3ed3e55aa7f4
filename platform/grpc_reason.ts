/**
 * The texts of `@grpc/grpc-js` 1.14 for failed calls: a cause, wrapped in words about the library itself. Each form is
 * that of a line there (`load-balancer-pick-first`, `resolver-dns`, `subchannel-call`, `resolving-call`).
 */
const WRAPPED: readonly (readonly [form: RegExp, words: string])[] = [
  [/^No connection established\. Last error: null\. Resolution note: .*$/s, "no connection was established"],
  [/^No connection established\. Last error: (?:Error: )?(.*)\. Resolution note: .*$/s, "$1"],
  [/^Name resolution failed for target \w+:(.*)$/s, "the name in $1 cannot be resolved"],
  [/^Received RST_STREAM with code \d+ triggered by internal client error: (.*)$/s, "$1"],
  [/^(Deadline exceeded after [\d.]+s)\b.*$/s, "$1"],
];

/** Returns what a failed call's text says about its cause, without what it says about the library. */
export function grpcReason(details: string): string {
  const [form, words] = WRAPPED.find(([form]) => form.test(details)) ?? [/^$/, ""];
  return details.replace(form, words);
}
