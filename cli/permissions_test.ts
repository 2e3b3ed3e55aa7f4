import assert from "node:assert/strict";
import { dropPermissions, KEPT_PERMISSIONS, PERMISSIONS, SUBCOMMANDS } from "./permissions.ts";

function recorder(state: "denied" | "granted") {
  const revoked: string[] = [];
  const revoke = ({ name }: { readonly name: string }) => {
    revoked.push(name);
    return Promise.resolve(Object.assign(new EventTarget(), { state, onchange: null, partial: false }));
  };
  return { revoked, revoke };
}

Deno.test("dropPermissions() gives up exactly what a subcommand does not keep", async () => {
  for (const subcommand of SUBCOMMANDS) {
    const { revoked, revoke } = recorder("denied");
    await dropPermissions(subcommand, { revoke });
    const kept = PERMISSIONS.filter((permission) => !revoked.includes(permission));
    assert.deepEqual(kept, KEPT_PERMISSIONS[subcommand]);
  }
});

Deno.test("dropPermissions() leaves nobody ffi or import, and programs to run alone", () => {
  for (const subcommand of SUBCOMMANDS) {
    const kept = KEPT_PERMISSIONS[subcommand];
    assert.ok(!kept.includes("ffi") && !kept.includes("import"));
    assert.equal(kept.includes("run"), ["run", "reset"].includes(subcommand));
  }
});

Deno.test("dropPermissions() fails when a permission stays", async () => {
  await assert.rejects(dropPermissions("version", recorder("granted")), { code: "internal/permissions" });
});
