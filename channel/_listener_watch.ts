import { connect } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";

const INTERVAL_MS = 5_000;
/**
 * The number of consecutive intervals without a connection after which a listener counts as dead. In all but the first,
 * the watch connects itself. A single silent interval is no proof: a loaded machine is slow, not dead.
 */
const SILENT_INTERVALS = 4;

/**
 * Watches a listener until the signal aborts. If no peer connects, the watch connects itself, and the listener must
 * accept that connection. The runtime's listener stops for good, without an error, when the process runs out of file
 * descriptors (seen with 2.9.5).
 *
 * @throws {BootstrapError} `system/listen` about 20 seconds after the listener stopped.
 */
export async function watchListener(listener: Server, clock: Clock, signal: AbortSignal): Promise<void> {
  const { address, port } = listener.address() as AddressInfo;
  let isHeard = false;
  const hear = () => {
    isHeard = true;
  };
  listener.on("connection", hear);
  try {
    for (let silentIntervals = 0; silentIntervals < SILENT_INTERVALS;) {
      isHeard = false;
      const knock = silentIntervals === 0 ? undefined : connect(port, address);
      // Only the listener's side of the connection counts.
      knock?.on("error", () => {});
      knock?.once("connect", () => knock.destroy());
      await clock.sleep(INTERVAL_MS, signal).finally(() => knock?.destroy());
      silentIntervals = isHeard ? 0 : silentIntervals + 1;
    }
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  } finally {
    listener.off("connection", hear);
  }
  throw new BootstrapError("system/listen", `The listener at ${address}:${port} no longer accepts connections`, {
    next: "Make sure that the process may open enough files (LimitNOFILE= of its unit), and start it again",
  });
}
