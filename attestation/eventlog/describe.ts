/**
 * Descriptions of log events for people.
 *
 * A description comes from the unsigned log. {@linkcode isVouchedFor} tells whether the digest, and so the TPM,
 * confirms it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { ByteReader } from "../../platform/byte_reader.ts";
import { concat, equalBytes, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { devicePathText } from "./_device_path.ts";
import { logReader } from "./_format.ts";
import { asciiIn, guidText, preview, shown, utf16In } from "./_text.ts";
import type { BankHash, LogEvent } from "./event_log.ts";
import { EVENT_TYPE } from "./event_types.ts";

const GUID_BYTES = 16;
const SPEC_ID_BYTES = 16;
/** UEFI 2.10, 5.3.2: the offset of the disk's GUID in a GPT header, and the lengths of the header and the entries. */
const GPT = {
  signatureBytes: 8,
  guidOffset: 56,
  entrySizeOffset: 84,
  headerBytes: 92,
  entryBytes: 128,
  nameOffset: 56,
  nameBytes: 72,
};
/** GUID, length of the name, length of the value. */
const VARIABLE_HEADER_BYTES = 32;
const SHOWN_PARTITIONS = 16;
const SHOWN_VARIABLE_BYTES = 64;
const SEPARATOR_ERROR = "01000000";
const NUL = new Uint8Array(1);

/** Describes an event on one line. Data that does not have the form of its type is shown in hexadecimal. */
export function describeEvent(event: LogEvent): string {
  try {
    return shown(describe(event));
  } catch (error) {
    if (error instanceof BootstrapError) return preview(event.data);
    throw error;
  }
}

/**
 * Whether the digest of an event is over its data in the log, so that its text is as trustworthy as the quote.
 * This holds for strings and variables. For programs, the digest is over the program, and nothing confirms the text, a
 * path.
 */
export function isVouchedFor(event: LogEvent, bank: BankHash = "sha256"): boolean {
  const digest = event.digests.get(bank);
  if (digest === undefined || event.type === EVENT_TYPE.noAction) return false;
  return candidates(event).some((bytes) => equalBytes(createHash(bank).update(bytes).digest(), digest));
}

/**
 * Returns the possible measured bytes, if the text is true: the data, and for boot loaders' strings the forms that they
 * use.
 */
function candidates({ type, data }: LogEvent): Uint8Array[] {
  if (type === EVENT_TYPE.eventTag) return [data, data.subarray(8)];
  if (type === EVENT_TYPE.variableBoot) return [data, variableValue(data)];
  if (type !== EVENT_TYPE.ipl) return [data];
  const text = asciiIn(data) ?? utf16In(data);
  if (text === undefined) return [data];
  // GRUB logs "grub_cmd: x" and measures x; older versions omit the colon. systemd-stub measures a section's name with
  // its NUL.
  const measured = [text, text.replace(/^\w+:? /, "")].map(utf8);
  return [data, ...measured, ...measured.map((bytes) => concat(bytes, NUL))];
}

/** Returns a variable's value. EDK II measures only the value of a boot variable. */
function variableValue(data: Uint8Array): Uint8Array {
  if (data.length < VARIABLE_HEADER_BYTES) return data;
  const nameLength = logReader(data, "variable").at(GUID_BYTES).u32("length of the name");
  return data.subarray(VARIABLE_HEADER_BYTES + 2 * nameLength);
}

function describe({ type, data }: LogEvent): string {
  switch (type) {
    case EVENT_TYPE.separator:
      return describeSeparator(data);
    case EVENT_TYPE.variableDriverConfig:
    case EVENT_TYPE.variableBoot:
    case EVENT_TYPE.variableBoot2:
    case EVENT_TYPE.variableAuthority:
      return describeVariable(data);
    case EVENT_TYPE.bootServicesApplication:
    case EVENT_TYPE.bootServicesDriver:
    case EVENT_TYPE.runtimeServicesDriver:
      return describeImage(data);
    case EVENT_TYPE.gpt:
    case EVENT_TYPE.gpt2:
      return describePartitions(data);
    case EVENT_TYPE.firmwareBlob:
      return describeBlob(logReader(data, "firmware blob"), "");
    case EVENT_TYPE.firmwareBlob2: {
      const reader = logReader(data, "firmware blob");
      const name = reader.bytes(reader.u8("length of the name"), "name");
      return describeBlob(reader, asciiIn(name) ?? preview(name));
    }
    case EVENT_TYPE.eventTag:
      return describeTag(data);
    case EVENT_TYPE.noAction:
      return describeNoAction(data);
    default:
      return textIn(data) ?? preview(data);
  }
}

/** Reads ASCII first, then UTF-16: a short ASCII text is also valid UTF-16, but of strange characters. */
function textIn(data: Uint8Array): string | undefined {
  return asciiIn(data) ?? utf16In(data);
}

function describeSeparator(data: Uint8Array): string {
  const value = data.toHex();
  if (value === SEPARATOR_ERROR) return `separator ${value}: the firmware reports an error`;
  return `separator ${preview(data)}`;
}

