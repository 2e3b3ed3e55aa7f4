const heartbeatMs = 20_000;
const worthALineMs = 1_000;

/**
 * Runs one long step and reports it on standard error: a line every 20 s while it runs and one when it has ended, both
 * with the elapsed seconds. A step shorter than a second is not reported.
 */
export async function step<T>(title: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const say = (mark: string) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(0).padStart(4);
    Deno.stderr.writeSync(new TextEncoder().encode(`${seconds} s ${mark} ${title}\n`));
  };
  const heartbeat = setInterval(() => say("…"), heartbeatMs);
  try {
    const result = await work();
    if (performance.now() - start >= worthALineMs) say("✓");
    return result;
  } catch (error) {
    say("✗");
    throw error;
  } finally {
    clearInterval(heartbeat);
  }
}
