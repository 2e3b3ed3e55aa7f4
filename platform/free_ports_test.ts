import assert from "node:assert/strict";
import { takenPorts } from "./free_ports.ts";

Deno.test("takenPorts() names the ports on which a program listens, at whichever address", () => {
  for (const hostname of ["0.0.0.0", "127.0.0.1", "::", "::1"]) {
    using listener = Deno.listen({ hostname, port: 0 });
    const { port } = listener.addr;
    assert.deepEqual(takenPorts([port]), [port], hostname);
  }
});

Deno.test("takenPorts() leaves the ports free that it has looked at", () => {
  const first = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = first.addr;
  first.close();
  assert.deepEqual([takenPorts([port]), takenPorts([port])], [[], []]);
  Deno.listen({ hostname: "0.0.0.0", port }).close();
});
