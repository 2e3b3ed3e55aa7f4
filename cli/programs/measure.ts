/**
 * `bootstrapper measure`: makes the measurements at the beginning of each boot.
 *
 * @module
 */
import type { MeasurementRegisters } from "../../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../attestation/evidence.ts";
import { clusterIdText } from "../../certificate/cluster_id.ts";
import { loadNodeConfiguration } from "../../node/configuration_source.ts";
import { LockFile } from "../../nodelock/file.ts";
import { checkNeverLocked, measureLock, measureTrust } from "../../nodelock/measure.ts";
import type { LockRecord } from "../../nodelock/record.ts";
import { takeRunLock } from "../../nodelock/run_lock.ts";
import { hex } from "../../platform/bytes.ts";
import { present } from "../../platform/present.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { Machine } from "../machine.ts";
import { evidenceOf } from "../machine_evidence.ts";
import { printResult } from "../output.ts";

/** The options of `measure`. */
export interface MeasureOptions {
  /** The file of the node's configuration. */
  readonly config?: string;
  readonly output: OutputForm;
}

/**
 * Measures D12 into PCR 12, and D15 into PCR 15 if there is a lock. It reads both registers back. It measures into every
 * register that the machine has, whatever evidence the configuration names.
 *
 * @throws {BootstrapError} `precondition/register`, `precondition/lock-missing`, `precondition/no-tpm`, `conflict/run`,
 *   `usage/…` for the configuration, `malformed/…`, `system/…`.
 */
export async function measure(options: MeasureOptions, context: CliContext, machine: Machine): Promise<void> {
  // What only a fresh node may not have is left to `run`: the kubelet of a member starts only after this command.
  const { configuration, source } = await loadNodeConfiguration({
    ...present("file", options.config),
    ...present("credentialsFolder", context.environment.credentialsFolder),
    firmware: machine.firmware,
    paths: context.paths,
    kinds: kindsOf(context),
  });
  using _runLock = await takeRunLock(context.paths.state);
  const { registers } = await evidenceOf(machine, configuration.evidence, context);
  if (registers !== undefined) await measureTrust(registers, configuration.trust);
  const lock = await new LockFile(context.paths.state).readDurably();
  if (registers !== undefined) {
    await (lock === undefined ? checkNeverLocked(registers) : measureLock(registers, lock.clusterId));
  }
  await print(options.output, context, source, registers, lock);
}

async function print(
  output: OutputForm,
  context: CliContext,
  source: string,
  registers: MeasurementRegisters | undefined,
  lock: LockRecord | undefined,
): Promise<void> {
  const values = registers === undefined ? {} : {
    [`pcr${TRUST_REGISTER}`]: hex(await registers.read(TRUST_REGISTER)),
    [`pcr${LOCK_REGISTER}`]: hex(await registers.read(LOCK_REGISTER)),
  };
  const result = {
    configuration: source,
    lock: lock === undefined ? null : clusterIdText(lock.clusterId),
    measured: registers !== undefined,
    ...values,
  };
  const text = Object.entries({ ...result, lock: result.lock ?? "none" })
    .map(([name, value]) => `${name.padEnd(14)}${value}\n`).join("");
  printResult(context, output, result, text);
}
