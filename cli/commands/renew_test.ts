import assert from "node:assert/strict";
import type { RenewOptions } from "../programs/renew.ts";
import { TestWorld } from "../testing/command_line.ts";
import { renew } from "./renew.ts";

Deno.test("renew renews now only if it is told to", async () => {
  const seen: RenewOptions[] = [];
  await using world = await TestWorld.create({
    commands: [{
      ...renew,
      open: () => Promise.resolve(),
      action: (options: RenewOptions) => Promise.resolve(void seen.push(options)),
    }],
  });
  assert.equal(await world.run("renew"), 0, world.err);
  assert.equal(await world.run("renew", "--now", "--config", "c", "--output", "json"), 0, world.err);
  assert.deepEqual(seen, [{ isNow: false, output: "text" }, { config: "c", isNow: true, output: "json" }]);
});
