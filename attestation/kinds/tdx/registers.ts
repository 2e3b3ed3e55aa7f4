import { BootstrapError } from "../../../platform/errors.ts";
import type { MeasurementRegisters } from "../../evidence.ts";
import { LOCK_REGISTER, TRUST_REGISTER } from "../../evidence.ts";
import type { TdxRegisters } from "./rtmr.ts";
import { extendedRtmr, padded, TDX_LOCK_REGISTER, TDX_REGISTER_BYTES } from "./rtmr.ts";

/** The registers of a TD in place of PCR 12 and PCR 15: MRCONFIGID, which the host sets at launch, and RTMR 3. */
export function tdxMeasurementRegisters(registers: TdxRegisters): MeasurementRegisters {
  return {
    read(index) {
      if (index === TRUST_REGISTER) return registers.configId();
      return index === LOCK_REGISTER ? registers.read(TDX_LOCK_REGISTER) : Promise.reject(noSuchRegister(index));
    },
    extend(index, digest) {
      if (index === TRUST_REGISTER) return Promise.reject(notGiven());
      return index === LOCK_REGISTER
        ? registers.extend(TDX_LOCK_REGISTER, digest)
        : Promise.reject(noSuchRegister(index));
    },
    extended: (index, digest) => index === TRUST_REGISTER ? Promise.resolve(padded(digest)) : extendedRtmr(digest),
  };
}

/**
 * The register of a TD's lock alone, RTMR 3, for a TD that gives other evidence. Its host need not have set MRCONFIGID,
 * which nothing but a launch can set.
 */
export function tdxLockRegister(registers: TdxRegisters): MeasurementRegisters {
  const { read, extend } = tdxMeasurementRegisters(registers);
  const launchValue = new Uint8Array(TDX_REGISTER_BYTES);
  return {
    read: (index) => index === TRUST_REGISTER ? Promise.resolve(launchValue) : read(index),
    extend: (index, digest) => index === TRUST_REGISTER ? Promise.resolve() : extend(index, digest),
    extended: (index, digest) => index === TRUST_REGISTER ? Promise.resolve(launchValue) : extendedRtmr(digest),
  };
}

function noSuchRegister(index: number): BootstrapError {
  return new BootstrapError("internal/register", `A TD has nothing in place of PCR ${index}`);
}

function notGiven(): BootstrapError {
  return new BootstrapError("precondition/mrconfigid", "The host launched this TD without MRCONFIGID", {
    next:
      "Launch it with MRCONFIGID = D12 of its configuration and 16 zero bytes, which `bootstrapper policy registers` prints",
  });
}
