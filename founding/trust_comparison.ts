/**
 * The trust part on the wire: the inputs of D12, in its order, so that a difference can be named.
 *
 * What is received is compared and shown, and used for nothing else.
 *
 * @module
 */
import { base64, compareBytes, copyOf, equalBytes, hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { FoundTrust } from "../proto/gen/bootstrapper.ts";
import type { FoundingTrust, TrustPart } from "../protocol/transcript.ts";
import { malformedMessage } from "./_message.ts";

/** The trust part of a machine that founds: it has a founding. */
export interface FounderTrust extends TrustPart {
  readonly founding: FoundingTrust;
}

/** A field of the trust part: its name in the configuration, and its values as people read them. */
interface Field {
  readonly name: string;
  readonly same: (own: FoundTrust, theirs: FoundTrust) => boolean;
  readonly text: (trust: FoundTrust) => string;
}

const FIELDS: readonly Field[] = [
  field("trust.clusterName", ({ clusterName }) => clusterName),
  field("trust.clusterId", ({ clusterId }) => hex(clusterId)),
  field("evidence.variant", ({ variants }) => variants.join(", ")),
  field("the switches that weaken a check", ({ switches }) => switches.join(", ")),
  {
    name: "trust.operatorKeys",
    same: (own, theirs) =>
      own.operatorKeys.length === theirs.operatorKeys.length &&
      own.operatorKeys.every((key, index) => equalBytes(key, theirs.operatorKeys[index] ?? new Uint8Array())),
    text: ({ operatorKeys }) => operatorKeys.map(base64).join(", "),
  },
  field("trust.founding.size", ({ size }) => String(size)),
  field("trust.founding.policy", ({ policyDigest }) => hex(policyDigest)),
  field("trust.founding.tokenKey", ({ tokenKey }) => base64(tokenKey)),
];
/** A trust part is small: an operator's key has 44 bytes, and a node at most 64 of them. */
const MAXIMUM_ITEMS = 64;
const MAXIMUM_ITEM_BYTES = 512;
const LONGEST_SHOWN = 256;

/** Returns the trust part as it is sent: lists sorted, as D12 has them. */
export function shownTrust(trust: FounderTrust): FoundTrust {
  const { clusterName, clusterId, variants, switches, operatorKeys, founding } = trust;
  return {
    clusterName,
    clusterId: copyOf(clusterId),
    variants: [...variants].sort(),
    switches: [...switches].sort(),
    operatorKeys: operatorKeys.map(copyOf).sort(compareBytes),
    size: founding.size,
    policyDigest: copyOf(founding.policyDigest),
    tokenKey: copyOf(founding.tokenKey),
  };
}

/** Which end of an exchange this machine is: it dialled, or it was dialled. */
export type FounderEnd = "dialling" | "dialled";

/**
 * Compares a peer's trust part with the own one, field by field.
 *
 * @throws {BootstrapError} `refused/founding-trust`, which names the first field that differs, with both values;
 *   `malformed/founder-message`.
 */
export function compareTrust(own: FounderTrust, theirs: FoundTrust | undefined, ownEnd: FounderEnd): void {
  if (theirs === undefined) throw malformedMessage("trust", "it is missing");
  checkBounds(theirs);
  const ours = shownTrust(own);
  const differing = FIELDS.find(({ same }) => !same(ours, theirs));
  if (differing === undefined) return;
  const [expected, seen] = [shown(differing.text(ours)), shown(differing.text(theirs))];
  // The peer shows this text to its people too: "here" and "there" would say the opposite.
  const [dialled, dials] = ownEnd === "dialled" ? [expected, seen] : [seen, expected];
  throw new BootstrapError(
    "refused/founding-trust",
    `Two founders have different trust parts: ${differing.name} is ${dials} on the one that dialled, and ${dialled} on the other`,
    { details: { check: "founding-trust", field: differing.name, expected, seen } },
  );
}

function checkBounds({ clusterName, clusterId, variants, switches, operatorKeys, policyDigest, tokenKey }: FoundTrust) {
  for (const [name, list] of Object.entries({ variants, switches, operatorKeys })) {
    if (list.length > MAXIMUM_ITEMS) throw malformedMessage(name, `it has more than ${MAXIMUM_ITEMS} items`);
  }
  const items = [clusterName, clusterId, ...variants, ...switches, ...operatorKeys, policyDigest, tokenKey];
  if (items.some(({ length }) => length > MAXIMUM_ITEM_BYTES)) {
    throw malformedMessage("trust", "a value in it is too long");
  }
}

/** A peer's text, on one line and without what could mislead a reader. */
function shown(text: string): string {
  return text.slice(0, LONGEST_SHOWN).toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ") || "nothing";
}

function field(name: string, text: (trust: FoundTrust) => string): Field {
  return { name, same: (own, theirs) => text(own) === text(theirs), text };
}
