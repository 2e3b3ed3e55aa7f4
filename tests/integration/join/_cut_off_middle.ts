import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";

/** A network between two peers that can stop carrying data while both connections stay open. */
export interface CutOffMiddle extends AsyncDisposable {
  /** The port to which clients connect. */
  readonly port: number;
  /** Stops carrying data in both directions. */
  cutOff(): void;
}

/** Forwards every byte to a port on loopback until it is cut off. */
export async function cutOffMiddle(upstreamPort: number): Promise<CutOffMiddle> {
  const open = new Set<Socket>();
  let isCutOff = false;
  const listener = createServer((client) => {
    const upstream = connect(upstreamPort, "127.0.0.1");
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      open.add(from);
      from.on("data", (bytes: Uint8Array) => void (isCutOff || to.write(bytes)));
      from.on("error", () => {});
      from.on("close", () => void (isCutOff || to.destroy()));
    }
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    cutOff: () => isCutOff = true,
    async [Symbol.asyncDispose]() {
      const closed = once(listener, "close");
      listener.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
