import assert from "node:assert/strict";
import fc from "fast-check";
import type { EndpointSource } from "./endpoint_source.ts";
import { readEndpointSource, sourceText } from "./endpoint_source.ts";
import { endpointText } from "./endpoint.ts";
import { BootstrapError } from "./errors.ts";
import { followEndpoints, MAXIMUM_OF_SOURCE } from "./follow_endpoints.ts";
import type { FollowedEndpoints, FollowOptions, NameService, ServiceRecord } from "./follow_endpoints.ts";

/** What a name server says at one time. A name that it lacks is unknown. */
interface World {
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  readonly services?: Readonly<Record<string, readonly ServiceRecord[]>>;
}

/** Follows sources through worlds, one after each pause, and returns what was told. */
async function follow(
  texts: readonly string[],
  worlds: readonly World[],
  options: Partial<FollowOptions> = {},
) {
  const told: string[][] = [];
  const said: FollowedEndpoints[] = [];
  const asked: string[] = [];
  const stop = new AbortController();
  let at = 0;
  const answer = <T>(kind: keyof World, name: string, list: readonly T[] | undefined) => {
    asked.push(`${kind} ${name}`);
    return list === undefined ? Promise.reject(new Error(`${name} is unknown`)) : Promise.resolve(list);
  };
  const names: NameService = {
    addresses: (name) => answer("addresses", name, worlds[at]?.addresses?.[name]),
    services: (name) => answer("services", name, worlds[at]?.services?.[name]),
  };
  const sources: EndpointSource[] = texts.map((text) => readEndpointSource(text, "it"));
  const running = followEndpoints({
    sources,
    names,
    clock: {
      sleep: () => {
        at++;
        if (at >= worlds.length) stop.abort(new BootstrapError("aborted/run", "over"));
        return stop.signal.aborted ? Promise.reject(stop.signal.reason) : Promise.resolve();
      },
    },
    intervalMs: () => 1,
    onSource: (followed) => said.push(followed),
    onEndpoints: (endpoints) => told.push(endpoints.map(endpointText)),
    ...options,
  }, stop.signal);
  await assert.rejects(running, { code: "aborted/run" });
  return { told, said, asked };
}

const DNS = "dns:join.example:9444";
const SRV = "srv:_bootstrapper._tcp.example";
const NAME = "_bootstrapper._tcp.example";
const record = (name: string, port = 9444, priority = 0): ServiceRecord => ({ name, port, priority });

Deno.test("followEndpoints() tells of named endpoints at once, and of each address of a name, of both families", async () => {
  const { told } = await follow(["10.0.0.9:1", DNS], [
    { addresses: { "join.example": ["10.0.0.2", "fd00::1", "10.0.0.1"] } },
    { addresses: { "join.example": ["10.0.0.1", "fd00::1", "10.0.0.2"] } },
    { addresses: { "join.example": ["10.0.0.2"] } },
  ]);
  assert.deepEqual(told, [
    ["10.0.0.9:1"],
    ["10.0.0.9:1", "10.0.0.1:9444", "10.0.0.2:9444", "[fd00::1]:9444"],
    ["10.0.0.9:1", "10.0.0.2:9444"],
  ]);
});

Deno.test("followEndpoints() keeps the endpoints of the last answer while a name server fails, and says each change once", async () => {
  const there = { addresses: { "join.example": ["10.0.0.1"] } };
  const { told, said } = await follow([DNS], [{}, {}, there, there, {}, {}, there]);
  assert.deepEqual(told, [[], ["10.0.0.1:9444"]]);
  assert.deepEqual(said.map(({ endpoints, failure }) => [endpoints.length, failure]), [
    [0, "join.example is unknown"],
    [1, undefined],
    [1, "join.example is unknown"],
    [1, undefined],
  ]);
});

Deno.test("followEndpoints() uses the ports of SRV records and all addresses of their hosts, the lowest priority first", async () => {
  const { told } = await follow([SRV], [{
    services: { [NAME]: [record("b.example", 9445, 10), record("a.example.", 9446, 20), record("c.example", 1, 0)] },
    addresses: { "b.example": ["10.0.0.2", "fd00::2"], "c.example": ["10.0.0.3"] },
  }]);
  // "a.example." has a final dot, which the system's answers do not have: it is no endpoint.
  assert.deepEqual(told.at(-1), ["10.0.0.3:1", "10.0.0.2:9445", "[fd00::2]:9445"]);
});

