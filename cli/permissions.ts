/**
 * Giving up Deno's permissions.
 *
 * The binary is compiled with all of them, because Deno opens a TPM, `/proc` and `/sys` for nothing less than all. So a
 * command that needs those opens them first (`CliCommand.open`), and every command gives up what it does not keep
 * (`CliCommand.keeps`) before it reads a byte that others wrote. The hardening of the units narrows the rest.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** The kinds of permissions. `run` is to start programs, `sys` to ask for names and addresses of the machine. */
export const PERMISSIONS = ["env", "ffi", "import", "net", "read", "run", "sys", "write"] as const;
/** A kind of permission. */
export type Permission = typeof PERMISSIONS[number];
/**
 * What a command may keep: neither native code nor remote code. `env` is needed where gRPC or YAML is: both libraries look
 * at variables when they are loaded.
 */
export type KeptPermission = Exclude<Permission, "ffi" | "import">;

/**
 * Gives up every permission but those in `kept`, for good. What is already open stays open.
 *
 * @throws {BootstrapError} `internal/permissions` if one stays granted.
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
