/**
 * Operators' public keys in the forms that people use: PEM, or the line of an OpenSSH `.pub` file (RFC 4253, 6.6; RFC
 * 8709, 4).
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { base64, concat, equalBytes, fromBase64, fromHex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { shown } from "../platform/label.ts";
import { readPem } from "./pem.ts";
import { readPublicKey } from "./public_key.ts";

const KEY_BYTES = 32;
/** The prefix of every Ed25519 SPKI (RFC 8410, 4). */
const SPKI_PREFIX = fromHex("302a300506032b6570032100", "prefix");
/** The prefix of OpenSSH's encoding of every Ed25519 key: the name of the type and the length of the key. */
const SSH_PREFIX = concat(Uint8Array.of(0, 0, 0, 11), utf8("ssh-ed25519"), Uint8Array.of(0, 0, 0, KEY_BYTES));
/** A comment may be of any language, as OpenSSH takes it. */
const SSH_LINE = /^ssh-ed25519[ \t]+([A-Za-z0-9+/=]{1,128})(?:[ \t][^\p{Cc}]*)?$/u;

/**
 * Reads an operator's public key.
 *
 * @param text PEM of a PUBLIC KEY, or one line `ssh-ed25519 AAAA… comment` without options. Surrounding white space is
 *   ignored.
 * @param what The name of the field, for errors.
 * @returns The SPKI, DER.
 * @throws {BootstrapError} `malformed/…`, or `refused/key-type` if the key is not Ed25519.
 */
export function readOperatorKey(text: string, what: string): Bytes {
  const trimmed = text.trim();
  if (trimmed.startsWith("-----")) {
    const { type, spki } = readPublicKey(readPem(trimmed, "PUBLIC KEY", what), what);
    if (type !== "ed25519") throw keyTypeRefusal(what, type);
    return spki;
  }
  const [, encoded] = SSH_LINE.exec(trimmed) ?? [];
  if (encoded === undefined) {
    const [type = ""] = /^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+/.exec(trimmed) ?? [];
    if (type !== "" && type !== "ssh-ed25519") throw keyTypeRefusal(what, type);
    throw new BootstrapError(
      "malformed/operator-key",
      `Cannot read "${what}" as it is neither PEM nor an ssh-ed25519 line`,
    );
  }
  const blob = fromBase64(encoded, what);
  const hasForm = blob.length === SSH_PREFIX.length + KEY_BYTES &&
    equalBytes(blob.subarray(0, SSH_PREFIX.length), SSH_PREFIX);
  if (!hasForm) {
    throw new BootstrapError(
      "malformed/operator-key",
      `Cannot read "${what}" as its base64 does not encode an Ed25519 key`,
    );
  }
  return concat(SPKI_PREFIX, blob.subarray(SSH_PREFIX.length));
}

/**
 * Formats an operator's key as the OpenSSH line that `keygen` prints for the nodes' configuration.
 *
 * @param spki The SPKI, DER.
 * @param comment Printable ASCII, may be empty.
 * @throws {BootstrapError} `refused/key-type`, `usage/key-comment`.
 */
export function operatorKeyLine(spki: Uint8Array, comment = ""): string {
  const { type } = readPublicKey(spki, "operator key");
  if (type !== "ed25519") throw keyTypeRefusal("operator key", type);
  if (!/^[\x20-\x7e]*$/.test(comment)) {
    throw new BootstrapError(
      "usage/key-comment",
      `Cannot write an OpenSSH line as its comment must be printable ASCII: current value is ${shown(comment)}`,
    );
  }
  const encoded = base64(concat(SSH_PREFIX, spki.subarray(SPKI_PREFIX.length)));
  return `ssh-ed25519 ${encoded} ${comment}`.trimEnd();
}

function keyTypeRefusal(what: string, seen: string): BootstrapError {
  return new BootstrapError(
    "refused/key-type",
    `Cannot use the key of "${what}" as an operator's key must be Ed25519`,
    {
      details: { check: "key-type", expected: "ed25519", seen },
    },
  );
}
