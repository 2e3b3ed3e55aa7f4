import assert from "node:assert/strict";
import { join } from "node:path";
import { readCutState, writeAuthorizationConfiguration } from "./authorization_configuration.ts";
import { hasAuthorization, installFirstAuthorization } from "./first_authorization.ts";

const UID = "0a0b0c0d-0000-4000-8000-000000000001";

Deno.test("installFirstAuthorization() accepts the epochs up to the one after the given, and cuts nothing", async () => {
  for (const [epoch, first, count] of [[1, 1, 2], [3, 1, 4], [40, 26, 16]] as const) {
    const folder = await Deno.makeTempDir();
    assert.equal(await hasAuthorization(folder), false);
    await installFirstAuthorization(folder, epoch);
    assert.equal(await hasAuthorization(folder), true);
    const state = await readCutState(join(folder, "bootstrapper"));
    assert.deepEqual(state, { epochs: Array.from({ length: count }, (_, index) => first + index), cut: [] });
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("installFirstAuthorization() keeps a cut list that is there, and replaces a torn one", async () => {
  const folder = await Deno.makeTempDir();
  const state = { epochs: [2], cut: [UID] };
  await writeAuthorizationConfiguration(join(folder, "bootstrapper"), state);
  await installFirstAuthorization(folder, 1);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), state);
  await Deno.truncate(join(folder, "bootstrapper/authorization.yaml"), 100);
  await installFirstAuthorization(folder, 1);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), { epochs: [1, 2], cut: [] });
  await Deno.remove(folder, { recursive: true });
});
