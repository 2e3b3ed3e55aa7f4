/**
 * The frames between a front, which listens, and the process behind it, which runs the exchanges.
 *
 * ```text
 * frame = u8 type ‖ u32be length ‖ payload
 * ```
 *
 * A connection carries one exchange, or one errand of the front. Its first frame says which, and comes from the front.
 * Each end treats the other as hostile: sizes are checked before anything is read into memory, and each type belongs to
 * one direction.
 *
 * | type | from the front                  | payload                                                         |
 * | ---- | ------------------------------- | --------------------------------------------------------------- |
 * | 1    | `exchange`, first               | u8 version, u8 service, CB (32 bytes), u8 length ‖ peer address |
 * | 2    | `listening`, first              | u8 version, u16be port                                          |
 * | 3    | `errands`, first                | u8 version                                                      |
 * | 4    | `message`                       | a gRPC message of the peer                                      |
 * | 5    | `document`                      | u32be number of the errand, u16be HTTP status or 0, body        |
 *
 * | type | from the process behind         | payload                                                         |
 * | ---- | ------------------------------- | --------------------------------------------------------------- |
 * | 17   | `await`: the peer is to speak   | none                                                            |
 * | 18   | `message`                       | a gRPC message for the peer                                     |
 * | 19   | `trusted`: keep the peer        | none                                                            |
 * | 20   | `alive`                         | none                                                            |
 * | 21   | `ended`                         | none                                                            |
 * | 22   | `refused`                       | u8 gRPC status, u16be length ‖ text, u16be length ‖ `Refusal`   |
 * | 23   | `fetch`                         | u32be number of the errand, u16be length ‖ URL                  |
 *
 * @module
 */
import type { ByteFormat } from "../platform/byte_reader.ts";
import { ByteReader } from "../platform/byte_reader.ts";
import { ByteWriter } from "../platform/byte_writer.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { RelayedStatus } from "./refusal.ts";
import { MAXIMUM_REFUSAL_LENGTH, MAXIMUM_STATUS_TEXT_BYTES } from "./refusal.ts";

/** The version of the frames. Both ends are the same program, so that another version is a defect. */
const VERSION = 1;
/** The length of a frame's header: type and length. */
export const HEADER_BYTES = 5;
const BINDING_BYTES = 32;
/** An IPv6 address with a zone and a port is shorter. */
const MAXIMUM_PEER_BYTES = 96;
const PEER = /^[0-9A-Za-z.:%_[\]-]+$/;
const MAXIMUM_URL_BYTES = 2048;
/** The largest status of gRPC (`UNAUTHENTICATED`). 0 is success, which is no refusal. */
const LARGEST_STATUS = 16;

/** A frame of the front. */
export type FrontFrame =
  | {
    readonly kind: "exchange";
    /** The number of the service that the peer called. */
    readonly service: number;
    /** CB, as the front computed it. It proves nothing. */
    readonly binding: Bytes;
    /** The peer's address and port, as the front saw them. They prove nothing. */
    readonly peer: string;
  }
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "errands" }
  | { readonly kind: "message"; readonly bytes: Bytes }
  | {
    readonly kind: "document";
    /** The number of the errand that it answers. */
    readonly number: number;
    /** The HTTP status; 0 if there was no answer, and the body is then the reason. */
    readonly status: number;
    readonly body: Bytes;
  };

/** A frame of the process behind the front. */
export type BackFrame =
  | { readonly kind: "await" }
  | { readonly kind: "message"; readonly bytes: Bytes }
  | { readonly kind: "trusted" }
  | { readonly kind: "alive" }
  | { readonly kind: "ended" }
  | ({ readonly kind: "refused" } & RelayedStatus)
  | { readonly kind: "fetch"; readonly number: number; readonly url: string };

/** The largest payloads that an end takes from the other, bytes. */
export interface FrameLimits {
  /** A gRPC message. */
  readonly message: number;
  /** The body of a document. */
  readonly document: number;
}

/** One direction of the frames. */
export interface FrameForm<Frame> {
  /**
   * Reads a header.
   *
   * @throws {BootstrapError} `protocol/message-size` for a message beyond its limit; `malformed/relay-frame` for an
   *   unknown type, or one of the other direction, and for a length that no frame of the type has.
   */
  readHeader(header: Uint8Array, limits: FrameLimits): { readonly type: number; readonly length: number };
  /** Reads a frame whose header was read. @throws {BootstrapError} `malformed/relay-frame`. */
  read(type: number, payload: Uint8Array): Frame;
  /** Encodes a frame, with its header. */
  encode(frame: Frame): Bytes;
}

const FORMAT: ByteFormat = {
  order: "big-endian",
  error: (what, reason) => new BootstrapError("malformed/relay-frame", `Cannot read the frame "${what}": ${reason}`),
};

/** One type of frame. */
interface FrameType {
  readonly type: number;
  readonly kind: string;
  readonly least: number;
  readonly most: (limits: FrameLimits) => number;
}

const exactly = (type: number, kind: string, length: number): FrameType => ({
  ...{ type, kind, least: length },
  most: () => length,
});

const FRONT_TYPES: readonly FrameType[] = [
  { type: 1, kind: "exchange", least: 3 + BINDING_BYTES, most: () => 3 + BINDING_BYTES + MAXIMUM_PEER_BYTES },
  exactly(2, "listening", 3),
  exactly(3, "errands", 1),
  { type: 4, kind: "message", least: 0, most: ({ message }) => message },
  { type: 5, kind: "document", least: 6, most: ({ document }) => 6 + document },
];
const BACK_TYPES: readonly FrameType[] = [
  exactly(17, "await", 0),
  { type: 18, kind: "message", least: 0, most: ({ message }) => message },
  exactly(19, "trusted", 0),
  exactly(20, "alive", 0),
  exactly(21, "ended", 0),
  { type: 22, kind: "refused", least: 5, most: () => 5 + MAXIMUM_STATUS_TEXT_BYTES + MAXIMUM_REFUSAL_LENGTH },
  { type: 23, kind: "fetch", least: 7, most: () => 6 + MAXIMUM_URL_BYTES },
];

