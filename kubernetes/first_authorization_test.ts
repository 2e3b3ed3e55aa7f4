import assert from "node:assert/strict";
import { join } from "node:path";
import { readCutState, writeAuthorizationConfiguration } from "./authorization_configuration.ts";
import { hasAuthorization, installAuthorization, installFirstAuthorization } from "./first_authorization.ts";

const UID = "0a0b0c0d-0000-4000-8000-000000000001";

Deno.test("installFirstAuthorization() accepts the first epoch and the next, and cuts nothing", async () => {
  const folder = await Deno.makeTempDir();
  assert.equal(await hasAuthorization(folder), false);
  await installFirstAuthorization(folder);
  assert.equal(await hasAuthorization(folder), true);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), { epochs: [1, 2], cut: [] });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("installFirstAuthorization() keeps a cut list that is there, and replaces a torn one", async () => {
  const folder = await Deno.makeTempDir();
  const state = { epochs: [2], cut: [UID] };
  await writeAuthorizationConfiguration(join(folder, "bootstrapper"), state);
  await installFirstAuthorization(folder);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), state);
  await Deno.truncate(join(folder, "bootstrapper/authorization.yaml"), 100);
  await installFirstAuthorization(folder);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), { epochs: [1, 2], cut: [] });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("installAuthorization() refuses what the cluster refuses, whatever was there before", async () => {
  const folder = await Deno.makeTempDir();
  await installFirstAuthorization(folder);
  const state = { epochs: [7, 8], cut: [UID] };
  await installAuthorization(folder, state);
  assert.deepEqual(await readCutState(join(folder, "bootstrapper")), state);
  await Deno.remove(folder, { recursive: true });
});
