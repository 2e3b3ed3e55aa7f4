import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { DENO_RUN } from "../deno_run.ts";
import { orRefuse, readArguments, wholeNumber, WrongArguments } from "./arguments.ts";
import { purposeOf } from "./prepare.ts";

const config = { options: { jobs: { type: "string" }, list: { type: "boolean" } } } as const;

Deno.test("readArguments() returns the values of options", () => {
  const { values } = readArguments(["--jobs", "3", "--list"], config);
  assert.deepEqual({ ...values }, { jobs: "3", list: true });
});

Deno.test("readArguments() names the argument that it refuses", () => {
  const refused = [["--job=3", /'--job'/], ["--list=x", /--list/], ["--jobs", /--jobs/], ["many", /'many'/]] as const;
  for (const [argument, message] of refused) {
    assert.throws(() => readArguments([argument], config), (error) => {
      return error instanceof WrongArguments && message.test(error.message);
    });
  }
});

Deno.test("wholeNumber() reads digits only, and names the option", () => {
  assert.deepEqual([wholeNumber("jobs", "0", 7), wholeNumber("jobs", "12", 7), wholeNumber("jobs", undefined, 7)], [
    ...[0, 12, 7],
  ]);
  for (const text of ["", " ", "-1", "1.5", "1e3", "0x10", "x", "9".repeat(17)]) {
    const message = `Cannot read --jobs: it must be a whole number, as "30"; current value is "${text}"`;
    assert.throws(() => wholeNumber("jobs", text, 7), new WrongArguments(message));
  }
});

Deno.test("orRefuse() returns the result, and passes on any other error", () => {
  assert.equal(orRefuse(() => 7), 7);
  const defect = new Error("a defect");
  const fail = () => {
    throw defect;
  };
  assert.throws(() => orRefuse(fail), defect);
});

Deno.test("purposeOf() reads the purpose, by default all", () => {
  assert.deepEqual([purposeOf([]), purposeOf(["--for", "vm"])], ["all", "vm"]);
  const message = 'Cannot read --for: it must be one of integration, vm, all; current value is "vms"';
  assert.throws(() => purposeOf(["--for", "vms"]), new WrongArguments(message));
});

const programs: readonly (readonly [program: string, args: readonly string[], says: RegExp])[] = [
  ["../bench/bench.ts", ["--only=start"], /^Unknown option '--only'/],
  ["../bench/bench.ts", ["stort"], /^There is no part "stort"; there are start, /],
  ["../bench/bench.ts", ["--load", "some"], /^Cannot read --load: .* current value is "some"$/],
  ["../fuzz/fuzz.ts", ["--second", "3"], /^Unknown option '--second'/],
  ["../fuzz/fuzz.ts", ["--seconds", "3s"], /^Cannot read --seconds: .* current value is "3s"$/],
  ["../fuzz/fuzz.ts", ["--target", "nothing"], /^Cannot read --target: there is no "nothing"; there are /],
  ["./prepare.ts", ["--to", "vm"], /^Unknown option '--to'/],
  ["./prepare.ts", ["--for", "vms"], /^Cannot read --for: .* current value is "vms"$/],
];
for (const [program, args, says] of programs) {
  Deno.test(`${program} ${args.join(" ")} reports wrong arguments in one line, and exits with 2`, async () => {
    const [deno, ...run] = DENO_RUN;
    const path = fileURLToPath(import.meta.resolve(program));
    const command = new Deno.Command(deno, { args: [...run, path, ...args], env: { NO_COLOR: "1" } });
    const { code, stdout, stderr } = await command.output();
    const [text, more] = [new TextDecoder().decode(stderr).trimEnd(), new TextDecoder().decode(stdout)];
    assert.match(text, says);
    assert.deepEqual([code, text.split("\n").length, more], [2, 1, ""]);
  });
}