function form<Frame extends { readonly kind: string }>(
  types: readonly FrameType[],
  read: (kind: string, reader: ByteReader) => Frame | undefined,
  write: (frame: Frame, writer: ByteWriter) => ByteWriter,
): FrameForm<Frame> {
  return {
    readHeader(header, limits) {
      const reader = new ByteReader(header, "header", FORMAT);
      const type = reader.u8("type");
      const length = reader.u32("length");
      reader.end();
      const known = types.find((one) => one.type === type);
      if (known === undefined) throw reader.error(`this end takes no frame of type ${type}`);
      const most = known.most(limits);
      // A message is a peer's, and passed on as it came: its size says nothing about the front.
      if (known.kind === "message" && length > most) {
        throw new BootstrapError(
          "protocol/message-size",
          `A message is too large: ${length} bytes, of at most ${most}`,
        );
      }
      if (length < known.least || length > most) {
        throw reader.error(`"${known.kind}" must have ${known.least} to ${most} bytes: it has ${length}`);
      }
      return { type, length };
    },
    read(type, payload) {
      const kind = types.find((one) => one.type === type)?.kind ?? "header";
      const reader = new ByteReader(payload, kind, FORMAT);
      const frame = read(kind, reader);
      if (frame === undefined) throw reader.error(`this end takes no frame of type ${type}`);
      reader.end();
      return frame;
    },
    encode(frame) {
      const { type = 0 } = types.find(({ kind }) => kind === frame.kind) ?? {};
      const payload = write(frame, new ByteWriter("big-endian")).done();
      return concat(new ByteWriter("big-endian").u8(type).u32(payload.length).done(), payload);
    },
  };
}

function readVersion(reader: ByteReader): void {
  const version = reader.u8("version");
  if (version !== VERSION) throw reader.error(`"version" must be ${VERSION}: it is ${version}`);
}

function readText(bytes: Uint8Array, field: string, reader: ByteReader): string {
  try {
    return fromUtf8(bytes, field);
  } catch {
    throw reader.error(`"${field}" is not UTF-8`);
  }
}

function readPeer(reader: ByteReader): string {
  const peer = readText(reader.bytes(reader.u8("length of peer"), "peer"), "peer", reader);
  if (!PEER.test(peer)) throw reader.error('"peer" is not an address');
  return peer;
}

function readStatus(reader: ByteReader): RelayedStatus {
  const code = reader.u8("status");
  if (code === 0 || code > LARGEST_STATUS) throw reader.error(`"status" must be 1 to ${LARGEST_STATUS}: it is ${code}`);
  const text = readText(reader.sized16(MAXIMUM_STATUS_TEXT_BYTES, "text"), "text", reader);
  return { code, text, refusal: reader.sized16(MAXIMUM_REFUSAL_LENGTH, "refusal") };
}

/** The frames of a front. */
export const FRONT_FRAMES: FrameForm<FrontFrame> = form<FrontFrame>(
  FRONT_TYPES,
  (kind, reader) => {
    switch (kind) {
      case "exchange":
        readVersion(reader);
        return {
          kind,
          service: reader.u8("service"),
          binding: reader.bytes(BINDING_BYTES, "binding"),
          peer: readPeer(reader),
        };
      case "listening":
        readVersion(reader);
        return { kind, port: reader.u16("port") };
      case "errands":
        readVersion(reader);
        return { kind };
      case "message":
        return { kind, bytes: reader.rest("message") };
      case "document":
        return { kind, number: reader.u32("number"), status: reader.u16("status"), body: reader.rest("body") };
      default:
        return undefined;
    }
  },
  (frame, writer) => {
    switch (frame.kind) {
      case "exchange": {
        const peer = utf8(frame.peer);
        return writer.u8(VERSION).u8(frame.service).bytes(frame.binding).u8(peer.length).bytes(peer);
      }
      case "listening":
        return writer.u8(VERSION).u16(frame.port);
      case "errands":
        return writer.u8(VERSION);
      case "message":
        return writer.bytes(frame.bytes);
      case "document":
        return writer.u32(frame.number).u16(frame.status).bytes(frame.body);
    }
  },
);

/** The frames of the process behind a front. */
export const BACK_FRAMES: FrameForm<BackFrame> = form<BackFrame>(
  BACK_TYPES,
  (kind, reader) => {
    switch (kind) {
      case "message":
        return { kind, bytes: reader.rest("message") };
      case "refused":
        return { kind, ...readStatus(reader) };
      case "fetch":
        return {
          kind,
          number: reader.u32("number"),
          url: readText(reader.sized16(MAXIMUM_URL_BYTES, "url"), "url", reader),
        };
      case "await":
      case "trusted":
      case "alive":
      case "ended":
        return { kind };
      default:
        return undefined;
    }
  },
  (frame, writer) => {
    switch (frame.kind) {
      case "message":
        return writer.bytes(frame.bytes);
      case "refused":
        return writer.u8(frame.code).sized16(utf8(frame.text)).sized16(frame.refusal);
      case "fetch":
        return writer.u32(frame.number).sized16(utf8(frame.url));
      default:
        return writer;
    }
  },
);
