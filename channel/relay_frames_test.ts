import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import type { BackFrame, FrameForm, FrontFrame } from "./relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES, HEADER_BYTES } from "./relay_frames.ts";

const LIMITS = { message: 1024, document: 2048 };
const bytes = (most: number) => fc.uint8Array({ maxLength: most }).map((value) => new Uint8Array(value));
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const text = fc.string({ unit: "grapheme", maxLength: 64 });

const frontFrames: fc.Arbitrary<FrontFrame> = fc.oneof(
  fc.record({
    kind: fc.constant("exchange" as const),
    service: fc.integer({ min: 0, max: 255 }),
    binding: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((value) => new Uint8Array(value)),
    peer: fc.oneof(fc.ipV4(), fc.ipV6()).map((address) => `${address}:40000`),
  }),
  fc.record({ kind: fc.constant("listening" as const), port: fc.integer({ min: 0, max: 65_535 }) }),
  fc.constant({ kind: "errands" as const }),
  fc.record({ kind: fc.constant("message" as const), bytes: bytes(LIMITS.message) }),
  fc.record({
    kind: fc.constant("document" as const),
    number: u32,
    status: fc.integer({ min: 0, max: 65_535 }),
    body: bytes(LIMITS.document),
  }),
);

const backFrames: fc.Arbitrary<BackFrame> = fc.oneof(
  fc.constantFrom<BackFrame>({ kind: "await" }, { kind: "trusted" }, { kind: "alive" }, { kind: "ended" }),
  fc.record({ kind: fc.constant("message" as const), bytes: bytes(LIMITS.message) }),
  fc.record({
    kind: fc.constant("refused" as const),
    code: fc.integer({ min: 1, max: 16 }),
    text,
    refusal: bytes(512),
  }),
  fc.record({ kind: fc.constant("fetch" as const), number: u32, url: text.filter((one) => one !== "") }),
);

/** Reads one frame from bytes that begin with its header. */
function read<Frame>(form: FrameForm<Frame>, encoded: Uint8Array): Frame {
  const { type, length } = form.readHeader(encoded.subarray(0, HEADER_BYTES), LIMITS);
  const payload = encoded.subarray(HEADER_BYTES);
  if (payload.length !== length) throw new BootstrapError("malformed/relay-frame", "cut off");
  return form.read(type, payload);
}

function testForm<Frame extends object>(name: string, form: FrameForm<Frame>, frames: fc.Arbitrary<Frame>): void {
  Deno.test(`${name}: a frame is read as it was written`, () => {
    fc.assert(fc.property(frames, (frame) => assert.deepEqual(read(form, form.encode(frame)), { ...frame })));
  });

  Deno.test(`${name}: a changed frame is refused, or read as what it then says`, () => {
    fc.assert(fc.property(frames, fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, at, flip) => {
      const encoded = form.encode(frame);
      const index = at % encoded.length;
      encoded[index] = (encoded[index] ?? 0) ^ flip;
      let seen: Frame;
      try {
        seen = read(form, encoded);
      } catch (error) {
        assert.ok(error instanceof BootstrapError && REFUSED.test(error.code), String(error));
        return;
      }
      assert.deepEqual(form.encode(seen), encoded);
    }));
  });

  Deno.test(`${name}: any bytes are refused, or are the encoding of a frame`, () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 128 }), (encoded) => {
      let seen: Frame;
      try {
        seen = read(form, encoded);
      } catch (error) {
        assert.ok(error instanceof BootstrapError && REFUSED.test(error.code), String(error));
        return;
      }
      assert.deepEqual(form.encode(seen), new Uint8Array(encoded));
    }));
  });
}

testForm("FRONT_FRAMES", FRONT_FRAMES, frontFrames);
testForm("BACK_FRAMES", BACK_FRAMES, backFrames);

/** A message that is too large is its peer's; all else is the other end's. */
const REFUSED = /^(?:malformed\/relay-frame|protocol\/message-size)$/;

Deno.test("readHeader() refuses a length beyond the limit of its type before anything is read", () => {
  const header = (type: number, length: number) =>
    Uint8Array.of(type, length >>> 24, length >> 16, length >> 8, length);
  const refused = { code: "malformed/relay-frame" };
  const tooLarge = { code: "protocol/message-size", message: "A message is too large: 1025 bytes, of at most 1024" };
  assert.throws(() => FRONT_FRAMES.readHeader(header(4, 1025), LIMITS), tooLarge);
  assert.throws(() => BACK_FRAMES.readHeader(header(18, 1025), LIMITS), tooLarge);
  for (const [type, length] of [[5, 2055], [1, 132], [2, 4], [3, 0]] as const) {
    assert.throws(() => FRONT_FRAMES.readHeader(header(type, length), LIMITS), refused, `${type}`);
  }
  for (const [type, length] of [[16, 1], [22, 12_000], [23, 3000]] as const) {
    assert.throws(() => BACK_FRAMES.readHeader(header(type, length), LIMITS), refused, `${type}`);
  }
});

Deno.test("readHeader() takes no frame of the other direction", () => {
  const refused = { code: "malformed/relay-frame" };
  const ended = BACK_FRAMES.encode({ kind: "ended" });
  assert.throws(() => FRONT_FRAMES.readHeader(ended.subarray(0, HEADER_BYTES), LIMITS), refused);
  const errands = FRONT_FRAMES.encode({ kind: "errands" });
  assert.throws(() => BACK_FRAMES.readHeader(errands.subarray(0, HEADER_BYTES), LIMITS), refused);
});
