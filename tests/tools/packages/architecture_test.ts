import assert from "node:assert/strict";
import { WrongArguments } from "../arguments.ts";
import { packageArchitecture } from "./architecture.ts";

Deno.test("packageArchitecture() is this machine's, named or not", () => {
  assert.equal(packageArchitecture(undefined, "x86_64").debian, "amd64");
  assert.equal(packageArchitecture("amd64", "x86_64").machine, "x86_64");
  assert.equal(packageArchitecture(undefined, "aarch64").debian, "arm64");
});

Deno.test("packageArchitecture() says why it makes no packages for another machine", () => {
  const refused = (wanted: string) => {
    try {
      return packageArchitecture(wanted, "x86_64").debian;
    } catch (error) {
      assert.ok(error instanceof WrongArguments);
      return error.message;
    }
  };
  assert.match(
    refused("arm64"),
    /^Cannot make packages for arm64 on amd64: the code cache .* Run this task on a machine/,
  );
  assert.match(refused("x86"), /^Cannot read --architecture: it must be amd64 or arm64; current value is "x86"$/);
});
