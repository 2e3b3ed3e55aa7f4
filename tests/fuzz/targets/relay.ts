/**
 * The frames between a front and the process behind it.
 *
 * @module
 */
import { isIP } from "node:net";
import type { FrameForm } from "../../../channel/relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES, HEADER_BYTES } from "../../../channel/relay_frames.ts";
import { MAXIMUM_REFUSAL_LENGTH, MAXIMUM_STATUS_TEXT_BYTES } from "../../../channel/refusal.ts";
import { equalBytes } from "../../../platform/bytes.ts";
import { readWhereLine } from "../../../platform/dialing.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";

const LIMITS = { message: 4 << 10, document: 8 << 10 };
/** No payload is longer: a document or a refusal, with its fields of fixed size. */
const LONGEST_BYTES = Math.max(LIMITS.document, MAXIMUM_STATUS_TEXT_BYTES + MAXIMUM_REFUSAL_LENGTH) + 64;

/** Reads frames until the bytes end. Each must be the only encoding of what it says. */
function readFrames<Frame>(form: FrameForm<Frame>, input: Uint8Array): void {
  for (let at = 0; at < input.length;) {
    const { type, length } = form.readHeader(input.subarray(at, at + HEADER_BYTES), LIMITS);
    promise(length <= LONGEST_BYTES, "a frame is longer than any limit");
    const end = at + HEADER_BYTES + length;
    if (end > input.length) throw new BootstrapError("malformed/relay-frame", "The connection ended");
    const frame = form.read(type, input.subarray(at + HEADER_BYTES, end));
    promise(equalBytes(form.encode(frame), input.subarray(at, end)), "a frame has a second encoding");
    at = end;
  }
}

export const relayTargets: readonly FuzzTarget[] = [
  {
    name: "relay-front",
    form: "bytes",
    maximumBytes: 16 << 10,
    open: () => (input) => readFrames(FRONT_FRAMES, input),
  },
  {
    name: "relay-back",
    form: "bytes",
    maximumBytes: 16 << 10,
    open: () => (input) => readFrames(BACK_FRAMES, input),
  },
  {
    name: "dial-line",
    form: "bytes",
    maximumBytes: 128,
    open: () => (input) => {
      const endpoint = readWhereLine(input, 2379);
      if (endpoint === undefined) throw new BootstrapError("malformed/relay-frame", "It is no address");
      promise(isIP(endpoint.host) !== 0 && endpoint.port === 2379, "another host or port is read");
    },
  },
];
