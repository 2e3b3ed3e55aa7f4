/**
 * Entries of a roster: who a founder is.
 *
 * @module
 */
import type { EvidenceClaims, EvidenceIssuer } from "../attestation/evidence.ts";
import { readFounderCertificate } from "../certificate/founder_certificate.ts";
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes, hex, sha256 } from "../platform/bytes.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { rosterEntryBytes } from "../protocol/transcript.ts";

/** What this machine calls itself. */
export interface FounderName {
  /** An RFC 1123 subdomain. */
  readonly name: string;
  /** `host:port` of its founding etcd's peer port. */
  readonly address: string;
}

/** Returns the SHA-256 of the SPKI of an entry's key, 32 bytes: founders are sorted by it. */
export function keyDigestOf({ certificate }: Pick<RosterEntry, "certificate">): Promise<Bytes> {
  return sha256(readFounderCertificate(certificate).spki);
}

/**
 * Returns the identity of a verified founder, lower-case hexadecimal.
 *
 * Without evidence, it is the SHA-256 of the SPKI of F. The same holds where evidence does not name its machine, or names
 * it anew at each start: there, F is all that outlives a restart.
 *
 * @param claims From the founder's evidence; absent without a policy.
 */
export async function identityOf(
  entry: Pick<RosterEntry, "certificate">,
  claims: Pick<EvidenceClaims, "identity" | "isEphemeral"> | undefined,
  identityIsKey = false,
): Promise<string> {
  if (claims === undefined || identityIsKey || claims.isEphemeral === true) return hex(await keyDigestOf(entry));
  return claims.identity;
}

/**
 * Returns this machine's own entry.
 *
 * @param issuer Makes its evidence; absent without a policy.
 */
export async function ownEntry(
  { name, address }: FounderName,
  certificate: Uint8Array,
  issuer: Pick<EvidenceIssuer, "identityIsKey" | "identityIsOfBoot" | "ownIdentity"> | undefined,
): Promise<RosterEntry> {
  const digest = hex(await keyDigestOf({ certificate }));
  const isKnownByKey = issuer === undefined || issuer.identityIsKey === true || issuer.identityIsOfBoot === true;
  const identity = isKnownByKey ? digest : await issuer.ownIdentity(digest);
  return { identity, name, address, certificate };
}

/** Whether two entries are the same. */
export function sameEntry(one: RosterEntry, other: RosterEntry): boolean {
  return compareBytes(rosterEntryBytes(one), rosterEntryBytes(other)) === 0;
}

/** Whether two lists have the same entries in the same order. */
export function sameEntries(some: readonly RosterEntry[], others: readonly RosterEntry[]): boolean {
  return some.length === others.length && some.every((entry, index) => {
    const other = others[index];
    return other !== undefined && sameEntry(entry, other);
  });
}
