import assert from "node:assert/strict";
import { Hellos } from "./hellos.ts";

const bytes = (value: number) => new Uint8Array(32).fill(value);

Deno.test("Hellos accepts each hello of an operator once", async () => {
  const hellos = new Hellos();
  assert.ok(await hellos.accept(bytes(1), bytes(2)));
  assert.equal(await hellos.accept(bytes(1), bytes(2)), false);
  assert.ok(await hellos.accept(bytes(1), bytes(3)));
  assert.ok(await hellos.accept(bytes(2), bytes(2)));
});

Deno.test("Hellos refuses what it could not remember", async () => {
  const hellos = new Hellos(1);
  assert.ok(await hellos.accept(bytes(1), bytes(2)));
  await assert.rejects(hellos.accept(bytes(1), bytes(3)), { code: "unavailable/busy" });
  assert.equal(await hellos.accept(bytes(1), bytes(2)), false);
});
