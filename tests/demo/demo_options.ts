import { parseArgs } from "node:util";
import { BootstrapError } from "../../platform/errors.ts";
import { present } from "../../platform/present.ts";
import { DEMO_CODES } from "./demo_codes.ts";

/** The command that the demo was given. */
export interface DemoOptions {
  /** Bring the cluster up, take it down, or print the help. */
  readonly action: "up" | "down" | "help";
  /** Whether the cluster is taken down as soon as it has been shown. */
  readonly once: boolean;
  /** How many machines found the cluster among equals. Default: an operator initialises it. */
  readonly founders?: number;
}

/** The text that `--help` prints. */
export const demoHelp = `Usage: deno task demo [--founding [--founders N]] [--once | --down]

Boots two VMs from one image, each with its own TPM, in a network namespace. An operator initialises a Kubernetes
cluster on the first; the second joins by itself. Needs root, npm and Go on Debian 12.

With --founding there is no operator: machines with one image and one configuration find out by themselves which of
them founds the cluster, and the others join it. Three control planes on two cores are slow: take fewer, or patience.

The first run builds what is missing. It first prints what that is, and how long it takes on this machine.
Deadlines depend on the speed of the machine: on a slow or busy one, every step may take up to eight times as long.

  --founding    found the cluster among equals, with nobody at the keyboard
  --founders N  how many machines found it: 1, 2 or 3 (default)
  --once        take the cluster down as soon as it has been shown; otherwise it stays up
  --down        take down the cluster that an earlier demo left up
  --help        show this

Ctrl-C takes everything down. Logs stay for a day.
Exit codes: 0 done, 1 failed, 2 wrong arguments.
`;

/**
 * Reads the demo's arguments.
 *
 * @throws {BootstrapError} `usage/demo`.
 */
export function demoOptions(args: readonly string[]): DemoOptions {
  const { once = false, down = false, help = false, founding = false, founders } = parse(args);
  if (help) return { action: "help", once: false };
  if (once && down) throw usage("--once and --down exclude each other");
  if (down && founding) throw usage("--down takes down whatever is up: leave --founding out");
  if (founders !== undefined && !founding) throw usage("--founders needs --founding");
  return { action: down ? "down" : "up", once, ...present("founders", founding ? foundersOf(founders) : undefined) };
}

const mostFounders = 3;

function foundersOf(text = String(mostFounders)): number {
  const size = /^\d$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > mostFounders) {
    throw usage(`--founders must be 1 to ${mostFounders}; current value is "${text}"`);
  }
  return size;
}

interface Values {
  readonly once?: boolean;
  readonly down?: boolean;
  readonly help?: boolean;
  readonly founding?: boolean;
  readonly founders?: string;
}

function parse(args: readonly string[]): Values {
  const flag = { type: "boolean" } as const;
  try {
    const options = {
      ...{ once: flag, down: flag, help: { ...flag, short: "h" }, founding: flag },
      founders: { type: "string" },
    } as const;
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
