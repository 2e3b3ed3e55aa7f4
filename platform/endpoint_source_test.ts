import assert from "node:assert/strict";
import fc from "fast-check";
import { isFollowed, parseEndpointSource, readEndpointSource, sourceText } from "./endpoint_source.ts";

Deno.test("parseEndpointSource() reads endpoints, names of addresses and names of services", () => {
  assert.deepEqual(parseEndpointSource("10.0.0.1:9444"), { host: "10.0.0.1", port: 9444 });
  assert.deepEqual(parseEndpointSource("dns:Join.Example.org:9444"), {
    by: "dns",
    host: "join.example.org",
    port: 9444,
  });
  assert.deepEqual(parseEndpointSource("SRV:_Bootstrapper._TCP.example.org"), {
    by: "srv",
    name: "_bootstrapper._tcp.example.org",
  });
});

Deno.test("parseEndpointSource() reads hosts that are named dns and srv as before", () => {
  assert.deepEqual(parseEndpointSource("dns:9444"), { host: "dns", port: 9444 });
  assert.deepEqual(parseEndpointSource("srv:9444"), { host: "srv", port: 9444 });
  assert.deepEqual(parseEndpointSource("dns:dns:9444"), { by: "dns", host: "dns", port: 9444 });
});

Deno.test("parseEndpointSource() says what is wrong, and what to write", () => {
  const cases: readonly (readonly [text: string, said: RegExp])[] = [
    ["dns:join.example.org", /after dns:, the port is missing: write join\.example\.org:9444/],
    ["dns:10.0.0.1:9444", /10\.0\.0\.1 is an address, and no name: write 10\.0\.0\.1:9444/],
    ["dns:[fd00::1]:9444", /write \[fd00::1\]:9444/],
    ["dns:", /after dns:, it is empty/],
    ["dns:a.example:0", /the port must be from 1 to 65535/],
    [
      "srv:_bootstrapper._tcp.example.org:9444",
      /SRV records say the port: write srv:_bootstrapper\._tcp\.example\.org/,
    ],
    ["srv:_bootstrapper._tcp.example.org.", /leave out the final dot/],
    ["srv:_bootstrapper._udp.example.org", /write srv:_bootstrapper\._tcp\.example\.org/],
    ["srv:bootstrapper.example.org", /as in srv:_bootstrapper\._tcp\.example\.org/],
    ["srv:_much-too-long-name._tcp.example.org", /after srv:/],
    ["srv:_a._tcp.", /final dot/],
    ["srv:_a._tcp.10.0.0.1", /after srv:/],
    ["srv:_a._tcp.[fd00::1]", /after srv:/],
    ["srv:_a--b._tcp.example.org", /after srv:/],
    ["srv:_a._tcp.$" + "{DOMAIN}", /after srv:/],
    [`srv:_a._tcp.${"a.".repeat(130)}org`, /after srv:/],
  ];
  for (const [text, said] of cases) {
    const read = parseEndpointSource(text, { usualPort: 9444 });
    assert.ok(typeof read === "string" && said.test(read), `${text}: ${JSON.stringify(read)}`);
    assert.throws(() => readEndpointSource(text, "join.endpoints[0]"), { code: "usage/endpoint" });
  }
});

Deno.test("a source that is written again is the same", () => {
  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?$/);
  const domain = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => [...labels, "org"].join("."));
  const service = fc.stringMatching(/^[a-z0-9]{1,15}$/);
  const text = fc.oneof(
    fc.tuple(domain, fc.integer({ min: 1, max: 65535 })).map(([name, port]) => `dns:${name}:${port}`),
    fc.tuple(service, domain).map(([name, at]) => `srv:_${name}._tcp.${at}`),
  );
  fc.assert(fc.property(text, (written) => {
    const source = readEndpointSource(written, "it");
    assert.ok(isFollowed(source));
    assert.equal(sourceText(source), written);
  }));
});

Deno.test("parseEndpointSource() reads any text without throwing", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `dns:${rest}`),
    fc.string().map((rest) => `srv:_${rest}`),
  );
  fc.assert(fc.property(text, (any) => {
    const read = parseEndpointSource(any);
    if (typeof read !== "string") assert.deepEqual(parseEndpointSource(sourceText(read)), read);
  }));
});
