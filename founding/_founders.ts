/**
 * The founders of a roster, with their keys.
 *
 * @module
 */
import { readCertificate } from "../certificate/x509.ts";
import { type Bytes, compareBytes, hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { rosterDigest, type RosterEntry, rosterEntryBytes } from "../protocol/transcript.ts";

/** An entry of a roster with what follows from its certificate. */
export interface RosterFounder extends RosterEntry {
  /** The SPKI of F, DER. */
  readonly spki: Bytes;
  /** H(SPKI) in lower-case hexadecimal: the founder's name in etcd's keys. */
  readonly key: string;
}

/** The most founders that a trust part may ask for. */
export const MAXIMUM_FOUNDERS = 7;

/**
 * Reads the entries' certificates.
 *
 * @returns The founders, sorted by H(SPKI).
 * @throws {BootstrapError} `malformed/…` for a certificate that cannot be read, `malformed/founder-file` for entries of
 *   which two have one key, identity, name or address, and for no entries or more than 7.
 */
export async function foundersOf(entries: readonly RosterEntry[]): Promise<readonly RosterFounder[]> {
  if (entries.length < 1 || entries.length > MAXIMUM_FOUNDERS) {
    throw malformed(`it has ${entries.length} founders: there must be 1 to ${MAXIMUM_FOUNDERS}`);
  }
  const founders = await Promise.all(entries.map(async ({ identity, name, address, certificate }) => {
    const { spki } = readCertificate(certificate, `certificate of the founder ${name}`);
    return { identity, name, address, certificate, spki, key: hex(await sha256(spki)) };
  }));
  for (const field of ["key", "identity", "name", "address"] as const) {
    const values = founders.map((founder) => founder[field]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) throw malformed(`two founders have the ${field} ${twice}`);
  }
  return founders.toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

/** R of sorted founders. */
export function digestOf(trustDigest: Uint8Array, founders: readonly RosterFounder[]): Promise<Bytes> {
  return rosterDigest(trustDigest, founders.map(rosterEntryBytes));
}

/** Whether two entries are the same to the last byte. */
export function isSameEntry(one: RosterEntry, other: RosterEntry): boolean {
  return compareBytes(rosterEntryBytes(one), rosterEntryBytes(other)) === 0;
}

/** The error for a roster that cannot be used. */
export function malformed(reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/founder-file", `Cannot use the roster of founders: ${reason}`, { cause });
}
