/** The measurements from which {@linkcode slowdownOf} calculates. */
export interface SpeedSample {
  /** How long the fixed work of {@linkcode measureSlowdown} took on all cores at once, in milliseconds. */
  readonly probeMs: number;
  /** The number of tasks that run, or wait for a processor or a disk, averaged over a minute (`/proc/loadavg`). */
  readonly load: number;
  readonly cores: number;
}

/** The fixed work is PBKDF2 with SHA-512 and this many iterations, once on each core. */
const iterations = 100_000;
/**
 * How long the fixed work takes on the reference machine when nothing else runs: two cores of an AMD EPYC, in a VM
 * without KVM.
 */
const referenceProbeMs = 60;
/** A machine that seems slower than this counts as stuck, not as slow. */
const slowest = 8;

/**
 * How many times slower this machine is now than the quiet reference machine: 1 to 8. A machine that is faster counts
 * as 1.
 *
 * The probe detects processors that are slow, shared with others or limited. The load covers what the short probe
 * misses, and waits for disks.
 */
export function slowdownOf({ probeMs, load, cores }: SpeedSample): number {
  return Math.min(slowest, Math.max(1, probeMs / referenceProbeMs, load / cores));
}

/**
 * Takes the measurements for {@linkcode slowdownOf}. This takes 60 ms on the quiet reference machine, and does not
 * block this thread.
 */
export async function measureSpeed(): Promise<SpeedSample> {
  const cores = navigator.hardwareConcurrency;
  const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-512", salt: new Uint8Array(16), iterations };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: cores }, () => crypto.subtle.deriveBits(parameters, key, 512)));
  const probeMs = performance.now() - startMs;
  const [load = 0] = Deno.loadavg();
  return { probeMs, load, cores };
}

/** How many times slower this machine is now; see {@linkcode slowdownOf}. */
export async function measureSlowdown(): Promise<number> {
  return slowdownOf(await measureSpeed());
}

/**
 * How many times slower the processors of this machine are now. Work that waits for a disk, or that ran a minute ago,
 * does not count.
 */
export async function measureProcessorSlowdown(): Promise<number> {
  return slowdownOf({ ...await measureSpeed(), load: 0 });
}
