/**
 * `bootstrapper run` with a failure at a chosen point, for tests. Without a point it is the same program, except that
 * its TPM may be a software TPM behind a socket.
 *
 * The only argument is a {@linkcode HarmedRun} as JSON.
 *
 * @module
 */
import { connectTpmSocket } from "../../../attestation/kinds/tpm/testing/socket_transport.ts";
import type { CliCommand } from "../../../cli/command.ts";
import { run } from "../../../cli/commands/run.ts";
import type { CliContext } from "../../../cli/context.ts";
import type { Machine } from "../../../cli/machine.ts";
import { runProgram } from "../../../cli/program.ts";
import { runDependencies, type RunOptions } from "../../../cli/programs/run.ts";
import { createSystemContext } from "../../../cli/system_context.ts";
import { terminationSignal } from "../../../cli/termination.ts";
import { runNode } from "../../../node/run.ts";
import type { Clock } from "../../../platform/clock.ts";
import { exists } from "../../../platform/files.ts";
import type { Log, LogFields } from "../../../platform/log.ts";
import { closeProcessNetwork } from "../../../platform/process_network.ts";
import { GO_FILE, type Harm, type HarmedRun, harmIn, MEMBERSHIP, readHarmedRun } from "./crash_points.ts";

const HOUR_MS = 3_600_000;
const POLL_MS = 20;
/** Other processes start in real time, and are waited for. */
const SLOW_START_MS = 10_000;

/** Kills the process and everything that it started at once, as systemd does with a unit. */
function killGroup(): void {
  Deno.kill(-Deno.pid, "SIGKILL");
}

/** Causes the failure synchronously, so that nothing else happens meanwhile. */
function doHarm(harm: Harm): void {
  if (harm.kind === "kill") return killGroup();
  const { code, stderr } = new Deno.Command("sh", { args: ["-euc", harmIn(harm)] }).outputSync();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
}

/** Adds the point that no journal has: the node is recorded as a member. */
function harmfulLog(log: Log, point: HarmedRun["point"]): Log {
  const comesToHarm = (name: string, fields: LogFields | undefined) =>
    point?.step === MEMBERSHIP &&
    (point.moment === "before" ? name === "race" && fields?.["state"] === "member" : name === "member");
  return {
    event(level, name, fields) {
      log.event(level, name, fields);
      if (point !== undefined && comesToHarm(name, fields)) doHarm(point.harm);
    },
    with: (fields) => harmfulLog(log.with(fields), point),
  };
}

/** A clock that jumps whenever the file changes. Without the file it is not ahead. */
function harmedClock(clock: Clock, { aheadFile, rate }: NonNullable<HarmedRun["clock"]>): Clock {
  const aheadMs = () => {
    try {
      return Number(Deno.readTextFileSync(aheadFile)) * HOUR_MS;
    } catch {
      return 0;
    }
  };
  const startMs = clock.monotonicMs();
  const fastMs = () => Math.max(0, clock.monotonicMs() - startMs - SLOW_START_MS);
  return {
    ...clock,
    now: () => new Date(clock.now().getTime() + aheadMs()),
    monotonicMs: () => clock.monotonicMs() + fastMs() * (rate - 1),
    sleep: (ms, signal) => clock.sleep(fastMs() > 0 || ms >= HOUR_MS ? ms / rate : ms, signal),
  };
}

function contextOf({ tpm, point, clock }: HarmedRun): CliContext {
  const system = createSystemContext();
  const context = {
    ...system,
    log: harmfulLog(system.log, point),
    ...(clock === undefined ? {} : { clock: harmedClock(system.clock, clock) }),
  };
  if (tpm === undefined) return context;
  const openTpm = () => connectTpmSocket({ path: tpm });
  return { ...context, openTpm, paths: { ...system.paths, tpmDevice: tpm } };
}

/**
 * The status is written at the same time as the steps. If a status write ended on a full disk, it would free space
 * again.
 */
const SETTLING_MS = 250;

/** Causes the failure of a step. A disk fails only after all other writes have ended. */
async function comeToHarm(harm: Harm): Promise<void> {
  if (harm.kind !== "kill") await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
  doHarm(harm);
}

async function untilGoOn(): Promise<void> {
  while (!await exists(GO_FILE)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** The command `run` with a failure at the given point. */
function harmedRun({ point, heldBefore }: HarmedRun): CliCommand<RunOptions, Machine> {
  let isOver = false;
  return {
    ...run,
    async action(options, context, machine) {
      using termination = terminationSignal();
      await runNode({
        ...await runDependencies(options, context, machine),
        aroundStep: async (name, work) => {
          if (name === heldBefore) await untilGoOn();
          const isHere = point?.step === name && !isOver;
          if (isHere) isOver = true;
          if (isHere && point.moment === "before") await comeToHarm(point.harm);
          const result = await work();
          if (isHere && point.moment === "after") await comeToHarm(point.harm);
          return result;
        },
      }, termination.signal);
    },
  };
}

if (import.meta.main) {
  closeProcessNetwork(Deno.env);
  const harmed = readHarmedRun(Deno.args[0] ?? "");
  Deno.exit(await runProgram(["run", "--config", harmed.config], contextOf(harmed), [harmedRun(harmed)]));
}
