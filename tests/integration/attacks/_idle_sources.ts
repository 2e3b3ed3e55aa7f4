/**
 * An attacker who holds idle connections from many sources. Each source has a /24 network of its own in 127.0.0.0/8,
 * opens one connection, sends nothing, and comes back as soon as it is closed.
 *
 * Arguments: the port on 127.0.0.1, and the number of sources. Prints a line when each source has been connected.
 *
 * @module
 */
import { connect } from "node:net";

const [port = 0, sources = 0] = Deno.args.map(Number);
const waiting = new Set<number>(Array.from({ length: sources }, (_, source) => source));

function hold(source: number): void {
  const localAddress = `127.${1 + (source >> 8)}.${source & 0xff}.1`;
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  socket.on("error", () => {});
  socket.once("connect", () => {
    if (waiting.delete(source) && waiting.size === 0) Deno.stdout.writeSync(new TextEncoder().encode("held\n"));
  });
  // Without data listener the socket would not notice that it was closed.
  socket.resume();
  socket.once("close", () => hold(source));
}

for (const source of [...waiting]) hold(source);
