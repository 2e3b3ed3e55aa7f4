/** An error's details are for people and logs: what control flow decides on is a typed field. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { repositoryRoot } from "../world.ts";
import { readImports } from "./imports.ts";

/** What may look into the details of an error, and what for. */
const READERS: Readonly<Record<string, string>> = {
  "attestation/checks.ts": "reports a failed check to people",
  "attestation/kinds/snp/_prefixed.ts": "passes them on under another code",
  "attestation/kinds/tdx/_prefixed.ts": "passes them on under another code",
  "attestation/policy/policy_section.ts": "passes them on with the name of the source",
  "channel/refusal.ts": "encodes and decodes them, and makes typed fields of what a peer sent",
  "cli/output.ts": "prints them",
  "cli/programs/status.ts": "prints them",
  "kubernetes/adoption_problems.ts": "passes them on as failed checks",
  "kubernetes/_etcd_error.ts": "passes them on, and lists the endpoints for people",
  "node/status.ts": "writes them into the status for people",
  "platform/errors.ts": "is the error",
  "platform/refusal_log.ts": "logs what was seen",
  "platform/log.ts": "logs them",
};

/** `error.details`, and details that are taken out of something that is an error. */
const READS: readonly RegExp[] = [
  /\b(?!options\b)\w+\??\.details\b/,
  /\{[^{}]*\bdetails\b[^{}]*\}(?:: (?:Bootstrap|Peer)Error| = \w*(?:[eE]rror|cause|failure|refusal)\b)/,
  /\{ ?details: \{[^{}"`:]*\}[^;{}]*\} = \w/,
  /\(\{[^{}()]*\bdetails\b[^{}()]*\}\) =>/,
];

function looksIn(text: string): boolean {
  return READS.some((read) => read.test(text));
}

Deno.test("nothing but what prints, logs, encodes or passes on looks into the details of an error", async () => {
  const isProgram = (file: string) => !/_test\.ts$|(?:^|\/)testing\/|^tests\/|^proto\//.test(file);
  const readers: string[] = [];
  for (const file of [...(await readImports()).keys()].filter(isProgram)) {
    if (looksIn(await Deno.readTextFile(join(repositoryRoot, file)))) readers.push(file);
  }
  assert.deepEqual(readers.toSorted(), Object.keys(READERS).toSorted());
});

Deno.test("a look into the details of an error is seen, however it is written", () => {
  for (
    const text of [
      'if (error.details["phase"] === "x")',
      "if (error.details.phase === phase)",
      "const { code, details } = error;",
      "const { details: { phase } } = cause;",
      "function isLost({ code, details }: BootstrapError) {",
      "errors.map(({ code, details }) => details)",
    ]
  ) assert.ok(looksIn(text), text);
  for (
    const text of [
      "new BootstrapError(code, message, { details: { path } })",
      'const details = { check: "x" };',
      "this.details = options.details ?? {};",
    ]
  ) assert.ok(!looksIn(text.replace("this.details", "x")), text);
});
