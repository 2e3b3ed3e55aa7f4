import assert from "node:assert/strict";
import { concat } from "../platform/bytes.ts";
import { FrameConnection } from "./frame_connection.ts";
import type { FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "./relay_frames.ts";

/** The reading end of a connection that gives the bytes in pieces of at most so many. */
function connection(bytes: Uint8Array, most: number) {
  let at = 0;
  const conn = {
    read: (into: Uint8Array) => {
      const piece = bytes.subarray(at, at + Math.min(most, into.length));
      at += piece.length;
      into.set(piece);
      return Promise.resolve(piece.length === 0 ? null : piece.length);
    },
    close: () => {},
  } as unknown as Deno.Conn;
  return new FrameConnection({
    ...{ conn, incoming: FRONT_FRAMES, outgoing: BACK_FRAMES },
    limits: { message: 10_000, document: 0 },
  });
}

const message = (length: number): FrontFrame => ({
  kind: "message",
  bytes: Uint8Array.from({ length }, (_, index) => index % 251),
});

Deno.test("next() reads each frame however the bytes of all are cut", async () => {
  const frames = [0, 1, 1018, 1019, 1020, 1023, 1024, 1025, 0, 0, 5000, 3].map(message);
  const bytes = concat(...frames.map((frame) => FRONT_FRAMES.encode(frame)));
  for (const most of [1, 2, 4, 5, 6, 1023, 1024, 1025, 4096, 100_000]) {
    using reading = connection(bytes, most);
    for (const frame of frames) assert.deepEqual(await reading.next(), frame);
    assert.equal(await reading.next(), undefined);
  }
});

Deno.test("next() returns nothing when a frame is cut off", async () => {
  const bytes = FRONT_FRAMES.encode(message(2000));
  for (const length of [1, 4, 5, 6, 1023, 1024, 1999, 2004]) {
    using reading = connection(bytes.subarray(0, length), 100_000);
    assert.equal(await reading.next(), undefined, `${length} bytes`);
  }
});
