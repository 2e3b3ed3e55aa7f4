/** The memory of a process in MB. */
export interface Memory {
  /** The highest use so far (`VmHWM`, proc_pid_status(5)). */
  readonly peakMb: number;
  /** The current use (`VmRSS`). */
  readonly nowMb: number;
}

/** Linux counts processor time for user space in hundredths of a second on every architecture (`USER_HZ`). */
const MS_PER_TICK = 10;
/** The places of utime and stime after the process's name (proc_pid_stat(5): fields 14 and 15; the name is field 2). */
const USER_TIME = 11;
const SYSTEM_TIME = 12;

/** Reads the memory of a process, by its process ID. */
export async function memoryOf(pid: number): Promise<Memory> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return { peakMb: megabytes(status, "VmHWM"), nowMb: megabytes(status, "VmRSS") };
}

/**
 * Reads the memory of a process in MB, with a share only of what it shares with others (`Pss`, proc_pid_smaps(5)).
 * Those of several processes can be added.
 */
export async function proportionalMemoryOf(pid: number): Promise<number> {
  return megabytes(await Deno.readTextFile(`/proc/${pid}/smaps_rollup`), "Pss");
}

/** Reads the processor time that a process has used so far, milliseconds. It does not include its children. */
export async function processorMsOf(pid: number): Promise<number> {
  return processorMs(await Deno.readTextFile(`/proc/${pid}/stat`));
}

/** The processor time in the text of `/proc/PID/stat`, milliseconds. */
export function processorMs(stat: string): number {
  // The name may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME])) * MS_PER_TICK;
}

/** The value of a line `KEY:  N kB`, in MB; `NaN` without such a line. */
export function megabytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? NaN) * 1024 / 1e6;
}
