import assert from "node:assert/strict";
import { join } from "node:path";
import { fromHex, hex } from "../../../../platform/bytes.ts";
import { errorOf } from "../../../testing/evidence.ts";
import { connectTpmSocket, type TpmSocketAddress } from "./socket_transport.ts";

const RESPONSE = "80010000000a00000101";

async function answerOnce(listener: Deno.Listener): Promise<string> {
  using connection = await listener.accept();
  const buffer = new Uint8Array(100);
  const length = await connection.read(buffer);
  await connection.write(fromHex(RESPONSE, "response"));
  return hex(buffer.subarray(0, length ?? 0));
}

async function exchangeOver(listener: Deno.Listener, address: TpmSocketAddress): Promise<void> {
  const served = answerOnce(listener);
  const transport = await connectTpmSocket(address);
  try {
    assert.equal(hex(await transport.transmit(fromHex("80010000000c000001440000", "command"))), RESPONSE);
    assert.equal(await served, "80010000000c000001440000");
  } finally {
    transport.close();
  }
}

Deno.test("connectTpmSocket() talks over TCP and over a Unix socket", async () => {
  using tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await exchangeOver(tcp, { hostname: "127.0.0.1", port: tcp.addr.port });
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "socket");
    using unix = Deno.listen({ transport: "unix", path });
    await exchangeOver(unix, { path });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("connectTpmSocket() fails when no TPM listens", async () => {
  assert.equal((await errorOf(() => connectTpmSocket({ path: "/nonexistent/socket" }))).code, "system/tpm-transport");
});
