/**
 * A load balancer as its own process: passes TCP connections on to an API server, in the way that a file says for each
 * new connection. The file has one line:
 *
 * - `pass ADDRESS`: to port 6443 of that address.
 * - `no-hairpin ADDRESS`: the same, but a connection that comes from that address is never answered.
 * - `wrong`: to this process, which has a certificate of no cluster.
 *
 * The arguments are the file, and the folder with `tls.crt` and `tls.key`.
 *
 * @module
 */
import { join } from "node:path";

const PORT = 6443;

const [file = "", folder = ""] = Deno.args;

/** Answers each request as an API server of another cluster would. */
const stranger = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  cert: await Deno.readTextFile(join(folder, "tls.crt")),
  key: await Deno.readTextFile(join(folder, "tls.key")),
  onListen: () => {},
}, () => new Response("this is another server", { status: 404 }));

async function pass(connection: Deno.TcpConn): Promise<void> {
  using _connection = connection;
  const [way, address = ""] = (await Deno.readTextFile(file)).trim().split(" ");
  if (way === "no-hairpin" && connection.remoteAddr.hostname === address) {
    // The peer gives up first.
    await connection.readable.pipeTo(new WritableStream());
    return;
  }
  using other = way === "wrong"
    ? await Deno.connect({ hostname: "127.0.0.1", port: stranger.addr.port })
    : await Deno.connect({ hostname: address, port: PORT });
  await Promise.all([connection.readable.pipeTo(other.writable), other.readable.pipeTo(connection.writable)]);
}

for await (const connection of Deno.listen({ port: PORT })) {
  pass(connection).catch(() => {
    // Either side has gone away; the peer sees a connection that ends.
  });
}
