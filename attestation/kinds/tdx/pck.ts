/**
 * The platform data in Intel's PCK certificates (Intel SGX PCK Certificate and CRL Profile Specification, 1.3.5).
 *
 * @module
 */
import type { DerReader } from "../../../certificate/der.ts";
import { derError, readDer, TAG } from "../../../certificate/der.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { hex } from "../../../platform/bytes.ts";

/** A platform, as its PCK certificate describes it. */
export interface PckPlatform {
  /** PPID, 32 hexadecimal digits, lower case. It names one processor, or one set of processors. */
  readonly ppid: string;
  /** FMSPC, 12 hexadecimal digits, lower case: family, model, stepping, platform type. */
  readonly fmspc: string;
  /** PCE-ID, 4 hexadecimal digits, lower case. */
  readonly pceId: string;
  /** The SVNs of the 16 components. */
  readonly components: readonly number[];
  /** The PCE's ISVSVN. */
  readonly pceSvn: number;
}

/** The OID of Intel's extension. */
export const SGX_EXTENSION = "1.2.840.113741.1.13.1";

const WHAT = "SGX extension";
/** The tag of ENUMERATED, which `TAG` does not have. */
const ENUMERATED_TAG = 0x0a;
const COMPONENTS = 16;

/**
 * Reads the extension of a PCK certificate. Each part that is used must occur once, in the profile's order, in front of
 * all others.
 *
 * @throws {BootstrapError} `malformed/der`.
 */
export function readPckPlatform(certificate: Certificate): PckPlatform {
  const extension = certificate.extensions.find(({ oid }) => oid === SGX_EXTENSION);
  if (extension === undefined) throw derError(WHAT, "the certificate does not have it");
  const parts = readDer(extension.value, WHAT).inside();
  const ppid = hex(octets(part(parts, "1"), 16));
  const tcb = readTcb(part(parts, "2").inside());
  const pceId = hex(octets(part(parts, "3"), 2));
  const fmspc = hex(octets(part(parts, "4"), 6));
  // What kind of platform it is, and how it is configured, does not matter here. Intel may add parts behind.
  part(parts, "5").element(ENUMERATED_TAG);
  return Object.freeze({ ppid, fmspc, pceId, ...tcb });
}

function readTcb(reader: DerReader): Pick<PckPlatform, "components" | "pceSvn"> {
  const components = Array.from({ length: COMPONENTS }, (_, i) => part(reader, `2.${i + 1}`).small(0xff));
  const pceSvn = part(reader, "2.17").small(0xffff);
  octets(part(reader, "2.18"), 16);
  reader.end();
  return { components, pceSvn };
}

/** Reads the OID of the next part. The caller reads the part's value, which must be its last element. */
function part(reader: DerReader, arcs: string): DerReader {
  const element = reader.element(TAG.sequence);
  const inside = readDer(element.bytes, WHAT).inside();
  const oid = inside.oid();
  if (oid !== `${SGX_EXTENSION}.${arcs}`) throw derError(WHAT, `part ${arcs} was expected: current value is ${oid}`);
  const value = inside.element();
  inside.end();
  return readDer(value.bytes, WHAT);
}

function octets(reader: DerReader, length: number): Bytes {
  const bytes = reader.octets();
  if (bytes.length !== length) throw derError(WHAT, `a part of it has ${bytes.length} bytes, not ${length}`);
  return bytes;
}
