/**
 * A load balancer as its own process: passes TCP connections on to an API server, in the way that a file says for each
 * new connection. The file has one line:
 *
 * - `pass ADDRESS`: to port 6443 of that address.
 * - `no-hairpin ADDRESS`: the same, but a connection that comes from that address is never answered.
 * - `slow ADDRESS SECONDS`: each answer after a connection's first second is held back for so long.
 * - `wrong`: to this process, which has a certificate of no cluster.
 *
 * The arguments are the file, and the folder with `tls.crt` and `tls.key`.
 *
 * @module
 */
import { join } from "node:path";

const PORT = 6443;
/** Connections of a TLS handshake on a busy machine are older than this when they have ended. */
const PROMPT_MS = 1_000;

const [file = "", folder = ""] = Deno.args;

/** Answers each request as an API server of another cluster would. */
const stranger = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  cert: await Deno.readTextFile(join(folder, "tls.crt")),
  key: await Deno.readTextFile(join(folder, "tls.key")),
  onListen: () => {},
}, () => new Response("this is another server", { status: 404 }));

function holdBack(ms: number): TransformStream<Uint8Array, Uint8Array> {
  const startMs = performance.now();
  return new TransformStream({
    async transform(chunk, controller) {
      if (performance.now() - startMs > PROMPT_MS) await new Promise((done) => setTimeout(done, ms));
      controller.enqueue(chunk);
    },
  });
}

async function pass(connection: Deno.TcpConn): Promise<void> {
  using _connection = connection;
  const [way, address = "", seconds = "0"] = (await Deno.readTextFile(file)).trim().split(" ");
  if (way === "no-hairpin" && connection.remoteAddr.hostname === address) {
    // The peer gives up first.
    await connection.readable.pipeTo(new WritableStream());
    return;
  }
  using other = way === "wrong"
    ? await Deno.connect({ hostname: "127.0.0.1", port: stranger.addr.port })
    : await Deno.connect({ hostname: address, port: PORT });
  const answers = way === "slow" ? other.readable.pipeThrough(holdBack(Number(seconds) * 1_000)) : other.readable;
  await Promise.all([connection.readable.pipeTo(other.writable), answers.pipeTo(connection.writable)]);
}

for await (const connection of Deno.listen({ port: PORT })) {
  pass(connection).catch(() => {
    // Either side has gone away; the peer sees a connection that ends.
  });
}
