/**
 * Finds swap: what is on now, and what would turn it on at the next boot.
 *
 * @module
 */
import type { SetupAction, SetupFinding } from "./machine_setup_finding.ts";
import { swapsOf } from "./swaps.ts";

/** What the machine says of its swap. */
export interface SwapFacts {
  /** `/proc/swaps`. */
  readonly swaps: string;
  /** `/etc/fstab`. */
  readonly fstab: string;
  /** The output of `systemctl list-unit-files --type=swap --no-legend`, then of `list-units --type=swap --all`. */
  readonly units: string;
  /** Whether `zramswap.service`, of Debian's package zram-tools, is there. */
  readonly hasZramswap: boolean;
}

const SWAP_LINE = /^(?!\s*#)\s*\S+\s+\S+\s+swap\s/;
const MARK = "# bootstrapper machine setup: ";

/** Finds the swap of a machine. */
export function swapFindings({ swaps, fstab, units, hasZramswap }: SwapFacts): readonly SetupFinding[] {
  const on = swapsOf(swaps);
  const lines = fstab.split("\n");
  const written = lines.filter((line) => SWAP_LINE.test(line));
  if (on.length === 0 && written.length === 0) return [];
  const names = new Set(Array.from(units.matchAll(/^\W*(\S+\.swap)\s+(?!masked)/gm), ([, name = ""]) => name));
  const systemctl = (verb: string, undo: string, unit: string): SetupAction => ({
    kind: "run",
    argv: ["systemctl", ...verb.split(" "), unit],
    undo: ["systemctl", ...undo.split(" "), unit],
  });
  const actions: readonly SetupAction[] = [
    ...(hasZramswap ? [systemctl("disable --now", "enable --now", "zramswap.service")] : []),
    ...on.filter((name) => !hasZramswap || !name.startsWith("/dev/zram"))
      .map((name): SetupAction => ({ kind: "run", argv: ["swapoff", name], undo: ["swapon", name] })),
    // A generator makes units for partitions and zram devices that no file names.
    ...[...names].map((name) => systemctl("mask", "unmask", name)),
    ...(written.length === 0 ? [] : [{
      ...{ kind: "file", path: "/etc/fstab" } as const,
      text: lines.map((line) => SWAP_LINE.test(line) ? `${MARK}${line}` : line).join("\n"),
    }]),
  ];
  const what = on.length === 0 ? "Swap will be on at the next boot (/etc/fstab)" : `Swap is on (${on.join(", ")})`;
  return [{ check: "swap", what, why: "the kubelet does not start with it", actions }];
}
