import assert from "node:assert/strict";
import { deriveToken, tokenKeyText } from "../../protocol/founding_token.ts";
import { TestWorld } from "../testing/command_line.ts";

Deno.test("token new prints a token and its token key on standard output, and how to store them on standard error", async () => {
  await using world = await TestWorld.create();
  assert.equal(await world.run("token", "new", "--founding", "--cluster-name", "demo"), 0, world.err);
  const [, token = "", tokenKey = ""] = /^token +(bft1-\w{38})\ntoken key +(\S{60})\n$/.exec(world.out) ?? [];
  assert.equal(tokenKeyText((await deriveToken(token, "demo")).spki), tokenKey);
  assert.ok(!world.err.includes(token.slice(5)), "the token is on standard error");
  assert.match(
    world.err,
    /credential bootstrapper\.token.*\n.*\n.*trust\.founding\.tokenKey of all nodes of the cluster demo/,
  );
  assert.deepEqual(world.kept, []);
});

Deno.test("token new prints JSON, and another token each time", async () => {
  await using world = await TestWorld.create();
  const args = ["token", "new", "--founding", "--cluster-name", "demo", "--output", "json"];
  const make = async () => {
    assert.equal(await world.run(...args), 0, world.err);
    assert.equal(world.err, "");
    return JSON.parse(world.out);
  };
  const [one, other] = [await make(), await make()];
  assert.deepEqual(Object.keys(one), ["clusterName", "token", "tokenKey"]);
  assert.equal(tokenKeyText((await deriveToken(one.token, one.clusterName)).spki), one.tokenKey);
  assert.notEqual(one.token, other.token);
});

Deno.test("token new makes nothing without a cluster's name, or without --founding", async () => {
  await using world = await TestWorld.create();
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["--founding"], "usage/missing-mandatory-option-value"],
    [["--cluster-name", "demo"], "usage/missing-mandatory-option-value"],
    [["--founding", "--cluster-name", "Demo"], "usage/cluster-name"],
  ];
  for (const [args, code] of cases) {
    assert.equal(await world.run("token", "new", ...args, "--output", "json"), 2);
    assert.equal(JSON.parse(world.out).error.code, code);
    assert.ok(!`${world.out}${world.err}`.includes("bft1-"));
  }
});
