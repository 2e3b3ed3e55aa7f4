/**
 * Which of Deno's permissions each subcommand keeps.
 *
 * The binary is compiled with all of them, because Deno opens a TPM, `/proc` and `/sys` for nothing less than all. So a
 * subcommand that needs those opens them first (`openMachine()`), and every subcommand gives up what its row does not name
 * before it reads a byte that somebody else wrote. What is left is narrowed further by the hardening of the units.
 *
 * @module
 */
import { BootstrapError } from "../platform/errors.ts";

/** The kinds of permissions. `run` is to start programs, `sys` to ask for names and addresses of the machine. */
export const PERMISSIONS = ["env", "ffi", "import", "net", "read", "run", "sys", "write"] as const;
/** A kind of permission. */
export type Permission = typeof PERMISSIONS[number];

/** The subcommands. */
export const SUBCOMMANDS = [
  "run",
  "measure",
  "init",
  "abandon",
  "join-service",
  "reset",
  "node",
  "policy",
  "verify",
  "keygen",
  "status",
  "evidence",
  "version",
] as const;
/** A subcommand. */
export type Subcommand = typeof SUBCOMMANDS[number];

/**
 * What each subcommand keeps. `env` stands where gRPC or YAML is: both libraries look at variables when they are
 * loaded. `ffi` and `import` stand nowhere.
 */
export const KEPT_PERMISSIONS: Readonly<Record<Subcommand, readonly Permission[]>> = Object.freeze({
  "run": ["env", "net", "read", "run", "sys", "write"],
  "measure": ["env", "read", "write"],
  "init": ["env", "net", "read", "write"],
  "abandon": ["read", "write"],
  "join-service": ["env", "net", "read"],
  "reset": ["env", "net", "read", "run", "write"],
  "node": ["env", "net", "read"],
  "policy": ["env", "read"],
  "verify": ["env", "read"],
  "keygen": ["read", "write"],
  "status": ["read"],
  "evidence": ["env", "read", "write"],
  "version": [],
});

/** What `policy` and `verify` keep besides where they are given a node to speak to, or a cache to ask. */
export const ONLINE_PERMISSIONS: readonly Permission[] = Object.freeze(["net"] as const);

/**
 * Gives up every permission that a subcommand does not need, for good. What is already open stays open.
 *
 * @param also What it needs besides, this time.
 * @throws {BootstrapError} `internal/permissions` if one stays granted.
 */
export async function dropPermissions(
  subcommand: Subcommand,
  permissions: Pick<Deno.Permissions, "revoke">,
  also: readonly Permission[] = [],
): Promise<void> {
  const kept = [...KEPT_PERMISSIONS[subcommand], ...also];
  for (const name of PERMISSIONS.filter((permission) => !kept.includes(permission))) {
    const { state } = await permissions.revoke({ name });
    if (state === "granted") {
      throw new BootstrapError("internal/permissions", `Cannot give up the permission "${name}"`);
    }
  }
}
