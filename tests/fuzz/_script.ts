/**
 * Several messages in one input: a protobuf message whose field 1 holds each, so that mutations keep their lengths.
 *
 * @module
 */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Bytes } from "../../platform/bytes.ts";
import { copyOf } from "../../platform/bytes.ts";

const FIELD_1 = 0x0a;

/** Puts messages into one input. */
export function writeScript(messages: readonly Uint8Array[]): Bytes {
  const writer = new BinaryWriter();
  for (const message of messages) writer.uint32(FIELD_1).bytes(message);
  return copyOf(writer.finish());
}

/** The messages up to the first thing that is none. */
export function readScript(input: Uint8Array): Bytes[] {
  const reader = new BinaryReader(input);
  const messages: Bytes[] = [];
  try {
    while (reader.pos < reader.len && reader.uint32() === FIELD_1) messages.push(copyOf(reader.bytes()));
  } catch {
    // What the harness cannot read ends the script.
  }
  return messages;
}
