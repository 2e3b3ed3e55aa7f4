/**
 * Tests that take too long to run on every change: the parts of `deno task test:full`, by group. CI runs one part of each group.
 *
 * @module
 */
import { SEARCHES } from "../protocol/searches.ts";
import { VARIANTS } from "../protocol/variants.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { type Slice, takeSlice } from "./slice.ts";

/** A part is a single command. */
export interface Part {
  /** A unique name; the text before the slash is the part's group. */
  readonly name: string;
  /** How long the part takes on two quiet cores with everything built, in minutes, as measured. */
  readonly minutes: number;
  /** Arguments of Deno, which runs in the repository's root. */
  readonly args: readonly string[];
  /**
   * The part fails on fewer cores; there it is skipped, with a message, unless it is asked for by name. Default: no
   * minimum.
   */
  readonly cores?: number;
}

const testArguments = ["test", "--allow-all"] as const;
const runArguments = ["run", "--allow-all"] as const;

/** The number of parts into which the lists of these groups are cut. */
const SLICES = { crash: 2, flips: 2, protocol: 4, fuzz: 2 } as const;
/** How long one part of fuzzing feeds its targets, in seconds. */
const FUZZ_SECONDS = 150;
/** All parts are made for two cores. */
const JOBS = 2;

function slicesOf(of: number): Slice[] {
  return Array.from({ length: of }, (_, index) => ({ number: index + 1, of }));
}

function vm(name: string, minutes: number, ...files: readonly string[]): Part {
  return {
    name: `vm/${name}`,
    minutes,
    args: [...testArguments, ...files.map((file) => `tests/e2e/${file}`)],
  };
}

function integration(name: string, minutes: number, ...files: readonly string[]): Part {
  return {
    name: `integration/${name}`,
    minutes,
    args: [...testArguments, ...files.map((file) => `tests/integration/${file}`)],
  };
}

function founding(name: string, minutes: number, ...files: readonly string[]): Part {
  return {
    name: `founding/${name}`,
    minutes,
    args: [...testArguments, ...files.map((file) => `tests/integration/founding/${file}`)],
  };
}

function sliced(group: "crash" | "flips", minutes: number, ...files: readonly string[]): Part[] {
  return slicesOf(SLICES[group]).map(({ number, of }): Part => ({
    name: `${group}/${number}-of-${of}`,
    minutes,
    args: [...testArguments, ...files, "--", "--slice", `${number}/${of}`],
  }));
}

/** The clusters of VMs that `deno task test:vm` does not make. */
const vmParts: readonly Part[] = [
  vm("machine-and-uki", 13, "image_test.ts", "machine_test.ts", "uki_test.ts"),
  vm("power-loss", 25, "power_loss_test.ts"),
  vm("hostile-host", 5, "hostile_host_test.ts"),
  vm("refused", 11, "refused_test.ts"),
  vm("renewal", 22, "renewal_test.ts"),
  vm("founding-alone", 10, "founding_alone_test.ts"),
  // On two cores, under emulation, three API servers and their etcd starve each other: liveness probes and requests
  // time out.
  { ...vm("control-planes", 25, "control_planes_test.ts"), cores: 4 },
  { ...vm("founding", 25, "founding_test.ts"), cores: 4 },
  { ...vm("founding-kill", 25, "founding_kill_test.ts"), cores: 4 },
];

/** Integration tests of minutes. */
const integrationParts: readonly Part[] = [
  integration("disk-failure", 7, "crash/disk_failure_test.ts"),
  integration("upgraded-cluster", 6, "node/upgraded_cluster_test.ts"),
  integration("packages", 3, "packages/machine_setup_test.ts", "packages/packages_test.ts"),
  integration(
    "control-planes",
    7,
    "kubernetes/kubernetes_control_plane_test.ts",
    "kubernetes/kubernetes_upgrade_test.ts",
  ),
  integration(
    "worlds",
    9,
    "node/worlds_fresh_test.ts",
    "node/worlds_locked_test.ts",
    "node/worlds_test.ts",
  ),
];

/** Founding among equals with the real program, besides what `deno task test:integration` has of it. */
const foundingParts: readonly Part[] = [
  founding("crash-points", 2, "run_crash_points_test.ts"),
  founding("take-over", 5, "run_takeover_test.ts"),
  founding("orders", 9, "run_orders_test.ts"),
  founding("evidence-alone", 3, "run_evidence_alone_test.ts"),
];
/** How many random schedules of a founding there are. */
const SCHEDULES = 500;

function schedules(seed: number): Part {
  const options = ["--count", `${SCHEDULES}`, "--jobs", `${JOBS + 1}`, "--seed", `${seed}`];
  return {
    name: "founding/schedules",
    minutes: 30,
    args: [...runArguments, "tests/integration/founding/schedules.ts", ...options],
  };
}

/** Changes of every byte or bit. The unit tests run these files too, with every sixteenth change. */
const flipFiles = [
  "attestation/eventlog/event_log_flips_test.ts",
  "attestation/kinds/snp/report_flips_test.ts",
  "attestation/kinds/tdx/collateral_flips_test.ts",
  "attestation/kinds/tdx/comparison_test.ts",
  "attestation/kinds/tdx/quote_flips_test.ts",
  "certificate/chain_test.ts",
  "protocol/control_plane_kit_flips_test.ts",
];

const protocolParts: readonly Part[] = slicesOf(SLICES.protocol).map((slice): Part => ({
  name: `protocol/${slice.number}-of-${slice.of}`,
  minutes: 5,
  args: [
    ...runArguments,
    "tests/protocol/matrix.ts",
    ...["--jobs", `${JOBS}`],
    ...takeSlice([...VARIANTS, ...SEARCHES], slice).map(({ name }) => name),
  ],
}));

function fuzzParts(seed: number): Part[] {
  return slicesOf(SLICES.fuzz).map((slice): Part => ({
    name: `fuzz/${slice.number}-of-${slice.of}`,
    minutes: 3,
    args: [
      ...runArguments,
      "tests/fuzz/fuzz.ts",
      ...["--seconds", `${FUZZ_SECONDS}`, "--jobs", `${JOBS}`, "--seed", `${seed}`],
      ...takeSlice(TARGETS, slice).flatMap(({ name }) => ["--target", name]),
    ],
  }));
}

/**
 * All parts, in the order of their groups.
 *
 * @param seed the seed of the fuzzed inputs, a 32-bit number
 */
export function parts(seed: number): readonly Part[] {
  return [
    ...vmParts,
    ...integrationParts,
    ...foundingParts,
    ...sliced("crash", 5, "tests/integration/crash/crash_matrix_test.ts"),
    ...sliced("flips", 2, ...flipFiles),
    ...protocolParts,
    schedules(seed),
    ...fuzzParts(seed),
  ];
}

/** Whether a machine with `available` cores can run a part. */
export function fits({ cores = 1 }: Pick<Part, "cores">, available: number): boolean {
  return cores <= available;
}

export function groupOf({ name }: Pick<Part, "name">): string {
  return name.slice(0, name.indexOf("/"));
}
