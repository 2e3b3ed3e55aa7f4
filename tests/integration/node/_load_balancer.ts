/**
 * A load balancer as its own process: passes TCP connections on to an API server, in the way that a file says for each
 * new connection. The file has one line:
 *
 * - `pass ADDRESS`: to port 6443 of that address.
 * - `no-hairpin ADDRESS`: the same, but a connection that comes from that address is never answered.
 * - `wrong`: to this process, which has a certificate of no cluster.
 * - `errors`: to this process, which has a certificate of the cluster, and answers as an API server that has lost etcd.
 * - `silent`: to nobody.
 * - `slow ADDRESS`: to port 6443 of that address, but each answer after the handshake takes 30 s for as long as the file
 *   says so. It prints "slow answer" for each.
 *
 * The arguments are the file, and the folder with `stranger.crt`, `stranger.key`, `cluster.crt` and `cluster.key`, of
 * which the last two may come later.
 *
 * @module
 */
import { join } from "node:path";

const PORT = 6443;

const [file = "", folder = ""] = Deno.args;

const SLOW_MS = 30_000;

async function serve(name: string, answer: () => Response): Promise<number> {
  const { addr } = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(join(folder, `${name}.crt`)),
    key: await Deno.readTextFile(join(folder, `${name}.key`)),
    onListen: () => {},
  }, answer);
  return addr.port;
}

/** The ports of this process's servers, each started when it is first needed. */
const ports = new Map<string, Promise<number>>();
const answers: Readonly<Record<string, { readonly name: string; readonly answer: () => Response }>> = {
  wrong: { name: "stranger", answer: () => new Response("this is another server", { status: 404 }) },
  errors: {
    name: "cluster",
    answer: () =>
      Response.json({
        ...{ kind: "Status", apiVersion: "v1", status: "Failure", code: 500 },
        message: "etcdserver: request timed out",
      }, { status: 500 }),
  },
};

async function readMode(): Promise<readonly string[]> {
  return (await Deno.readTextFile(file)).trim().split(" ");
}

/** Delays what the API server says once the client has said more than its hello. */
function delays(): { readonly heard: TransformStream<Uint8Array, Uint8Array>; readonly said: TransformStream } {
  let flights = 0;
  const heard = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      flights++;
      controller.enqueue(bytes);
    },
  });
  const said = new TransformStream<Uint8Array, Uint8Array>({
    async transform(bytes, controller) {
      const endMs = performance.now() + SLOW_MS;
      while (flights > 1 && performance.now() < endMs && (await readMode())[0] === "slow") {
        await new Promise((done) => setTimeout(done, 200));
      }
      if (flights > 1 && performance.now() >= endMs) Deno.stdout.writeSync(new TextEncoder().encode("slow answer\n"));
      controller.enqueue(bytes);
    },
  });
  return { heard, said };
}

async function pass(connection: Deno.TcpConn): Promise<void> {
  using _connection = connection;
  const [way = "", address = ""] = await readMode();
  if (way === "silent" || (way === "no-hairpin" && connection.remoteAddr.hostname === address)) {
    // The peer gives up first.
    await connection.readable.pipeTo(new WritableStream());
    return;
  }
  const own = answers[way];
  if (own !== undefined && !ports.has(way)) ports.set(way, serve(own.name, own.answer));
  const port = await ports.get(way);
  using other = port === undefined
    ? await Deno.connect({ hostname: address, port: PORT })
    : await Deno.connect({ hostname: "127.0.0.1", port });
  const { heard, said } = way === "slow" ? delays() : { heard: new TransformStream(), said: new TransformStream() };
  await Promise.all([
    connection.readable.pipeThrough(heard).pipeTo(other.writable),
    other.readable.pipeThrough(said).pipeTo(connection.writable),
  ]);
}

for await (const connection of Deno.listen({ port: PORT })) {
  pass(connection).catch(() => {
    // Either side has gone away; the peer sees a connection that ends.
  });
}
