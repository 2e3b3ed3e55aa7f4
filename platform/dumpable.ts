import { BootstrapError } from "./errors.ts";

/** `prctl(2)`: PR_GET_DUMPABLE and PR_SET_DUMPABLE, from `linux/prctl.h`. */
const [GET_DUMPABLE, SET_DUMPABLE] = [3, 4];

/**
 * Makes this process one whose memory other processes of its user cannot read, and that leaves no core. It needs the
 * permission for native code, and must run before that is given up.
 *
 * @throws {BootstrapError} `system/dumpable` if the kernel does not do it.
 */
export function forbidDumps(): void {
  try {
    using libc = openLibc();
    if (libc.symbols.prctl(SET_DUMPABLE, 0n, 0n, 0n, 0n) === 0 && !isDumpable(libc)) return;
  } catch (cause) {
    throw notDone(cause);
  }
  throw notDone();
}

function openLibc() {
  const libc = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
  });
  return { symbols: libc.symbols, [Symbol.dispose]: () => libc.close() };
}

function isDumpable({ symbols }: Pick<ReturnType<typeof openLibc>, "symbols">): boolean {
  return symbols.prctl(GET_DUMPABLE, 0n, 0n, 0n, 0n) !== 0;
}

function notDone(cause?: unknown): BootstrapError {
  return new BootstrapError("system/dumpable", "Cannot keep other processes from reading this one's memory", { cause });
}
