import assert from "node:assert/strict";
import { systemClock } from "./clock.ts";
import { unreachableReason } from "./reach.ts";

const atOnce = { sleep: () => Promise.resolve() };

Deno.test("unreachableReason() finds none for a host that accepts connections, by name or address", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  for (const host of ["127.0.0.1", "localhost"]) {
    assert.equal(await unreachableReason({ host, port }, systemClock), undefined);
  }
});

Deno.test("unreachableReason() gives the operating system's reason, or that the time is over", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  assert.match(await unreachableReason({ host: "127.0.0.1", port }, systemClock) ?? "", /^Connection refused/);
  const late = await unreachableReason({ host: "127.0.0.1", port }, atOnce);
  assert.equal(late, "there was no connection within 5 s");
});