/** UEFI_VARIABLE_DATA (Platform Firmware Profile 1.05, 10.2.6). */
function describeVariable(data: Uint8Array): string {
  const reader = logReader(data, "variable");
  const guid = guidText(reader.bytes(GUID_BYTES, "GUID"));
  const nameLength = Number(reader.u64("length of the name"));
  const valueLength = Number(reader.u64("length of the value"));
  const nameBytes = reader.bytes(nameLength * 2, "name");
  const name = utf16In(nameBytes) ?? preview(nameBytes);
  const value = reader.bytes(valueLength, "value");
  reader.end();
  if (name === "BootOrder" && value.length % 2 === 0) {
    const options = Array.from(
      { length: value.length / 2 },
      (_, i) => (value[2 * i] ?? 0) + 256 * (value[2 * i + 1] ?? 0),
    );
    return `BootOrder = ${options.map((option) => option.toString(16).toUpperCase().padStart(4, "0")).join(", ")}`;
  }
  if (/^Boot[0-9A-F]{4}$/.test(name)) return `${name} = ${loadOptionText(value)}`;
  const text = value.length > 1 ? asciiIn(value) : undefined;
  if (text !== undefined) return `${name} = ${text}`;
  return value.length <= SHOWN_VARIABLE_BYTES
    ? `${name} = ${preview(value)}`
    : `${name} (${guid}), ${value.length} bytes, SHA-256 ${createHash("sha256").update(value).digest("hex")}`;
}

/** EFI_LOAD_OPTION (UEFI 2.10, 3.1.3). */
function loadOptionText(value: Uint8Array): string {
  const reader = logReader(value, "load option");
  reader.skip(4, "attributes");
  const pathLength = reader.u16("length of the path");
  const name: number[] = [];
  const next = () => reader.u16("character of the name");
  for (let character = next(); character !== 0; character = next()) name.push(character);
  const path = devicePathText(reader.bytes(pathLength, "path"));
  const options = reader.rest("options");
  const text = options.length === 0 ? "" : ` options ${textIn(options) ?? preview(options)}`;
  return `"${String.fromCharCode(...name.slice(0, SHOWN_VARIABLE_BYTES))}" ${path}${text}`;
}

/** UEFI_IMAGE_LOAD_EVENT (10.2.3): the load address, the length, the link-time address, and the device path. */
function describeImage(data: Uint8Array): string {
  const reader = logReader(data, "image");
  reader.skip(8, "address");
  const length = reader.u64("length of the image");
  reader.skip(8, "linker's address");
  const path = reader.bytes(Number(reader.u64("length of the path")), "path");
  const text = path.length === 0 ? "" : devicePathText(path);
  return `${text === "" ? "an image without a path" : text}, ${length} bytes`;
}

/** UEFI_GPT_DATA (10.2.5). */
function describePartitions(data: Uint8Array): string {
  const reader = logReader(data, "partition table");
  const header = reader.part(GPT.headerBytes, "header");
  const entrySize = header.at(GPT.entrySizeOffset).u32("size of an entry");
  if (entrySize < GPT.entryBytes) throw reader.error(`its entries have ${entrySize} bytes`);
  const count = Number(reader.u64("count of entries"));
  const names: string[] = [];
  for (let i = 0; i < count; i++) {
    const entry = reader.bytes(entrySize, "entry");
    const type = guidText(entry.subarray(0, GUID_BYTES));
    const name = utf16In(untilNul(entry.subarray(GPT.nameOffset, GPT.nameOffset + GPT.nameBytes)));
    if (names.length < SHOWN_PARTITIONS) names.push(name === undefined ? type : `${type} "${name}"`);
  }
  const disk = guidText(header.at(GPT.guidOffset).bytes(GUID_BYTES, "GUID of the disk"));
  return `disk ${disk}, ${count} partitions: ${names.join(", ")}`;
}

/** UTF-16 up to the first NUL. */
function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.findIndex((octet, i) => i % 2 === 0 && octet === 0 && bytes[i + 1] === 0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

function describeBlob(reader: ByteReader, name: string): string {
  const base = reader.u64("address");
  const length = reader.u64("length of the blob");
  return `${name === "" ? "firmware" : name} at 0x${base.toString(16)}, ${length} bytes`;
}

/** TCG_PCClientTaggedEvent (10.2.8). */
function describeTag(data: Uint8Array): string {
  const reader = logReader(data, "tagged event");
  const id = reader.u32("tag");
  const content = reader.bytes(reader.u32("length of the content"), "content");
  return `tag ${id.toString(16).padStart(8, "0")}: ${textIn(content) ?? preview(content)}`;
}

function describeNoAction(data: Uint8Array): string {
  const name = data.subarray(0, SPEC_ID_BYTES);
  const end = name.indexOf(0);
  const text = asciiIn(end === -1 ? name : name.subarray(0, end));
  if (text === undefined) return textIn(data) ?? preview(data);
  return data.length > SPEC_ID_BYTES ? `${text} ${preview(data.subarray(SPEC_ID_BYTES))}` : text;
}
