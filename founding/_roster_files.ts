/**
 * The forms of the files `pledge` and `roster`: JSON with a version.
 *
 * @module
 */
import * as v from "valibot";
import { type Bytes, fromBase64, fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { SIGNATURE_BYTES } from "../protocol/signature.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { MAXIMUM_FOUNDERS } from "./_founders.ts";

/** A pledge: the signature of one founder over R. */
export interface FounderPledge {
  /** H(SPKI) of F in lower-case hexadecimal. */
  readonly key: string;
  /** 64 bytes. */
  readonly signature: Bytes;
}

const VERSION = 1;
/** Seven entries with certificates of the largest size, in base64. */
export const MAXIMUM_FILE_BYTES = 1 << 18;

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "is not 64 hexadecimal digits"));
const short = v.pipe(v.string(), v.minLength(1), v.maxLength(300));
const base64 = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9+/]+={0,2}$/, "is not base64"),
  v.check((text) => text.length % 4 === 0, "is not base64"),
  v.transform((text) => fromBase64(text, "base64")),
);

const pledgeSchema = v.strictObject({
  version: v.literal(VERSION),
  founders: v.pipe(
    v.array(v.strictObject({ identity: digest, name: short, address: short, certificate: base64 })),
    v.minLength(1),
    v.maxLength(MAXIMUM_FOUNDERS),
  ),
});

const rosterSchema = v.strictObject({
  version: v.literal(VERSION),
  roster: v.pipe(digest, v.transform((text) => fromHex(text, "roster"))),
  pledges: v.pipe(
    v.array(v.strictObject({
      key: digest,
      signature: v.pipe(
        base64,
        v.check((bytes) => bytes.length === SIGNATURE_BYTES, `is not ${SIGNATURE_BYTES} bytes`),
      ),
    })),
    v.minLength(1),
    v.maxLength(MAXIMUM_FOUNDERS),
  ),
});

/** What the file `roster` has: R, and a pledge of each founder. */
export interface RosterRecord {
  readonly roster: Bytes;
  readonly pledges: readonly FounderPledge[];
}

/** Encodes the file `pledge`. */
export function encodePledge(founders: readonly RosterEntry[]): Bytes {
  const written = founders.map(({ identity, name, address, certificate }) => ({
    identity,
    name,
    address,
    certificate: certificate.toBase64(),
  }));
  return utf8(JSON.stringify({ version: VERSION, founders: written }) + "\n");
}

/**
 * Reads the file `pledge`.
 *
 * @throws {BootstrapError} `malformed/founder-file`, which names the field.
 */
export function decodePledge(bytes: Uint8Array, what: string): readonly RosterEntry[] {
  return readJson(bytes, { ...formOf(what), schema: pledgeSchema }).founders;
}

/** Encodes the file `roster`. */
export function encodeRoster({ roster, pledges }: RosterRecord): Bytes {
  const written = pledges.map(({ key, signature }) => ({ key, signature: signature.toBase64() }));
  return utf8(JSON.stringify({ version: VERSION, roster: roster.toHex(), pledges: written }) + "\n");
}

/**
 * Reads the file `roster`. The signatures are not verified.
 *
 * @throws {BootstrapError} `malformed/founder-file`, which names the field.
 */
export function decodeRoster(bytes: Uint8Array, what: string): RosterRecord {
  const { roster, pledges } = readJson(bytes, { ...formOf(what), schema: rosterSchema });
  return { roster, pledges };
}

function formOf(what: string) {
  return {
    maximumBytes: MAXIMUM_FILE_BYTES,
    newest: VERSION,
    error: (reason: string, _key: string, cause?: unknown) =>
      new BootstrapError("malformed/founder-file", `Cannot read ${what}: ${reason}`, { cause }),
  };
}
