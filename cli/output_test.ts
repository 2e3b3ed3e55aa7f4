import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError, ERROR_FAMILIES } from "../platform/errors.ts";
import { foreignCode } from "../platform/testing/foreign_code.ts";
import { errorText, nextOf } from "./output.ts";

Deno.test("errorText() shows the message, the facts, the causes and the next action", () => {
  const error = new BootstrapError("refused/pcr-4", "PCR 4 does not have an allowed value", {
    next: "Add the value to the policy, if you trust it",
    details: { check: "pcr", expected: "00", seen: "11", note: "" },
    cause: new Error("below", { cause: new Error("further below") }),
  });
  assert.equal(
    errorText(error),
    [
      "Error: PCR 4 does not have an allowed value.",
      "  check        pcr",
      "  expected     00",
      "  seen         11",
      "  because      below",
      "  because      further below",
      "  code         refused/pcr-4",
      "Next: Add the value to the policy, if you trust it.",
      "",
    ].join("\n"),
  );
});

Deno.test("errorText() shows every failed check once", () => {
  const first = { check: "pcr-4", expected: "00", seen: "11", message: "PCR 4 differs" };
  const second = { ...first, check: "pcr-11", message: "PCR 11 differs" };
  const { message: _, ...details } = first;
  const error = new BootstrapError("refused/pcr-4", "PCR 4 differs", {
    next: "Look",
    details: { ...details, document: "x" },
    checks: [first, second],
  });
  assert.equal(
    errorText(error),
    [
      "Error: PCR 4 differs.",
      "  document     x",
      "  check        pcr-4: PCR 4 differs",
      "    expected   00",
      "    seen       11",
      "  check        pcr-11: PCR 11 differs",
      "    expected   00",
      "    seen       11",
      "  code         refused/pcr-4",
      "Next: Look.",
      "",
    ].join("\n"),
  );
});

Deno.test("nextOf() has advice for every family of errors, even for codes of another version", () => {
  for (const family of Object.keys(ERROR_FAMILIES)) {
    assert.notEqual(nextOf(new BootstrapError(foreignCode(`${family}/x`), "x")), "");
  }
});

Deno.test("errorText() removes control characters from a peer's text", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(text, text, text, (message, key, value) => {
    const shown = errorText(
      new BootstrapError("refused/pcr-4", message, {
        details: { seen: value },
        checks: [{ check: key, expected: value, seen: message, message: value }],
        next: "n",
        cause: new Error(key),
      }),
    );
    assert.ok(!/[^\P{Cc}\n]/u.test(shown));
  }));
});

Deno.test("errorText() ends no sentence with two marks", () => {
  assert.match(
    errorText(new BootstrapError("usage/document", 'did you mean "worker"?')),
    /^Error: did you mean "worker"\?\n/,
  );
});
