/**
 * Writes PEM (RFC 7468) in its strict form, and reads one block of it with lines of any length.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { base64, fromBase64 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The labels that this project writes and reads. */
export type PemLabel =
  | "CERTIFICATE"
  | "CERTIFICATE REQUEST"
  | "PRIVATE KEY"
  | "ENCRYPTED PRIVATE KEY"
  | "EC PRIVATE KEY"
  | "RSA PRIVATE KEY"
  | "OPENSSH PRIVATE KEY"
  | "PUBLIC KEY";

const LINE_LENGTH = 64;
/** 64 KiB, the same limit as for DER. */
const MAXIMUM_PEM_LENGTH = 1 << 16;
const BLOCK =
  /^\s*-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n((?:[A-Za-z0-9+/=]*[ \t]*\r?\n)+)-----END ([A-Z0-9 ]+)-----\s*$/;
const BEGIN = /-----BEGIN [A-Z0-9 ]+-----/g;
/** The headers of RFC 1421, which OpenSSL writes into encrypted keys of its own form. */
const HEADER = /^[A-Za-z-]+: /m;

/** Writes one block of PEM. */
export function writePem(label: PemLabel, der: Uint8Array): string {
  const lines = base64(der).match(new RegExp(`.{1,${LINE_LENGTH}}`, "g")) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * Reads a text that must be exactly one block of PEM.
 *
 * @param text The text.
 * @param label The expected label.
 * @param what The name of the field, for errors.
 * @throws {BootstrapError} `malformed/pem`, `malformed/base64`. The error never shows the block.
 */
export function readPem(text: string, label: PemLabel, what: string): Bytes {
  const [seen, body] = pemBlock(text, what);
  if (seen !== label) {
    throw pemError(what, `it is labelled "${seen}", not "${label}"`);
  }
  return fromBase64(body, what);
}

/**
 * Reads the label of a text that must be exactly one block of PEM.
 *
 * @throws {BootstrapError} `malformed/pem`.
 */
export function pemLabel(text: string, what: string): string {
  return pemBlock(text, what)[0];
}

function pemBlock(text: string, what: string): [label: string, body: string] {
  if (text.length > MAXIMUM_PEM_LENGTH) throw pemError(what, `it is longer than ${MAXIMUM_PEM_LENGTH} characters`);
  const [, begin, body, end] = BLOCK.exec(text) ?? [];
  if (begin === undefined || body === undefined) throw pemError(what, problemOf(text));
  if (begin !== end) throw pemError(what, "its two labels differ");
  return [begin, body.replaceAll(/\s/g, "")];
}

/** Says why a text is not one block of PEM. */
function problemOf(text: string): string {
  const blocks = text.match(BEGIN)?.length ?? 0;
  if (blocks === 0) return "it is no PEM: it has no line -----BEGIN …-----";
  if (blocks > 1) return `it has ${blocks} blocks of PEM, and one is wanted`;
  if (!/-----END [A-Z0-9 ]+-----/.test(text)) return "its block of PEM has no line -----END …-----";
  if (HEADER.test(text)) {
    return "its block of PEM has headers, as encrypted keys of OpenSSL's own form: convert it to PKCS#8";
  }
  return "it is not one block of PEM: something other than base64 stands in it, before it or behind it";
}

function pemError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/pem", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
