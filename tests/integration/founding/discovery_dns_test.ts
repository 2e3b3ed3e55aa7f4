/** Discovery by a real name server, whose answers change. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { followAddresses } from "../../../founding/discovery.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { NameServer } from "../_name_server.ts";

const NAME = "founders.example.internal";
const script = fileURLToPath(new URL("_follow_addresses.ts", import.meta.url));

Deno.test(`${followAddresses.name}() follows a name server: not there yet, addresses of both families that come and go, an outage`, async () => {
  await using dns = await NameServer.create([...DENO_RUN, script, NAME]);
  const addresses = (...list: string[]) => dns.until((line) => line === JSON.stringify(list), `at ${list.join()}`);
  const serve = (...list: string[]) =>
    dns.answer(list.map((address) => `founders ${address.includes(":") ? "AAAA" : "A"} ${address}`));
  await addresses();
  await dns.until((line) => line.includes('"founders-not-resolved"'), "without a name server");
  await serve("10.77.0.11", "fd00:77::12");
  dns.start();
  await addresses("10.77.0.11", "fd00:77::12");
  await serve("10.77.0.12", "10.77.0.13", "fd00:77::12");
  await addresses("10.77.0.12", "10.77.0.13", "fd00:77::12");
  await dns.kill();
  const outage = await dns.until((line) => line.includes('"founders-not-resolved"'), "an outage");
  assert.deepEqual(JSON.parse(outage).addresses, ["10.77.0.12", "10.77.0.13", "fd00:77::12"]);
  await serve("10.77.0.13");
  dns.start();
  await addresses("10.77.0.13");
});
