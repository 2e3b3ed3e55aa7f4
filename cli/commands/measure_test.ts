import assert from "node:assert/strict";
import { TestWorld } from "../testing/command_line.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJQerGpWlI80JcEic8Yna9LIKtBoKILqft3+7VpvjUyh alice@example.pub";

Deno.test("measure takes a configuration that a member may have from earlier, and run refuses it of a fresh node", async () => {
  for (const text of ["node: {name: localhost}", 'node: {address: "::ffff:10.0.0.1"}']) {
    await using world = await TestWorld.create();
    await world.write(
      "etc/bootstrapper/config.yaml",
      `version: 1\ntrust: {clusterName: demo, operatorKeys: ["${KEY}"]}\n${text}\n` +
        `evidence: {variant: none, allowInsecure: true}\njoin: {endpoints: ["169.254.20.1:9444"]}\n`,
    );
    assert.equal(await world.run("measure"), 0, world.err);
    assert.equal(await world.run("run"), 2, world.err);
    assert.match(world.err, /node\..*: .*join\.endpoints\[0\]: .*link-local/);
  }
});
