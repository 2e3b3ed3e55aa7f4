/**
 * Founders and cards for tests of this room.
 *
 * @module
 */
import { createFounderCertificate } from "../../certificate/founder_certificate.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { compareBytes, hex, randomBytes } from "../../platform/bytes.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import type { RosterEntry } from "../../protocol/transcript.ts";
import type { Card } from "../card.ts";
import { keyDigestOf } from "../entry.ts";

/** A founder without a machine. */
export interface PaperFounder {
  readonly keys: KeyPair;
  readonly entry: RosterEntry;
  readonly keyDigest: Bytes;
}

/** Makes a founder: its identity is random unless it is given. */
export async function paperFounder(
  name: string,
  { address = `${name}.example:9444`, identity = hex(randomBytes(32)) }: Partial<RosterEntry> = {},
): Promise<PaperFounder> {
  const keys = await generateKeyPair("p-256");
  const { der: certificate } = await createFounderCertificate(keys, readEndpoint(address, "address").host);
  const entry = { identity, name, address, certificate };
  return { keys, entry, keyDigest: await keyDigestOf(entry) };
}

/** The entries of founders, sorted. */
export function entriesOf(...founders: readonly PaperFounder[]): readonly RosterEntry[] {
  return founders.toSorted((a, b) => compareBytes(a.keyDigest, b.keyDigest)).map(({ entry }) => entry);
}

/** Makes a founder's card. */
export function cardOf({ entry }: PaperFounder, changes: Partial<Card> = {}): Card {
  return {
    name: entry.name,
    address: entry.address,
    timeMs: 0n,
    serial: 1n,
    instance: new Uint8Array(16).fill(1),
    state: "meeting",
    clusterId: new Uint8Array(),
    hindrances: [],
    view: [entry],
    pledges: [],
    ...changes,
  };
}
