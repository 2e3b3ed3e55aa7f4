/**
 * The swap that the kernel says is on.
 *
 * @module
 */

/** The files and devices in the content of `/proc/swaps`: a header line, then one line each (Linux, `swap_show()`). */
export function swapsOf(table: string): readonly string[] {
  return table.split("\n").slice(1).flatMap((line) => line.trim().split(/\s+/)[0] ?? []).filter((name) => name !== "");
}