Deno.test("followEndpoints() leaves out SRV records that no endpoint may have, and takes the root's name for an end", async () => {
  const records = [record("a.example", 0), record("bad_host.example"), record("")];
  const addresses = { "a.example": ["10.0.0.1"] };
  const { told, said } = await follow([SRV], [
    { services: { [NAME]: [record("a.example"), ...records] }, addresses },
    { services: { [NAME]: [record("", 0)] }, addresses },
  ]);
  assert.deepEqual(told, [[], ["10.0.0.1:9444"], []]);
  assert.deepEqual(said.map(({ failure }) => failure), [undefined, undefined]);
});

Deno.test("followEndpoints() keeps the addresses of one host of a service that cannot be resolved for a while", async () => {
  const services = { [NAME]: [record("a.example"), record("b.example")] };
  const { told, said } = await follow([SRV], [
    { services, addresses: { "a.example": ["10.0.0.1"], "b.example": ["10.0.0.2"] } },
    { services, addresses: { "a.example": ["10.0.0.3"] } },
    { services: { [NAME]: [record("b.example")] }, addresses: {} },
    { services },
  ]);
  assert.deepEqual(told.at(2), ["10.0.0.3:9444", "10.0.0.2:9444"]);
  assert.deepEqual(told.at(3), ["10.0.0.2:9444"]);
  assert.deepEqual(said.map(({ failure }) => failure), [
    undefined,
    "b.example is unknown",
    "b.example is unknown",
    "a.example is unknown",
  ]);
});

Deno.test("followEndpoints() leaves out what is not to be used, and addresses with a zone", async () => {
  const list = ["fe80::1%eth0", "10.0.0.1", "10.0.0.2", "no address"];
  const { told } = await follow([DNS], [{ addresses: { "join.example": list } }], {
    isUsed: (address) => address !== "10.0.0.1",
  });
  assert.deepEqual(told, [[], ["10.0.0.2:9444"]]);
});

Deno.test("followEndpoints() bounds answers: 64 endpoints of a source, and 32 questions for the hosts of a service", async () => {
  const many = [...Array(100).keys()];
  const { told, said, asked } = await follow([DNS, SRV], [{
    addresses: {
      "join.example": many.map((index) => `10.0.0.${index}`),
      ...Object.fromEntries(many.map((index) => [`h${index}.example`, many.map((last) => `10.1.${index}.${last}`)])),
    },
    services: { [NAME]: many.map((index) => record(`h${index}.example`)) },
  }]);
  assert.equal(told.at(-1)?.length, 2 * MAXIMUM_OF_SOURCE);
  assert.deepEqual(said.map(({ leftOut }) => leftOut), [36, 32 * 100 - MAXIMUM_OF_SOURCE]);
  assert.equal(asked.filter((one) => one.startsWith("addresses h")).length, 32);
});

Deno.test("followEndpoints() asks a source again only when the last question has ended", async () => {
  const answer = Promise.withResolvers<readonly string[]>();
  const stop = new AbortController();
  const told: string[][] = [];
  let asked = 0;
  const slept = Promise.withResolvers<void>();
  const running = followEndpoints({
    sources: [readEndpointSource(DNS, "it")],
    names: { addresses: () => (asked++, answer.promise), services: () => Promise.reject(new Error("none")) },
    clock: { sleep: () => (slept.resolve(), Promise.withResolvers<void>().promise) },
    intervalMs: () => 1,
    onSource: () => {},
    onEndpoints: (endpoints) => told.push(endpoints.map(endpointText)),
  }, stop.signal);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual([asked, told], [1, [[]]]);
  answer.resolve(["10.0.0.1"]);
  await slept.promise;
  assert.deepEqual([asked, told.at(-1)], [1, ["10.0.0.1:9444"]]);
  stop.abort(new BootstrapError("aborted/run", "over"));
  await assert.rejects(running, { code: "aborted/run" });
});

Deno.test("followEndpoints() tells of nothing twice, and of no more than the bounds, whatever is answered", async () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string());
  const target = fc.record({
    name: fc.oneof(fc.constantFrom("a.example", "b.example", "", "."), fc.string()),
    port: fc.oneof(fc.integer({ min: -1, max: 70_000 }), fc.double()),
    priority: fc.oneof(fc.nat(), fc.double()),
  });
  const world: fc.Arbitrary<World> = fc.record({
    addresses: fc.dictionary(fc.constantFrom("join.example", "a.example", "b.example"), fc.array(address)),
    services: fc.dictionary(fc.constant(NAME), fc.array(target)),
  });
  await fc.assert(fc.asyncProperty(fc.array(world, { minLength: 1, maxLength: 4 }), async (worlds) => {
    const { told, said } = await follow([DNS, SRV], worlds);
    for (const list of told) {
      assert.equal(new Set(list).size, list.length);
      for (const text of list) assert.equal(sourceText(readEndpointSource(text, "it")), text);
    }
    for (const { endpoints } of said) assert.ok(endpoints.length <= MAXIMUM_OF_SOURCE);
  }));
});
