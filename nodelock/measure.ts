/**
 * Measuring: a digest in a register, exactly once, whatever happened before.
 *
 * @module
 */
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { extendedOnce, lockDigest, trustDigest } from "../protocol/transcript.ts";
import { equalBytes, hex, isZero } from "../platform/bytes.ts";
import type { ErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";

/**
 * Brings `register` to `ext(digest)`, by reading first: zero is extended, the expected value is left alone, anything else
 * stops. The value is read back.
 *
 * Reading and extending are two steps, so only one process may measure at a time: the holder of the run lock.
 *
 * @param digest 32 bytes.
 * @throws {BootstrapError} `precondition/register` with `register`, `expected` and `seen`; whatever the registers throw.
 */
async function measure(registers: MeasurementRegisters, register: number, digest: Uint8Array): Promise<void> {
  if (registers.parts !== undefined) {
    for (const part of registers.parts) await measure(part, register, digest);
    return;
  }
  const expected = await (registers.extended?.(register, digest) ?? extendedOnce(digest));
  if (isZero(await registers.read(register))) await registers.extend(register, digest);
  const seen = await registers.read(register);
  if (equalBytes(seen, expected)) return;
  throw registerError("precondition/register", register, [expected, seen], [
    "Cannot measure as the register holds something else",
    "Reboot the node; if that does not help, find out what else in the image extends the register",
  ]);
}

/**
 * Measures D12, the trust part of the node's configuration, into PCR 12. Before any port opens.
 *
 * @throws {BootstrapError} `precondition/register` if PCR 12 holds anything else; see {@linkcode measureLock}.
 */
export async function measureTrust(registers: MeasurementRegisters, trust: TrustPart): Promise<void> {
  await measure(registers, TRUST_REGISTER, await trustDigest(trust));
}

/**
 * Measures D15, the lock, into PCR 15: zero is extended, the expected value left alone, the value read back. Only for the
 * holder of the run lock, since reading and extending are two steps.
 *
 * @param clusterId The cluster that the lock names, 32 bytes.
 * @throws {BootstrapError} `precondition/register` with `register`, `expected` and `seen` if PCR 15 holds anything else.
 */
export async function measureLock(registers: MeasurementRegisters, clusterId: Uint8Array): Promise<void> {
  await measure(registers, LOCK_REGISTER, await lockDigest(clusterId));
}

/**
 * Checks that this node never locked since it booted: the register of the lock is zero.
 *
 * @throws {BootstrapError} `precondition/lock-missing` with `register`, `expected` and `seen`.
 */
export async function checkNeverLocked(registers: MeasurementRegisters): Promise<void> {
  const seen = await registers.read(LOCK_REGISTER);
  if (isZero(seen)) return;
  throw registerError("precondition/lock-missing", LOCK_REGISTER, [new Uint8Array(seen.length), seen], [
    "The node has no lock, but it locked since it booted",
    "Somebody removed the lock, or something else in the image extends the register: build the node anew from its image",
  ]);
}

function registerError(
  code: ErrorCode,
  register: number,
  [expected, seen]: readonly [expected: Uint8Array, seen: Uint8Array],
  [happened, next]: readonly [happened: string, next: string],
): BootstrapError {
  const details = { register: String(register), expected: hex(expected), seen: hex(seen) };
  return new BootstrapError(code, `${happened}: PCR ${register} holds ${details.seen}, expected ${details.expected}`, {
    next,
    details,
  });
}
