import { parseArgs } from "node:util";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";

/** The command that the demo was given. */
export interface DemoOptions {
  /** Bring the cluster up, take it down, or print the help. */
  readonly action: "up" | "down" | "help";
  /** Whether the cluster is taken down as soon as it has been shown. */
  readonly once: boolean;
}

/** The text that `--help` prints. */
export const demoHelp = `Usage: deno task demo [--once | --down]

Boots two VMs from one image, each with its own TPM, in a network namespace. An operator initialises a Kubernetes
cluster on the first; the second joins by itself. Needs root, npm and Go on Debian 12.

The first run builds what is missing. It first prints what that is, and how long it takes on this machine.
Deadlines depend on the speed of the machine: on a slow or busy one, every step may take up to eight times as long.

  --once  take the cluster down as soon as it has been shown; otherwise it stays up
  --down  take down the cluster that an earlier demo left up
  --help  show this

Ctrl-C takes everything down. Logs stay for a day.
Exit codes: 0 done, 1 failed, 2 wrong arguments.
`;

/**
 * Reads the demo's arguments.
 *
 * @throws {BootstrapError} `usage/demo`.
 */
export function demoOptions(args: readonly string[]): DemoOptions {
  const { once = false, down = false, help = false } = parse(args);
  if (help) return { action: "help", once: false };
  if (once && down) throw usage("--once and --down exclude each other");
  return { action: down ? "down" : "up", once };
}

function parse(args: readonly string[]): { once?: boolean; down?: boolean; help?: boolean } {
  const flag = { type: "boolean" } as const;
  try {
    const options = { once: flag, down: flag, help: { ...flag, short: "h" } } as const;
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause));
  }
}

function usage(reason: string): BootstrapError {
  return new BootstrapError(DEMO_CODES.usage, `Cannot read the arguments of the demo: ${reason}`, {
    next: "See --help",
  });
}
