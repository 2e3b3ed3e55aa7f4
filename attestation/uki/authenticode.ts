/**
 * The hash that firmware measures into PCR 4 when it loads a PE image.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Bytes } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { PeImage } from "./pe.ts";

const CHECKSUM_BYTES = 4;
const DIRECTORY_BYTES = 8;

/**
 * Returns SHA-256 over an image without its checksum and signatures, 32 bytes ("Windows Authenticode Portable
 * Executable Signature Format", Calculating the PE Image Hash). The steps are those of EDK II (`MeasureBootPeCoff.c`):
 * if there are gaps between sections, firmware and signing tools differ, and the firmware's result counts here.
 *
 * @throws {BootstrapError} `malformed/pe` for an image that the firmware would refuse to measure.
 */
export function imageHash(image: PeImage): Bytes {
  const { bytes, checksumOffset, certificateEntryOffset, certificateBytes, headerBytes, sections } = image;
  const hash = createHash("sha256");
  hash.update(bytes.subarray(0, checksumOffset));
  const afterChecksum = checksumOffset + CHECKSUM_BYTES;
  if (certificateEntryOffset === undefined) hash.update(bytes.subarray(afterChecksum, headerBytes));
  else {
    hash.update(bytes.subarray(afterChecksum, certificateEntryOffset));
    hash.update(bytes.subarray(certificateEntryOffset + DIRECTORY_BYTES, headerBytes));
  }
  let hashed = headerBytes;
  for (const { rawOffset, rawSize } of [...sections].sort((a, b) => a.rawOffset - b.rawOffset)) {
    hash.update(bytes.subarray(rawOffset, rawOffset + rawSize));
    hashed += rawSize;
  }
  const end = bytes.length - certificateBytes;
  if (hashed > end) throw new BootstrapError("malformed/pe", "Cannot hash a PE image whose sections overlap its end");
  hash.update(bytes.subarray(hashed, end));
  return new Uint8Array(hash.digest());
}
