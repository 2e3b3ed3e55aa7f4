import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8 } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { MAXIMUM_ANSWER_BYTES, MetadataClient } from "./client.ts";
import { askEc2, askOpenStack, readInstanceData, readOpenStackMetaData, readOpenStackNetworks } from "./sources.ts";
import { answering, EC2, imdsv2, INSTANCE_DATA, OPENSTACK, serveMetadata } from "./testing/services.ts";
import { METADATA_FIELDS } from "./values.ts";

type Handler = Parameters<typeof serveMetadata>[0];
const ASK = { ec2: askEc2, openstack: askOpenStack };

/** Asks a service that answers so. */
async function ask(source: keyof typeof ASK, handler: Handler, deadlineMs = 60_000) {
  await using service = serveMetadata(handler);
  using client = new MetadataClient({ clock: systemClock, base: service.base, deadlineMs });
  return { texts: await ASK[source](client, METADATA_FIELDS), asked: service.asked };
}

/** The error of asking a service that answers so. */
async function failure(source: keyof typeof ASK, handler: Handler, deadlineMs?: number): Promise<BootstrapError> {
  try {
    const { texts } = await ask(source, handler, deadlineMs);
    return assert.fail(JSON.stringify(texts));
  } catch (error) {
    return asBootstrapError(error);
  }
}

Deno.test("askEc2() asks version 2 with a token, and reads name, address and tags", async () => {
  const { texts, asked } = await ask("ec2", imdsv2(EC2));
  assert.deepEqual(texts, {
    name: "ip-10-77-0-21.ec2.internal",
    address: "10.77.0.21",
    role: "control-plane",
    endpoints: "10.77.0.11:9444 dns:join.example.org:9444",
  });
  assert.equal(asked[0], "PUT /latest/api/token");
});

Deno.test("askEc2() takes an IPv6 address where there is no other, and has no value for what is 404", async () => {
  const served = { "/latest/meta-data/ipv6": "fd00:77::21\n" };
  assert.deepEqual((await ask("ec2", imdsv2(served))).texts, { address: "fd00:77::21" });
});

Deno.test("askEc2() never asks version 1: without a token there is no answer", async () => {
  const requests: string[] = [];
  const error = await failure("ec2", (request) => {
    requests.push(request.method);
    return request.method === "PUT" ? new Response("", { status: 404 }) : answering(EC2)(request);
  });
  assert.match(error.message, /IMDSv2/);
  assert.deepEqual(requests, ["PUT"]);
});

Deno.test("askEc2() refuses a token that no header can have", async () => {
  for (const token of ["", "two words", "a\r\nb: c", "x".repeat(2000), "ä"]) {
    const error = await failure("ec2", () => new Response(token));
    assert.equal(error.code, "malformed/metadata", JSON.stringify(token));
  }
});

Deno.test("askOpenStack() reads meta_data.json, and the one address of network_data.json", async () => {
  assert.deepEqual((await ask("openstack", answering(OPENSTACK))).texts, {
    name: "worker-1.novalocal",
    role: "worker",
    endpoints: "10.77.0.11:9444,10.77.0.12:9444",
    address: "10.77.0.22",
  });
});

Deno.test("a metadata service that fails, redirects, is slow or breaks off is an error that says so", async () => {
  const forever = Promise.withResolvers<Response>();
  const cut = () => new Response(new ReadableStream({ pull: (stream) => stream.error(new Error("cut")) }));
  const cases: readonly (readonly [what: RegExp, code: string, handler: Handler, deadlineMs?: number])[] = [
    [/answers 500/, "unavailable/metadata", () => new Response("", { status: 500 })],
    [/answers 204/, "unavailable/metadata", () => new Response(null, { status: 204 })],
    [
      /answers 302, and no redirect is followed/,
      "unavailable/metadata",
      ({ url }) => Response.redirect(new URL("/elsewhere", url), 302),
    ],
    [/no answer within 0\.05 s/, "unavailable/metadata", () => forever.promise, 50],
    [/breaks off|does not answer|no answer within/, "unavailable/metadata", cut, 2_000],
    [
      /larger than 262144 bytes/,
      "malformed/metadata",
      () => new Response(new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(1 << 14)) })),
    ],
    [/UTF-8/, "malformed/metadata", () => new Response(new Uint8Array([0xff, 0xfe]))],
  ];
  for (const source of ["ec2", "openstack"] as const) {
    for (const [what, code, handler, deadlineMs] of cases) {
      const error = await failure(source, handler, deadlineMs);
      assert.equal(error.code, code, `${source} ${what} ${error.message}`);
      assert.match(error.message, what);
    }
  }
  forever.resolve(new Response());
});

