/**
 * Drops Deno's permissions.
 *
 * The binary is compiled with all permissions, because Deno requires all of them to open a TPM, `/proc` and `/sys`. A
 * command that needs those opens them first (`CliCommand.open`). Every command then drops the permissions that it does
 * not keep (`CliCommand.keeps`), before it reads any untrusted byte. The hardening of the systemd units restricts the
 * rest.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** The kinds of permissions. `run` allows starting programs, `sys` reading the machine's name and addresses. */
export const PERMISSIONS = ["env", "ffi", "import", "net", "read", "run", "sys", "write"] as const;
/** A kind of permission. */
export type Permission = typeof PERMISSIONS[number];
/**
 * The permissions that a command may keep: all but those for native and for remote code. Commands that use gRPC or YAML
 * need `env`, because both libraries read environment variables when they are loaded.
 */
export type KeptPermission = Exclude<Permission, "ffi" | "import">;

/**
 * Permanently drops every permission but those in `kept`. Files and devices that are already open stay open.
 *
 * @throws {BootstrapError} `internal/permissions` if a permission stays granted.
 */
export async function dropPermissions(
  kept: readonly KeptPermission[],
  permissions: Pick<Deno.Permissions, "revoke">,
): Promise<void> {
  const names: readonly Permission[] = kept;
  for (const name of PERMISSIONS.filter((permission) => !names.includes(permission))) {
    const { state } = await permissions.revoke({ name });
    if (state === "granted") {
      throw new BootstrapError("internal/permissions", `Cannot give up the permission "${name}"`);
    }
  }
}
