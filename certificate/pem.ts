/**
 * Writes and reads PEM (RFC 7468) in its strict form.
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
  | "PUBLIC KEY";

const LINE_LENGTH = 64;
/** 64 KiB, the same limit as for DER. */
const MAXIMUM_PEM_LENGTH = 1 << 16;
const BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----\r?\n((?:[A-Za-z0-9+/=]{1,64}\r?\n)+)-----END ([A-Z0-9 ]+)-----\s*$/;

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
  if (begin === undefined || body === undefined) throw pemError(what, "it is not one block of PEM");
  if (begin !== end) throw pemError(what, "its two labels differ");
  return [begin, body.replaceAll(/\r?\n/g, "")];
}

function pemError(what: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/pem", `Cannot read "${what}" as ${reason}`, { details: { field: what } });
}
