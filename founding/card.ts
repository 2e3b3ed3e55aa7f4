/**
 * The card: what a founder says of itself and of the founders that it sees.
 *
 * @module
 */
import { CLUSTER_ID_BYTES } from "../certificate/cluster_id.ts";
import { MAXIMUM_FOUNDER_CERTIFICATE_BYTES } from "../certificate/founder_certificate.ts";
import type { Bytes } from "../platform/bytes.ts";
import { compareBytes, copyOf, equalBytes } from "../platform/bytes.ts";
import { endpointText, parseEndpoint } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import { INSTANCE_BYTES } from "./_message.ts";
import { nodeNameProblem } from "../platform/label.ts";
import { FounderCard } from "../proto/gen/bootstrapper.ts";
import { SIGNATURE_BYTES } from "../protocol/signature.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { keyDigestOf } from "./entry.ts";

/** A founder's signature over a roster. */
export interface Pledge {
  /** SHA-256 of the SPKI of F, 32 bytes. */
  readonly keyDigest: Uint8Array;
  /** By F, over R, 64 bytes. It is not verified yet. */
  readonly signature: Uint8Array;
}

/** A card. */
export interface Card {
  /** An RFC 1123 subdomain. */
  readonly name: string;
  /** `host:port` of the founding etcd's peer port. */
  readonly address: string;
  /** The founder's clock, milliseconds since 1970. */
  readonly timeMs: bigint;
  /** Rises with each card of one instance, from 1. */
  readonly serial: bigint;
  /** Random for each start of the program, 16 bytes. */
  readonly instance: Uint8Array;
  /** A word of small letters and hyphens. */
  readonly state: string;
  /** The cluster ID of its lock, 32 bytes; empty if there is no lock. */
  readonly clusterId: Uint8Array;
  /** What keeps it from pledging; empty if it is ready. */
  readonly hindrances: readonly string[];
  /** The entries of its view, sorted by {@linkcode keyDigestOf}. */
  readonly view: readonly RosterEntry[];
  /** The pledges over its own roster that it knows, sorted by their key digests. */
  readonly pledges: readonly Pledge[];
}

/** The largest card, bytes. */
export const MAXIMUM_CARD_BYTES = 65_536;
/** More founders than a cluster may have, so that all can name those that are too many. */
export const MAXIMUM_VIEW_ENTRIES = 24;
const MAXIMUM_HINDRANCES = 16;
const LONGEST_HINDRANCE = 256;
const KEY_DIGEST_BYTES = 32;
const IDENTITY = /^[0-9a-f]{64}$/;
const STATE = /^[a-z](?:[a-z-]{0,30}[a-z])?$/;
/** Characters that control a terminal or mislead a reader. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
/** The bounds of a JavaScript `Date`. */
const LARGEST_DATE_MS = 8_640_000_000_000_000n;

/**
 * Encodes a card. Hindrances that are too long or too many are cut, and so is a view that has far too many entries.
 *
 * @throws {BootstrapError} `malformed/founder-card` for a card that {@linkcode readCard} would refuse.
 */
export async function makeCard(card: Card): Promise<Bytes> {
  const hindrances = card.hindrances.slice(0, MAXIMUM_HINDRANCES).map(shortened);
  const bytes = encoded({ ...card, hindrances, view: card.view.slice(0, MAXIMUM_VIEW_ENTRIES) });
  await readCard(bytes);
  return bytes;
}

/**
 * Reads a card: exactly the encoding that {@linkcode makeCard} writes, every field in its bounds, view and pledges
 * sorted and without a key twice.
 *
 * @throws {BootstrapError} `malformed/founder-card`, with `field`; `malformed/…` and `refused/…` for a certificate in its
 *   view.
 */
export async function readCard(bytes: Uint8Array): Promise<Card> {
  if (bytes.length > MAXIMUM_CARD_BYTES) throw malformed("card", `it is larger than ${MAXIMUM_CARD_BYTES} bytes`);
  let card: FounderCard;
  try {
    // A copy: what is read refers to its bytes, and a stream's buffer is larger.
    card = FounderCard.decode(copyOf(bytes));
  } catch (cause) {
    throw malformed("card", "it is no FounderCard", cause);
  }
  if (!equalBytes(encoded(card), bytes)) throw malformed("card", "it has another encoding than its fields have");
  checkName("name", card.name);
  checkAddress("address", card.address);
  const { timeMs, serial, instance, state, clusterId } = card;
  if (timeMs > LARGEST_DATE_MS || timeMs < -LARGEST_DATE_MS) throw malformed("time_ms", "it is no time");
  if (serial < 1n) throw malformed("serial", "it must be at least 1");
  if (instance.length !== INSTANCE_BYTES) throw malformed("instance", `it must be ${INSTANCE_BYTES} bytes`);
  if (!STATE.test(state)) throw malformed("state", "it is no word");
  if (clusterId.length !== 0 && clusterId.length !== CLUSTER_ID_BYTES) {
    throw malformed("cluster_id", `it must be empty, or ${CLUSTER_ID_BYTES} bytes`);
  }
  checkHindrances(card.hindrances);
  await checkView(card.view);
  checkPledges(card.pledges);
  return card;
}

