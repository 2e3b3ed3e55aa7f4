/**
 * Several messages in one input. The input is a protobuf message whose repeated field 1 holds them, so mutations keep
 * their lengths valid.
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

/** The messages up to the first field that is not one. */
export function readScript(input: Uint8Array): Bytes[] {
  const reader = new BinaryReader(input);
  const messages: Bytes[] = [];
  try {
    while (reader.pos < reader.len && reader.uint32() === FIELD_1) messages.push(copyOf(reader.bytes()));
  } catch {
    // The script ends at the first bytes that the harness cannot read.
  }
  return messages;
}
