import { BootstrapError } from "../../../platform/errors.ts";
import type { BootstrapErrorOptions, ErrorCode } from "../../../platform/errors.ts";

interface KnownCode {
  readonly name: string;
  readonly code: ErrorCode;
  readonly meaning: string;
  readonly next?: string;
}

const OTHER: ErrorCode = "system/tpm";
const RESET_HINT = "Restart the machine, or reset the TPM's owner in the firmware's setup";

/** Known response codes (TPM 2.0 Part 2, 6.6.3), by the value that {@linkcode baseCode} returns. */
const KNOWN: Readonly<Record<number, KnownCode>> = Object.freeze({
  0x100: { name: "TPM_RC_INITIALIZE", code: OTHER, meaning: "the firmware has not started it" },
  0x101: { name: "TPM_RC_FAILURE", code: OTHER, meaning: "it is in failure mode", next: RESET_HINT },
  0x120: { name: "TPM_RC_DISABLED", code: OTHER, meaning: "the hierarchy is disabled", next: RESET_HINT },
  0x143: { name: "TPM_RC_COMMAND_CODE", code: OTHER, meaning: "it does not know the command" },
  0x14a: {
    name: "TPM_RC_NV_UNINITIALIZED",
    code: "precondition/tpm-handle",
    meaning: "the NV index was never written",
  },
  0x082: { name: "TPM_RC_ATTRIBUTES", code: OTHER, meaning: "the object's attributes do not allow it" },
  0x084: { name: "TPM_RC_VALUE", code: "refused/tpm-value", meaning: "a value is not for this TPM" },
  0x08b: { name: "TPM_RC_HANDLE", code: "precondition/tpm-handle", meaning: "it has no such object" },
  0x08e: {
    name: "TPM_RC_AUTH_FAIL",
    code: OTHER,
    meaning: "a password is set where none was expected",
    next: RESET_HINT,
  },
  0x095: { name: "TPM_RC_SIZE", code: "refused/tpm-value", meaning: "a value is of a wrong length" },
  0x09d: { name: "TPM_RC_POLICY_FAIL", code: OTHER, meaning: "the object wants another policy" },
  0x09f: { name: "TPM_RC_INTEGRITY", code: "refused/tpm-value", meaning: "a challenge is not for this TPM or key" },
  0x0a2: {
    name: "TPM_RC_BAD_AUTH",
    code: OTHER,
    meaning: "a password is set where none was expected",
    next: RESET_HINT,
  },
  0x0a7: { name: "TPM_RC_ECC_POINT", code: "refused/tpm-value", meaning: "a point is not on the curve" },
  0x902: { name: "TPM_RC_OBJECT_MEMORY", code: "unavailable/tpm", meaning: "it has no slot free for a key" },
  0x903: { name: "TPM_RC_SESSION_MEMORY", code: "unavailable/tpm", meaning: "it has no slot free for a session" },
  0x905: { name: "TPM_RC_SESSION_HANDLES", code: "unavailable/tpm", meaning: "it has no session handle free" },
  0x908: { name: "TPM_RC_YIELDED", code: "unavailable/tpm-busy", meaning: "it was interrupted" },
  0x90a: { name: "TPM_RC_TESTING", code: "unavailable/tpm-busy", meaning: "it is testing itself" },
  0x910: { name: "TPM_RC_REFERENCE_H0", code: "precondition/tpm-handle", meaning: "it has no such object" },
  0x920: { name: "TPM_RC_NV_RATE", code: "unavailable/tpm", meaning: "it limits writes to its memory" },
  0x921: { name: "TPM_RC_LOCKOUT", code: "unavailable/tpm", meaning: "it is locked out after wrong passwords" },
  0x922: { name: "TPM_RC_RETRY", code: "unavailable/tpm-busy", meaning: "it is busy" },
  0x923: { name: "TPM_RC_NV_UNAVAILABLE", code: "unavailable/tpm", meaning: "its memory cannot be written now" },
});

/** TPM_RC_INITIALIZE, the answer to Startup if the TPM is already started. */
export const INITIALIZE_RESPONSE_CODE = 0x100;
/** TPM_RC_FAILURE. */
export const FAILURE_RESPONSE_CODE = 0x101;

/** A TPM's response code that is not success. */
export class TpmResponseError extends BootstrapError {
  /** TPM_RC without the bits that name the handle, session or parameter. */
  readonly responseCode: number;

  /** The details contain the code in hexadecimal. */
  constructor(code: ErrorCode, message: string, responseCode: number, options: BootstrapErrorOptions = {}) {
    super(code, message, { ...options, details: { ...options.details, responseCode: responseCode.toString(16) } });
    this.responseCode = responseCode;
  }
}

/**
 * Makes the error for a response code that is not success. Its `details` have `responseCode` in hexadecimal, without
 * the bits that name the handle, session or parameter.
 *
 * @param command The command's name.
 * @param responseCode TPM_RC as received.
 * @returns An error with the code `unavailable/tpm-busy` if the command must be sent again, `unavailable/tpm`,
 *   `precondition/tpm-handle` if the object does not exist, `refused/tpm-value` for a challenge that this TPM cannot
 *   open, and `system/tpm` otherwise.
 */
export function responseError(command: string, responseCode: number): TpmResponseError {
  const base = baseCode(responseCode);
  const { name, code, meaning, next } = KNOWN[base] ?? { name: "", code: OTHER, meaning: "see TPM 2.0 Part 2, 6.6" };
  const label = [name, responseCode.toString(16).padStart(8, "0")].filter((text) => text !== "").join(" ");
  return new TpmResponseError(code, `The TPM answered ${label} to ${command}: ${meaning}`, base, {
    details: { command },
    ...(next === undefined ? {} : { next }),
  });
}

/**
 * Part 2, 6.6.2: in codes of format 1 (bit 7), bits 6 and 8 to 11 name the handle, session or parameter. Bits 16 and up
 * name the layer.
 */
function baseCode(responseCode: number): number {
  const isFormat1 = (responseCode & 0x80) !== 0;
  return isFormat1 ? responseCode & 0xbf : responseCode & 0xfff;
}