Deno.test("a metadata service that does not listen is an error that says so", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  using client = new MetadataClient({ clock: systemClock, base: `http://127.0.0.1:${listener.addr.port}` });
  await assert.rejects(askOpenStack(client, ["name"]), { code: "unavailable/metadata" });
});

Deno.test("askOpenStack() refuses garbage, and answers of other forms", async () => {
  for (
    const text of [
      "",
      "<html>",
      "[]",
      '{"hostname":7}',
      '{"meta":[]}',
      '{"a":1,"a":2}',
      '{"meta":{"bootstrapper-role":{}}}',
    ]
  ) {
    const error = await failure("openstack", () => new Response(text));
    assert.equal(error.code, "malformed/metadata", text);
  }
});

Deno.test("readOpenStackNetworks() has no address where it is not clear which is meant", () => {
  const read = (...addresses: readonly (string | null)[]) =>
    readOpenStackNetworks(JSON.stringify({ networks: addresses.map((ip_address) => ({ ip_address })) }), "it").address;
  assert.equal(read("10.0.0.1", null, "10.0.0.1"), "10.0.0.1");
  assert.equal(read("10.0.0.1", "fd00::1"), "10.0.0.1");
  assert.equal(read("fd00::1"), "fd00::1");
  assert.equal(read("10.0.0.1", "10.0.0.2", "fd00::1"), "fd00::1");
  assert.equal(read("10.0.0.1", "10.0.0.2"), undefined);
  assert.equal(read("none"), undefined);
});

Deno.test("readInstanceData() reads cloud-init's file", () => {
  assert.deepEqual(readInstanceData(utf8(INSTANCE_DATA), "it"), {
    name: "worker-1",
    address: "10.77.0.23",
    role: "worker",
    endpoints: "10.77.0.11:9444,srv:_bootstrapper._tcp.example.org",
  });
});

const isMalformed = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/metadata";
const READERS: readonly (readonly [sample: string, read: (bytes: Uint8Array<ArrayBuffer>) => unknown])[] = [
  [INSTANCE_DATA, (bytes) => readInstanceData(bytes, "it")],
  [OPENSTACK["/openstack/latest/meta_data.json"] ?? "", (bytes) => readOpenStackMetaData(text(bytes), "it")],
  [OPENSTACK["/openstack/latest/network_data.json"] ?? "", (bytes) => readOpenStackNetworks(text(bytes), "it")],
];
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("the readers of metadata end in no other error when bytes are changed", () => {
  for (const [sample, read] of READERS) {
    const bytes = utf8(sample);
    for (let index = 0; index < bytes.length; index++) {
      for (const mask of [1, 0x20, 0x80]) {
        const flipped = Uint8Array.from(bytes);
        flipped[index] = (flipped[index] ?? 0) ^ mask;
        try {
          read(flipped);
        } catch (error) {
          assert.ok(isMalformed(error), `${index} ${mask} ${error}`);
        }
      }
    }
  }
});

Deno.test("the readers of metadata end in no other error whatever the bytes are", () => {
  for (const [, read] of READERS) {
    const any = fc.oneof(fc.uint8Array(), fc.json().map((json) => utf8(json)));
    fc.assert(fc.property(any, (bytes) => {
      try {
        read(Uint8Array.from(bytes));
      } catch (error) {
        assert.ok(isMalformed(error), String(error));
      }
    }));
  }
});

Deno.test("an answer of the largest size is read", async () => {
  const name = `${"x".repeat(MAXIMUM_ANSWER_BYTES - 1)}\n`;
  const { texts } = await ask("ec2", imdsv2({ "/latest/meta-data/local-hostname": name }));
  assert.equal(texts.name?.length, MAXIMUM_ANSWER_BYTES - 1);
});
