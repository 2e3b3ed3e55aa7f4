import assert from "node:assert/strict";
import fc from "fast-check";
import { base64, concat, hex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { derOf } from "./document_form.ts";

/** A SEQUENCE of 200 octets. */
const der = concat(Uint8Array.of(0x30, 0x81, 0xc8), new Uint8Array(200).map((_, index) => index));
const lines = (text: string, length: number) => (text.match(new RegExp(`.{1,${length}}`, "g")) ?? []).join("\n");
const pem = (label: string, length = 64) =>
  `-----BEGIN ${label}-----\n${lines(base64(der), length)}\n-----END ${label}-----\n`;

function seenIn(text: string): string {
  try {
    derOf(utf8(text), "X509 CRL", "folder/a.crl");
  } catch (error) {
    assert.ok(error instanceof BootstrapError && error.code === "malformed/document-form", String(error));
    assert.match(error.message, /^Cannot read folder\/a\.crl as a revocation list: it is /);
    assert.match(error.next ?? "", /PEM labelled X509 CRL/);
    return String(error.details["seen"]);
  }
  return "accepted";
}

Deno.test("derOf() returns the DER of every form in which vendors and caches give it", () => {
  const forms: Readonly<Record<string, Uint8Array>> = {
    "DER": der,
    "PEM": utf8(pem("X509 CRL")),
    "PEM with other lines": utf8(pem("X509 CRL", 76).replaceAll("\n", "\r\n")),
    "PEM in one line": utf8(pem("X509 CRL", 10_000).trim()),
    "base64": utf8(base64(der)),
    "base64 in lines": utf8(`${lines(base64(der), 64)}\n`),
    "hexadecimal": utf8(hex(der)),
    "hexadecimal in capitals": utf8(`${hex(der).toUpperCase()}\n`),
    "hexadecimal in lines": utf8(lines(hex(der), 32)),
  };
  for (const [form, document] of Object.entries(forms)) {
    assert.deepEqual(derOf(document, "X509 CRL", "f"), der, form);
  }
});

Deno.test("derOf() names the document and the form of a text that is something else", () => {
  assert.equal(seenIn(pem("CERTIFICATE")), "PEM of a CERTIFICATE");
  assert.equal(seenIn(pem("X509 CRL") + pem("X509 CRL")), "several blocks of PEM");
  assert.equal(seenIn(pem("X509 CRL").slice(0, 100)), "damaged PEM");
  assert.equal(seenIn(pem("X509 CRL").replace("END X509", "END")), "damaged PEM");
  assert.equal(seenIn(pem("X509 CRL").replace("\nMI", "\n?I")), "damaged PEM");
  assert.equal(seenIn("<html><body>404</body></html>"), 'a text that begins with "<html><body>404</body></"');
  assert.equal(seenIn('{"error":1}'), 'a text that begins with "{\\"error\\":1}"');
  assert.equal(seenIn(`${base64(der)}===`), 'a text that begins with "MIHIAAECAwQFBgcICQoLDA0O"');
  assert.equal(seenIn("MIH"), "damaged base64");
});

Deno.test("derOf() returns bytes that are no text as they are", () => {
  for (const bytes of [Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(0x30, 0x03, 1, 1, 0xff)]) {
    assert.deepEqual(derOf(bytes, "CERTIFICATE", "f"), bytes);
  }
});

Deno.test("derOf() throws only malformed/document-form, and reads back every form of any long DER", () => {
  const text = fc.oneof(fc.string(), fc.base64String(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef\n ") }));
  fc.assert(fc.property(fc.oneof(text.map((one) => utf8(one)), fc.uint8Array()), (bytes) => {
    try {
      assert.ok(derOf(bytes, "CERTIFICATE", "f") instanceof Uint8Array);
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/document-form", String(error));
    }
  }));
  fc.assert(fc.property(fc.uint8Array({ minLength: 128, maxLength: 255 }), (content) => {
    const long = concat(Uint8Array.of(0x30, 0x81, content.length), content);
    for (const form of [long, utf8(hex(long)), utf8(base64(long))]) {
      assert.deepEqual(derOf(form, "CERTIFICATE", "f"), long);
    }
  }));
});

Deno.test("derOf() reads a text with one changed octet, or says which form it is", () => {
  for (const form of [pem("X509 CRL"), base64(der), hex(der)].map((one) => utf8(one))) {
    for (let index = 0; index < form.length; index++) {
      const changed = form.with(index, (form[index] ?? 0) ^ 1);
      try {
        derOf(changed, "X509 CRL", "f");
      } catch (error) {
        assert.ok(error instanceof BootstrapError && error.code === "malformed/document-form", String(error));
      }
    }
  }
});
