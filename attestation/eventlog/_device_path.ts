/**
 * Device paths (UEFI 2.10, chapter 10) in their text form.
 *
 * @module
 */
import { logReader } from "./_format.ts";
import { guidText, preview, utf16In } from "./_text.ts";

/** Type and sub-type of the nodes with a text form of their own. */
const NODE = {
  pci: 0x0101,
  acpi: 0x0201,
  sata: 0x0312,
  nvme: 0x0317,
  mac: 0x030b,
  hardDrive: 0x0401,
  vendorMedia: 0x0403,
  filePath: 0x0404,
  firmwareFile: 0x0406,
  firmwareVolume: 0x0407,
  scsi: 0x0302,
  uri: 0x0318,
} as const;
const END_TYPE = 0x7f;
const HEADER_BYTES = 4;
const GUID_BYTES = 16;

/**
 * Returns a device path as text, one node after the other.
 *
 * @throws {BootstrapError} `malformed/event-log` for nodes that do not fill the bytes exactly.
 */
export function devicePathText(bytes: Uint8Array): string {
  const reader = logReader(bytes, "device path");
  const nodes: string[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8("type of a node");
    const subType = reader.u8("sub-type of a node");
    const length = reader.u16("length of a node");
    if (length < HEADER_BYTES) throw reader.error(`a node has ${length} bytes`);
    const data = reader.bytes(length - HEADER_BYTES, "node");
    if (type !== END_TYPE) nodes.push(nodeText(type << 8 | subType, data));
  }
  return nodes.join("/");
}

function nodeText(node: number, data: Uint8Array): string {
  const reader = logReader(data, "device path node");
  switch (node) {
    case NODE.pci: {
      const device = reader.u8("device");
      return `Pci(${reader.u8("function")},${device})`;
    }
    case NODE.acpi:
      return `Acpi(${reader.u32("HID").toString(16)},${reader.u32("UID")})`;
    case NODE.scsi:
      return `Scsi(${reader.u16("target")},${reader.u16("unit")})`;
    case NODE.sata:
      return `Sata(${reader.u16("port")},${reader.u16("multiplier")},${reader.u16("unit")})`;
    case NODE.nvme:
      return `NVMe(${reader.u32("namespace")})`;
    case NODE.mac:
      return `MAC(${reader.bytes(6, "address").toHex()})`;
    case NODE.hardDrive: {
      const partition = reader.u32("partition");
      reader.skip(16, "start and size in blocks");
      return `HD(${partition},${guidText(reader.bytes(GUID_BYTES, "GUID"))})`;
    }
    case NODE.filePath:
      return utf16In(data) ?? preview(data);
    case NODE.firmwareFile:
      return `FvFile(${guidText(reader.bytes(GUID_BYTES, "GUID"))})`;
    case NODE.firmwareVolume:
      return `Fv(${guidText(reader.bytes(GUID_BYTES, "GUID"))})`;
    case NODE.vendorMedia:
      return `VenMedia(${guidText(reader.bytes(GUID_BYTES, "GUID"))})`;
    case NODE.uri:
      return `Uri(${new TextDecoder().decode(data)})`;
    default:
      return `Path(${node >> 8},${node & 0xff},${preview(data)})`;
  }
}
