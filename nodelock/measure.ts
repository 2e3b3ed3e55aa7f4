/**
 * Measurement of a digest into a register, exactly once, whatever happened before.
 *
 * @module
 */
import type { MeasurementRegisters } from "../attestation/evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../attestation/evidence.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import { extendedOnce, lockDigest, trustDigest } from "../protocol/transcript.ts";
import { equalBytes, hex, isZero } from "../platform/bytes.ts";
import type { ErrorCode } from "../platform/errors.ts";
import { asBootstrapError, BootstrapError, errorFamily } from "../platform/errors.ts";

/**
 * Brings `register` to `ext(digest)`. It reads the register first: it extends a zero value, leaves the expected value
 * unchanged, and refuses any other value. Then it reads the value back.
 *
 * Reading and extending are two steps, so only the holder of the run lock may measure.
 *
 * @param digest 32 bytes.
 * @throws {BootstrapError} `precondition/register` with `register`, `expected` and `seen`; the errors of the registers.
 */
async function measure(registers: MeasurementRegisters, register: number, digest: Uint8Array): Promise<void> {
  if (registers.parts !== undefined) {
    for (const part of registers.parts) await measure(part, register, digest);
    return;
  }
  const expected = await (registers.extended?.(register, digest) ?? extendedOnce(digest));
  if (isZero(await registers.read(register))) await extend(registers, register, digest);
  const seen = await registers.read(register);
  if (equalBytes(seen, expected)) return;
  throw registerError("precondition/register", register, [expected, seen], [
    "Cannot measure because the register holds another value",
    "Reboot the node; if that does not help, find the other program in the image that extends the register",
  ]);
}

/**
 * Extends a register that is zero. A device that failed once may have extended it or not: it is read before another
 * try.
 */
async function extend(registers: MeasurementRegisters, register: number, digest: Uint8Array): Promise<void> {
  try {
    await registers.extend(register, digest);
  } catch (cause) {
    if (errorFamily(asBootstrapError(cause).code) !== "system") throw cause;
    if (isZero(await registers.read(register))) await registers.extend(register, digest);
  }
}

/**
 * Measures D12, the trust part of the node's configuration, into PCR 12. It must run before any port opens.
 *
 * @throws {BootstrapError} `precondition/register` if PCR 12 holds another value; see {@linkcode measureLock}.
 */
export async function measureTrust(registers: MeasurementRegisters, trust: TrustPart): Promise<void> {
  await measure(registers, TRUST_REGISTER, await trustDigest(trust));
}

/**
 * Measures D15, the lock, into PCR 15. It extends a zero value, leaves the expected value unchanged, and reads the
 * value back. The caller must hold the run lock, because reading and extending are two steps.
 *
 * @param clusterId The cluster that the lock names, 32 bytes.
 * @throws {BootstrapError} `precondition/register` with `register`, `expected` and `seen` if PCR 15 holds another
 *   value.
 */
export async function measureLock(registers: MeasurementRegisters, clusterId: Uint8Array): Promise<void> {
  await measure(registers, LOCK_REGISTER, await lockDigest(clusterId));
}

/**
 * Checks that this node was not locked since it booted: the register of the lock must be zero.
 *
 * @throws {BootstrapError} `precondition/lock-missing` with `register`, `expected` and `seen`.
 */
export async function checkNeverLocked(registers: MeasurementRegisters): Promise<void> {
  const seen = await registers.read(LOCK_REGISTER);
  if (isZero(seen)) return;
  throw registerError("precondition/lock-missing", LOCK_REGISTER, [new Uint8Array(seen.length), seen], [
    "The node has no lock, but it was locked since it booted",
    "The lock was removed, or another program in the image extends the register: rebuild the node from its image",
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
