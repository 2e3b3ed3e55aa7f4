/**
 * Turns fresh VMs into one Kubernetes cluster, and shows it live:
 *
 *     deno task demo [--founding [--founders N]] [--once | --down]
 *
 * @module
 */
import { join } from "node:path";
import { errorText } from "../../cli/output.ts";
import { asBootstrapError, BootstrapError, exitCodeOf } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import { type BootstrapImage, bootstrapImage } from "../e2e/bootstrap_image.ts";
import { lastLogs } from "../e2e/last_logs.ts";
import { buildMissing } from "../tools/build_missing.ts";
import { buildPackages, vmPackages } from "../tools/package_sets.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import type { Store } from "../tools/store.ts";
import { bringUp } from "./bring_up.ts";
import { bringUpFounders } from "./bring_up_founders.ts";
import { demoHelp, demoOptions } from "./demo_options.ts";
import {
  findDemoTestbed,
  initLog,
  kubectlInNetwork,
  operatorName,
  refuseSecondDemo,
  stopCommand,
} from "./demo_testbed.ts";
import { report } from "./report.ts";
import { Screen } from "./screen.ts";
import { Steps } from "./steps.ts";
import { StopSignal } from "./stop_signal.ts";

const reportDeadlineMs = 3 * 60_000;
const tickMs = 500;
const columnsWithoutTerminal = 120;

/** Does what the arguments ask for, and returns the exit code. */
async function demo(args: readonly string[]): Promise<number> {
  try {
    const { action, once, founders } = demoOptions(args);
    if (action === "help") write(Deno.stdout, demoHelp);
    else if (Deno.uid() !== 0) throw notRoot();
    else if (action === "down") await down();
    else await up(once, founders);
    return 0;
  } catch (cause) {
    const error = asBootstrapError(cause, DEMO_CODES.failed);
    write(Deno.stderr, errorText(error));
    return error.code === DEMO_CODES.timedOut ? 1 : exitCodeOf(error);
  }
}

async function down(): Promise<void> {
  const testbed = await findDemoTestbed();
  await testbed?.down();
  write(Deno.stdout, testbed ? `The demo is down. Its logs: ${testbed.folder}\n` : "No demo is up.\n");
}

async function up(once: boolean, founders: number | undefined): Promise<void> {
  await refuseSecondDemo();
  const stop = new AbortController();
  using _signal = new StopSignal(() => stop.abort(stopped()));
  const image = await build(stop.signal);
  const screen = new Screen({ ...output, nowMs: Date.now });
  const steps = new Steps(screen, stop.signal);
  const timer = setInterval(() => tick(screen, stop), tickMs);
  const startMs = performance.now();
  try {
    const parts = { image, keepRunning: !once, steps, screen, stop: (why: unknown) => stop.abort(why) };
    const testbed = await (founders === undefined ? bringUp(parts) : bringUpFounders(parts, founders));
    const deadline = { deadlineMs: reportDeadlineMs };
    const text = await steps.run(
      "collect the timelines",
      deadline,
      () => report(testbed, terminalColumns() ?? columnsWithoutTerminal),
    );
    screen.leave();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
    write(Deno.stdout, `${text}\n${becameOne(founders)} in ${seconds} s.\n`);
    if (once) await down();
    else write(Deno.stdout, `Reach it:  ${kubectlInNetwork(testbed)} get nodes\nStop it:   ${stopCommand}\n`);
  } catch (error) {
    clearInterval(timer);
    if (asBootstrapError(error).code !== DEMO_CODES.isUp) await giveUp(screen, error);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

function becameOne(founders: number | undefined): string {
  if (founders === undefined) return "Two fresh machines became one cluster";
  if (founders === 1) return "One fresh machine founded a cluster, with nobody at the keyboard,";
  return `${founders} fresh machines became one cluster, with nobody at the keyboard,`;
}

/** Builds everything that the demo needs, and shows what it builds. */
async function build(signal: AbortSignal): Promise<BootstrapImage> {
  const make = async (store: Store) => {
    const [image] = await Promise.all([
      bootstrapImage(store),
      store.packages([...new Set([...buildPackages, ...vmPackages])]),
    ]);
    return image;
  };
  const image = await buildMissing(make, { ...output, signal });
  await prepareBinaries();
  return image;
}

/** Shows what is known about the failure, and takes down everything that is up, even if the terminal is gone. */
async function giveUp(screen: Screen, error: unknown): Promise<void> {
  const testbed = await findDemoTestbed();
  try {
    screen.leave();
    if (testbed === undefined) return;
    const logs = { "the operator's init": join(testbed.folder, operatorName, initLog) };
    if (asBootstrapError(error).code !== DEMO_CODES.stopped) write(Deno.stderr, await lastLogs(testbed, logs));
    write(Deno.stderr, "Taking everything down\n");
  } finally {
    await testbed?.down();
  }
}

/** A closed output must not leave machines behind. */
function tick(screen: Screen, stop: AbortController): void {
  try {
    screen.tick();
  } catch (error) {
    stop.abort(error);
  }
}

function terminalColumns(): number | undefined {
  return Deno.stdout.isTerminal() ? Deno.consoleSize().columns : undefined;
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}

function stopped(): BootstrapError {
  return new BootstrapError(DEMO_CODES.stopped, "The demo was stopped");
}

function notRoot(): BootstrapError {
  return new BootstrapError("precondition/root", "The demo makes a network namespace and starts VMs: it needs root", {
    next: "Run it as root",
  });
}

const output = { write: (text: string) => write(Deno.stdout, text), columns: terminalColumns };

if (import.meta.main) Deno.exit(await demo(Deno.args));
