import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import "./_http2_ends.ts";

Deno.test("an HTTP/2 session ends after the call that asks for its end has returned", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "session");
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [session] = await accepted;
  const ended = Promise.all([once(client, "close"), once(session, "close")]);
  session.destroy();
  assert.ok(!session.destroyed);
  client.close();
  assert.ok(!client.closed);
  await ended;
  assert.ok(session.destroyed && client.destroyed);
  server.close();
  await once(server, "close");
});
