import assert from "node:assert/strict";
import type { ExplainedCheck } from "../../attestation/explain/explain.ts";
import { explanationText } from "./_explanation.ts";

Deno.test("explanationText() keeps the columns of checks apart, however long their names are", () => {
  const check = (name: string, verdict: ExplainedCheck["verdict"]): ExplainedCheck => ({
    ...{ check: name, verdict, expected: "this", seen: "that", message: "It differs" },
  });
  const text = explanationText({
    ...{ verdict: "refused", refusal: null, claims: null, role: null, registers: [], remarks: [] },
    checks: [check("variant", "passed"), check("tdx-qe-identity-date", "refused"), check("x".repeat(40), "not judged")],
  });
  const lines = text.split("\n").filter((line) => /^ {2}\S/.test(line));
  assert.match(lines.join("\n"), /tdx-qe-identity-date +REFUSED/);
  const columns = lines.filter((line) => /ok|REFUSED|not judged/.test(line)).map((line) =>
    line.search(/ok|REFUSED|not judged/)
  );
  assert.equal(columns.length, 3);
  assert.equal(new Set(columns).size, 1, lines.join("\n"));
});
