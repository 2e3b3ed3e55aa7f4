/** Endpoints by a real name server, whose answers change, fail, come late and are large. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TicketSearch } from "../../../join/ticket_search.ts";
import { MAXIMUM_OF_SOURCE } from "../../../platform/follow_endpoints.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { NameServer } from "../_name_server.ts";

const OWN = "10.77.0.9";
const DNS = "dns:join.example.internal:9444";
const SRV = "srv:_bootstrapper._tcp.example.internal";
const script = fileURLToPath(new URL("_search_names.ts", import.meta.url));

/** Waits until a source has these endpoints. */
async function has(dns: NameServer, source: string, endpoints: readonly string[], failed = false): Promise<void> {
  const wanted = JSON.stringify({ source, endpoints, leftOut: 0, failed });
  await dns.until((line) => line === wanted, `at ${wanted}`);
}

/** Waits until a source has a large answer. Returns the number of its endpoints and of those that are left out. */
async function large(dns: NameServer, source: string): Promise<readonly [used: number, leftOut: number]> {
  const line = await dns.until((one) => {
    const { source: of, leftOut } = JSON.parse(one);
    return of === source && leftOut > 0;
  }, `at a large answer for ${source}`);
  const { endpoints, leftOut } = JSON.parse(line);
  return [endpoints.length, leftOut];
}

Deno.test(`${TicketSearch.name} follows a name server: no server yet, no name yet, both families, an outage, a late answer`, async () => {
  await using dns = await NameServer.create([...DENO_RUN, script, OWN, DNS]);
  await has(dns, DNS, [], true);
  dns.start();
  await dns.answer([`join A ${OWN}`, "join A 10.77.0.11", "join AAAA fd00:77::12"]);
  await has(dns, DNS, ["10.77.0.11:9444", "[fd00:77::12]:9444"]);
  await dns.answer(["join A 10.77.0.13"]);
  await has(dns, DNS, ["10.77.0.13:9444"]);
  // It knocks at each: there is no route to that host here.
  await dns.until((line) => JSON.parse(line).refused === "10.77.0.13:9444", "knocking");
  await dns.answer([]);
  await has(dns, DNS, ["10.77.0.13:9444"], true);
  await dns.answer(["join AAAA fd00:77::14"]);
  await has(dns, DNS, ["[fd00:77::14]:9444"]);
  await dns.suspend();
  await has(dns, DNS, ["[fd00:77::14]:9444"], true);
  await dns.resume();
  await has(dns, DNS, ["[fd00:77::14]:9444"]);
  await dns.kill();
  await has(dns, DNS, ["[fd00:77::14]:9444"], true);
});

Deno.test(`${TicketSearch.name} follows SRV records: ports, hosts that come and go, the end of the service`, async () => {
  await using dns = await NameServer.create([...DENO_RUN, script, OWN, SRV]);
  dns.start();
  const record = (priority: number, port: number, host: string) =>
    `_bootstrapper._tcp SRV ${priority} 100 ${port} ${host}`;
  await dns.answer([record(10, 9444, "cp-1"), record(0, 9555, "cp-2"), "cp-1 A 10.77.0.11", "cp-2 AAAA fd00:77::12"]);
  await has(dns, SRV, ["[fd00:77::12]:9555", "10.77.0.11:9444"]);
  await dns.answer([record(10, 9444, "cp-1"), record(0, 9555, "cp-2"), "cp-1 A 10.77.0.13"]);
  await has(dns, SRV, ["[fd00:77::12]:9555", "10.77.0.13:9444"], true);
  await dns.answer([record(0, 9444, "cp-1"), "cp-1 A 10.77.0.13", `cp-1 A ${OWN}`]);
  await has(dns, SRV, ["10.77.0.13:9444"]);
  await dns.answer([record(0, 0, ".")]);
  await has(dns, SRV, []);
});

Deno.test(`${TicketSearch.name} takes answers that are larger than a packet of UDP, and bounds them`, async () => {
  await using dns = await NameServer.create([...DENO_RUN, script, OWN, DNS, SRV]);
  const many = [...Array(100).keys()].map((index) => index + 1);
  await dns.answer([
    ...many.flatMap((index) => [`join A 10.77.1.${index}`, `join AAAA fd00:77::${index}`]),
    ...many.map((index) => `_bootstrapper._tcp SRV 0 0 9444 host-${index}.with-a-long-name-that-fills-the-answer`),
    ...many.map((index) => `host-${index}.with-a-long-name-that-fills-the-answer A 10.77.2.${index}`),
    ...many.map((index) => `host-${index}.with-a-long-name-that-fills-the-answer AAAA fd00:78::${index}`),
    ...many.map((index) => `host-${index}.with-a-long-name-that-fills-the-answer AAAA fd00:79::${index}`),
  ]);
  dns.start();
  assert.deepEqual(await large(dns, DNS), [MAXIMUM_OF_SOURCE, 200 - MAXIMUM_OF_SOURCE]);
  // Of 100 hosts, 32 are resolved.
  assert.deepEqual(await large(dns, SRV), [MAXIMUM_OF_SOURCE, 32 * 3 - MAXIMUM_OF_SOURCE]);
});
