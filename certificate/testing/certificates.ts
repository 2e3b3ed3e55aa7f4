/**
 * Helpers that the tests of this folder share.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Bytes } from "../../platform/bytes.ts";
import { concat, copyOf } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { readDer } from "../der.ts";
import { type KeyPair, SIGN_ALGORITHMS } from "../keys.ts";

const oracleFolder = fileURLToPath(new URL("../../../shared/testdata/attestation", import.meta.url));

/** Registers a test over evidence of other makers. Without that evidence the test is ignored, and its name says so. */
export function oracleTest(name: string, run: (folder: string) => Promise<void>): void {
  const isThere = isFolder(oracleFolder);
  Deno.test({
    name: isThere ? name : `${name} -- IGNORED: there is no ${oracleFolder}`,
    ignore: !isThere,
    fn: () => run(oracleFolder),
  });
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The DER of every certificate in a file: the file itself, or all PEM blocks in it. */
export async function certificatesIn(path: string): Promise<Bytes[]> {
  const bytes = await Deno.readFile(path);
  const text = new TextDecoder().decode(bytes).replaceAll("\\n", "\n");
  const blocks = [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0) return [bytes];
  return blocks.map(([, body = ""]) => Uint8Array.fromBase64(body.replaceAll(/\s/g, "")));
}

/** Encodes one element of DER, well-formed or not. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const content = concat(...parts);
  const { length } = content;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), content);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), content);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content);
}

/** Encodes r ‖ s as an ECDSA signature of X.509. */
export function derEcdsa(raw: Uint8Array): Bytes {
  const scalar = (octets: Uint8Array) => {
    const minimal = octets.subarray(octets.findIndex((octet) => octet !== 0));
    return element(0x02, (minimal[0] ?? 0) >= 0x80 ? concat(new Uint8Array(1), minimal) : minimal);
  };
  return element(0x30, scalar(raw.subarray(0, raw.length / 2)), scalar(raw.subarray(raw.length / 2)));
}

/** The elements directly inside a constructed one. */
export function fieldsOf(constructed: Uint8Array): Uint8Array[] {
  const reader = readDer(constructed, "test").inside(constructed[0]);
  const fields: Uint8Array[] = [];
  while (!reader.atEnd) fields.push(reader.element().bytes);
  return fields;
}

/** Changes the signed part of a structure (certificate, request) and signs it again with a P-256 key. */
export async function resigned(
  der: Uint8Array,
  keys: KeyPair,
  change: (fields: Uint8Array[]) => readonly Uint8Array[],
): Promise<Bytes> {
  const [signed = der, algorithm = der] = fieldsOf(der);
  const changed = element(0x30, ...change(fieldsOf(signed)));
  const raw = await crypto.subtle.sign(SIGN_ALGORITHMS["p-256"], keys.privateKey, changed);
  return element(0x30, changed, algorithm, element(0x03, new Uint8Array(1), derEcdsa(new Uint8Array(raw))));
}

/** Every version of the bytes with one bit flipped. */
export function* bitFlips(bytes: Uint8Array): Generator<{ readonly flipped: Bytes; readonly at: string }> {
  for (let index = 0; index < bytes.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = copyOf(bytes);
      flipped[index] = (flipped[index] ?? 0) ^ 1 << bit;
      yield { flipped, at: `byte ${index}, bit ${bit}` };
    }
  }
}

/** Ways to encode one DER element differently. Readers must refuse all of them. */
export function rewrapped(der: Uint8Array): Readonly<Record<string, Bytes>> {
  const content = der.subarray(4);
  const [tag = 0, , high = 0, low = 0] = der;
  assert.equal(der[1], 0x82, "the element must be 256 bytes or longer");
  const inside = content.length + 2;
  return {
    "a trailing byte": concat(der, Uint8Array.of(0)),
    "a trailing NULL inside": concat(
      Uint8Array.of(tag, 0x82, inside >> 8, inside & 0xff),
      content,
      Uint8Array.of(5, 0),
    ),
    "a length of three octets": concat(Uint8Array.of(tag, 0x83, 0, high, low), content),
    "an indefinite length": concat(Uint8Array.of(tag, 0x80), content, Uint8Array.of(0, 0)),
    "nothing": new Uint8Array(0),
  };
}

/** Asserts that something throws a BootstrapError whose code matches. */
export async function assertRefused(
  act: () => unknown,
  code: RegExp | string,
  message = "the error's code",
): Promise<BootstrapError> {
  try {
    await act();
  } catch (error) {
    assert.ok(error instanceof BootstrapError, `${message}: ${String(error)}`);
    if (typeof code === "string") assert.equal(error.code, code, message);
    else assert.match(error.code, code, message);
    return error;
  }
  assert.fail(`nothing was refused with ${String(code)}: ${message}`);
}
