import type { AnyErrorCode } from "../../platform/errors.ts";
import { foreignCode } from "../../platform/testing/foreign_code.ts";

/** The error codes of the demo, which is not part of the program. */
export const DEMO_CODES = {
  failed: foreignCode("system/demo"),
  initFailed: foreignCode("system/demo-init"),
  isUp: foreignCode("precondition/demo-is-up"),
  machineDied: foreignCode("system/demo-machine"),
  stopped: foreignCode("aborted/demo"),
  timedOut: foreignCode("timeout/demo"),
  usage: foreignCode("usage/demo"),
} as const satisfies Readonly<Record<string, AnyErrorCode>>;
