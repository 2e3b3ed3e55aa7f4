import { connect } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";

const INTERVAL_MS = 5_000;
/** So many intervals without a connection, in all but the first of which we knocked: a loaded machine is slow, not dead. */
const SILENT_INTERVALS = 4;

/**
 * Watches over a listener until the signal: where nobody connects, we do, and it must accept that. The runtime's listener
 * stops for good, and without a word, when the process may open no more files (seen with 2.9.5).
 *
 * @throws {BootstrapError} `system/listen` some 20 seconds after it stopped.
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
      // What counts is whether the listener hears it.
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
  throw new BootstrapError("system/listen", `No connection to ${address}:${port} is accepted any more`, {
    next: "See that the process may open enough files (LimitNOFILE= of its unit), and start it again",
  });
}
