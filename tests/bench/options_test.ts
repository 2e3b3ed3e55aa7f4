import assert from "node:assert/strict";
import { WrongArguments } from "../tools/arguments.ts";
import { benchOptionsOf } from "./options.ts";

const KNOWN = ["start", "init", "joins"];

Deno.test("benchOptionsOf() runs all parts by default, in their order, without load", () => {
  assert.deepEqual(benchOptionsOf([], KNOWN), { parts: KNOWN, load: 0, isHelp: false });
  const args = ["joins", "--rounds", "3", "start", "--load", "4"];
  assert.deepEqual(benchOptionsOf(args, KNOWN), { parts: ["start", "joins"], rounds: 3, load: 4, isHelp: false });
  assert.ok(benchOptionsOf(["--help"], KNOWN).isHelp);
});

Deno.test("benchOptionsOf() refuses what it does not know, and says what there is", () => {
  const refused = [
    [["stort"], /^There is no part "stort"; there are start, init, joins$/],
    [["--rounds", "0"], /^Cannot read --rounds: it must be at least 1/],
    [["--rounds", "some"], /^Cannot read --rounds: .* current value is "some"$/],
    [["--load", "-1"], /--load/],
    [["--only=start"], /^Unknown option '--only'/],
  ] as const;
  for (const [args, message] of refused) {
    assert.throws(() => benchOptionsOf(args, KNOWN), (error) => {
      return error instanceof WrongArguments && message.test(error.message);
    });
  }
});
