import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, hex } from "../../../platform/bytes.ts";
import { errorOf } from "../../testing/evidence.ts";
import { openTpmDevice, streamTransport, type TpmStream, TpmTransportError } from "./transport.ts";
import { tpmWriter } from "./wire.ts";

/** A stream that answers each whole command with the same bytes after a header, in pieces. */
function echo(pieces: number, log: string[] = []): TpmStream {
  let pending: Uint8Array = new Uint8Array();
  return {
    write(bytes) {
      const written = Math.min(bytes.length, pieces);
      pending = concat(pending, bytes.subarray(0, written));
      log.push("write");
      return Promise.resolve(written);
    },
    read(buffer) {
      const given = pending.subarray(0, Math.min(pieces, buffer.length));
      buffer.set(given);
      pending = pending.subarray(given.length);
      log.push("read");
      return Promise.resolve(given.length === 0 ? null : given.length);
    },
    close: () => void log.push("close"),
  };
}

function answering(response: Uint8Array): TpmStream {
  const whole = echo(10_000);
  return { ...whole, write: (bytes) => whole.write(response).then(() => bytes.length) };
}

const message = (body: Uint8Array, size = 10 + body.length) =>
  tpmWriter().u16(0x8001).u32(size).u32(0).bytes(body).done();

Deno.test("transmit() returns the whole response when it comes in pieces of any size", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 300 }), async (body, pieces) => {
      const command = message(body);
      assert.equal(hex(await streamTransport(echo(pieces), "test").transmit(command)), hex(command));
    }),
  );
});

Deno.test("transmit() sends commands one at a time when they are given at once", async () => {
  const log: string[] = [];
  const transport = streamTransport(echo(1000, log), "test");
  const commands = [1, 2, 3].map((byte) => message(Uint8Array.of(byte)));
  const responses = await Promise.all(commands.map((command) => transport.transmit(command)));
  assert.deepEqual(responses, commands);
  assert.deepEqual(log, ["write", "read", "write", "read", "write", "read"]);
});

Deno.test("transmit() refuses responses of a wrong size, and stays broken afterwards", async () => {
  const body = new Uint8Array(5);
  for (
    const response of [
      message(body, 9),
      message(body, 14),
      message(body, 5000),
      message(new Uint8Array(4086), 0xffffffff),
    ]
  ) {
    const transport = streamTransport(answering(response), "test");
    assert.equal((await errorOf(() => transport.transmit(message(body)))).code, "malformed/tpm-response");
    assert.equal((await errorOf(() => transport.transmit(message(body)))).code, "system/tpm-transport");
  }
});

Deno.test("transmit() fails when the stream ends in the middle of a response, or when the stream fails", async () => {
  const cut = streamTransport(answering(message(new Uint8Array(5), 100)), "test");
  assert.equal((await errorOf(() => cut.transmit(message(new Uint8Array())))).code, "system/tpm-transport");
  const failing = streamTransport({ ...echo(9), write: () => Promise.reject(new Error("EIO")) }, "test");
  assert.match((await errorOf(() => failing.transmit(message(new Uint8Array())))).message, /EIO/);
});

Deno.test("transmit() gives up on a TPM that is silent, and the transport stays broken", async () => {
  const answers = Promise.withResolvers<null>();
  const transport = streamTransport({ ...echo(1000), read: () => answers.promise }, "test");
  const command = message(new Uint8Array());
  const [first, second] = await Promise.all([
    errorOf(() => transport.transmit(command, 20)),
    errorOf(() => transport.transmit(command, 20)),
  ]);
  assert.equal(first.code, "system/tpm-silent");
  assert.match(first.message, /did not answer within 0\.02 s/);
  assert.equal(first.retriable, false);
  assert.equal(second.code, "system/tpm-transport");
  assert.match(second.message, /it failed before: The TPM at test did not answer within 0\.02 s/);
  answers.resolve(null);
});

Deno.test("transmit() works again after a call that failed as a whole, and not after one that failed in the middle", async () => {
  const command = message(Uint8Array.of(1, 2, 3));
  for (
    const [call, pieces, works] of [["write", 1000, true], ["read", 1000, true], ["write", 4, false], [
      "read",
      4,
      false,
    ]] as const
  ) {
    const whole = echo(pieces);
    let calls = 0;
    const failsOnce = <T>(work: () => Promise<T>): Promise<T> => {
      const isTime = ++calls === (pieces === 1000 ? 1 : 2);
      return isTime ? Promise.reject(new Error("Input/output error (os error 5)")) : work();
    };
    const stream: TpmStream = {
      ...whole,
      write: (bytes) => call === "write" ? failsOnce(() => whole.write(bytes)) : whole.write(bytes),
      // A device drops the answer to a call that failed.
      read: (buffer) => call === "read" ? failsOnce(() => whole.read(buffer)) : whole.read(buffer),
    };
    const transport = streamTransport(stream, "test");
    const error = await errorOf(() => transport.transmit(command));
    assert.ok(error instanceof TpmTransportError);
    assert.equal(error.mayRepeat, works, `${call} ${pieces}`);
    assert.match(error.message, /os error 5/);
    if (call === "read") continue;
    if (works) assert.deepEqual(await transport.transmit(command), command);
    else assert.equal((await errorOf(() => transport.transmit(command))).code, "system/tpm-transport");
  }
});

Deno.test("transmit() fails when the transport was closed", async () => {
  const log: string[] = [];
  const transport = streamTransport(echo(1, log), "test");
  transport.close();
  assert.equal((await errorOf(() => transport.transmit(message(new Uint8Array())))).code, "system/tpm-transport");
  assert.deepEqual(log, ["close"]);
});

Deno.test("openTpmDevice() says what to do when there is no TPM", async () => {
  const error = await errorOf(() => openTpmDevice("/nonexistent/tpm"));
  assert.equal(error.code, "system/tpm-transport");
  assert.match(error.next, /TPM 2\.0/);
});