/** Encodes what there is, in protobuf's order of fields. */
function encoded(card: Card): Bytes {
  const view = card.view.map(({ identity, name, address, certificate }) => {
    return { identity, name, address, certificate: copyOf(certificate) };
  });
  const pledges = card.pledges.map(({ keyDigest, signature }) => {
    return { keyDigest: copyOf(keyDigest), signature: copyOf(signature) };
  });
  const { name, address, timeMs, serial, state } = card;
  const [instance, clusterId] = [copyOf(card.instance), copyOf(card.clusterId)];
  const hindrances = [...card.hindrances];
  const message = { name, address, timeMs, serial, instance, state, clusterId, hindrances, view, pledges };
  return copyOf(FounderCard.encode(message).finish());
}

function checkHindrances(hindrances: readonly string[]): void {
  if (hindrances.length > MAXIMUM_HINDRANCES) {
    throw malformed("hindrances", `there are more than ${MAXIMUM_HINDRANCES}`);
  }
  for (const text of hindrances) {
    if (text === "" || text.length > LONGEST_HINDRANCE || UNPRINTABLE.test(text)) {
      throw malformed("hindrances", `one is empty, longer than ${LONGEST_HINDRANCE} characters, or cannot be printed`);
    }
  }
}

async function checkView(view: readonly RosterEntry[]): Promise<void> {
  if (view.length < 1 || view.length > MAXIMUM_VIEW_ENTRIES) {
    throw malformed("view", `it must have 1 to ${MAXIMUM_VIEW_ENTRIES} entries`);
  }
  for (const { identity, name, address, certificate } of view) {
    if (!IDENTITY.test(identity)) throw malformed("view.identity", "it must be 64 hexadecimal digits");
    checkName("view.name", name);
    checkAddress("view.address", address);
    if (certificate.length > MAXIMUM_FOUNDER_CERTIFICATE_BYTES) throw malformed("view.certificate", "it is too large");
  }
  checkOrder("view", await Promise.all(view.map(keyDigestOf)));
}

function checkPledges(pledges: readonly Pledge[]): void {
  if (pledges.length > MAXIMUM_VIEW_ENTRIES) {
    throw malformed("pledges", `there are more than ${MAXIMUM_VIEW_ENTRIES}`);
  }
  for (const { keyDigest, signature } of pledges) {
    if (keyDigest.length !== KEY_DIGEST_BYTES || signature.length !== SIGNATURE_BYTES) {
      throw malformed("pledges", `one does not have ${KEY_DIGEST_BYTES} and ${SIGNATURE_BYTES} bytes`);
    }
  }
  checkOrder("pledges", pledges.map(({ keyDigest }) => keyDigest));
}

function checkOrder(field: string, digests: readonly Uint8Array[]): void {
  for (const [index, digest] of digests.entries()) {
    const before = digests[index - 1];
    if (before !== undefined && compareBytes(before, digest) >= 0) {
      throw malformed(field, "it is not sorted by its keys, or has one twice");
    }
  }
}

function checkName(field: string, name: string): void {
  if (nodeNameProblem(name) !== undefined) throw malformed(field, "it is no RFC 1123 subdomain");
}

function checkAddress(field: string, address: string): void {
  const endpoint = parseEndpoint(address);
  if (typeof endpoint === "string" || endpointText(endpoint) !== address) {
    throw malformed(field, "it must be HOST:PORT, in small letters");
  }
}

function shortened(text: string): string {
  const printable = text.toWellFormed().replaceAll(new RegExp(UNPRINTABLE, "gu"), " ");
  return printable.slice(0, LONGEST_HINDRANCE).toWellFormed() || "unknown";
}

function malformed(field: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/founder-card", `Cannot read "${field}" of a founder's card: ${reason}`, {
    details: { field },
    ...(cause === undefined ? {} : { cause }),
  });
}
