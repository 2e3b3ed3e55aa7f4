import assert from "node:assert/strict";
import { COMMANDS } from "./commands.ts";
import { dropPermissions, type KeptPermission, PERMISSIONS } from "./permissions.ts";

function recorder(state: "denied" | "granted") {
  const revoked: string[] = [];
  const revoke = ({ name }: { readonly name: string }) => {
    revoked.push(name);
    return Promise.resolve(Object.assign(new EventTarget(), { state, onchange: null, partial: false }));
  };
  return { revoked, revoke };
}

Deno.test("dropPermissions() drops exactly the permissions that are not kept", async () => {
  const all: readonly KeptPermission[] = ["env", "net", "read", "run", "sys", "write"];
  const cases = [[], ...COMMANDS.map(({ keeps }) => keeps === "all" ? all : keeps)];
  for (const kept of cases) {
    const { revoked, revoke } = recorder("denied");
    await dropPermissions(kept, { revoke });
    assert.deepEqual(revoked, PERMISSIONS.filter((name) => !kept.some((one) => one === name)));
    assert.ok(revoked.includes("ffi") && revoked.includes("import"));
  }
});

Deno.test("dropPermissions() fails when a permission stays granted", async () => {
  await assert.rejects(dropPermissions([], recorder("granted")), { code: "internal/permissions" });
});
