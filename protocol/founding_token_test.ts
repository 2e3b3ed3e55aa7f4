/*
 * The token of the bytes 1 to 20 was encoded by `bech32m` of @scure/base 2. The rest was made with Python's hmac and
 * cryptography, from the definition alone (H, LP and label as in transcript_test.ts):
 *
 *   prk = hmac.new(H(label, b"token", LP(b"demo")), bytes(range(1, 21)), sha256).digest()
 *   seed = hmac.new(prk, label + b"\0founding token" + b"\x01", sha256).digest()
 *   Ed25519PrivateKey.from_private_bytes(seed).public_key()                        # the token key
 */
import assert from "node:assert/strict";
import { createPublicKey, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { base64, fromHex, hex, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import {
  createFoundingToken,
  deriveToken,
  FOUNDING_TOKEN_BYTES,
  FOUNDING_TOKEN_START,
  foundingTokenText,
  looksLikeFoundingToken,
  readFoundingToken,
  readTokenKey,
  tokenKeyText,
} from "./founding_token.ts";
import { foundingTokenInfo, foundingTokenSalt } from "./transcript.ts";
import { sign, verify } from "./signature.ts";

const BITS = Uint8Array.from({ length: FOUNDING_TOKEN_BYTES }, (_, index) => index + 1);
const TOKEN = "bft1-qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5yd59d8";
const ONES = "bft1-llllllllllllllllllllllllllllllllyaettv";
const TOKEN_KEY = "MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=";
const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** Why a text is no token. The reason must show no six characters of the text in a row. */
function problemOf(text: string): string {
  try {
    readFoundingToken(text, "the credential");
  } catch (error) {
    assert.ok(error instanceof BootstrapError && error.code === "usage/founding-token");
    const said = JSON.stringify([error.message, error.details, error.next, String(error.cause)]).toLowerCase();
    const body = text.trim().slice(FOUNDING_TOKEN_START.length).toLowerCase();
    for (let at = 0; at + 6 <= body.length; at++) assert.ok(!said.includes(body.slice(at, at + 6)), said);
    return error.message;
  }
  return "";
}

Deno.test("foundingTokenText() and readFoundingToken() agree with another implementation of Bech32m", () => {
  assert.equal(foundingTokenText(BITS), TOKEN);
  assert.equal(hex(readFoundingToken(TOKEN, "it")), hex(BITS));
  assert.equal(foundingTokenText(new Uint8Array(20).fill(255)), ONES);
});

Deno.test("deriveToken() gives the key that Python gives, and another one for another cluster", async () => {
  const keys = await deriveToken(TOKEN, "demo");
  assert.equal(keys.type, "ed25519");
  assert.equal(tokenKeyText(keys.spki), TOKEN_KEY);
  assert.equal(keys.privateKey.extractable, false);
  await assert.rejects(crypto.subtle.exportKey("pkcs8", keys.privateKey));
  assert.notEqual(tokenKeyText((await deriveToken(TOKEN, "prod")).spki), TOKEN_KEY);
  await verify(keys.spki, "token-join", utf8("x"), await sign(keys, "token-join", utf8("x")));
});

Deno.test("deriveToken() gives the key that node:crypto gives, for any token and name", async () => {
  const bits = fc.uint8Array({ minLength: 20, maxLength: 20 });
  const names = fc.stringMatching(/^[a-z0-9]{1,63}$/);
  await fc.assert(
    fc.asyncProperty(bits, names, async (random, name) => {
      const seed = new Uint8Array(
        hkdfSync("sha256", random, await foundingTokenSalt(name), foundingTokenInfo(), 32),
      );
      // Another way to the public half: a JWK has the seed as it is.
      const { spki } = await deriveToken(foundingTokenText(random), name);
      const jwk = createPublicKey({ key: spki as never, format: "der", type: "spki" }).export({ format: "jwk" });
      const d = seed.toBase64({ alphabet: "base64url", omitPadding: true });
      const both = { kty: "OKP", crv: "Ed25519", d, x: String(jwk["x"]) };
      const key = await crypto.subtle.importKey("jwk", both, "Ed25519", false, ["sign"]);
      const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key, utf8("x")));
      const publicKey = await crypto.subtle.importKey("spki", spki, "Ed25519", false, ["verify"]);
      assert.ok(await crypto.subtle.verify("Ed25519", publicKey, signature, utf8("x")));
    }),
    { numRuns: 20 },
  );
});

Deno.test("createFoundingToken() makes another token each time", () => {
  const tokens = Array.from({ length: 20 }, createFoundingToken);
  assert.equal(new Set(tokens).size, tokens.length);
  for (const token of tokens) assert.equal(foundingTokenText(readFoundingToken(token, "it")), token);
});

Deno.test("readFoundingToken() takes what foundingTokenText() wrote, in any case and with white space around it", () => {
  const bits = fc.uint8Array({ minLength: 20, maxLength: 20 });
  fc.assert(fc.property(bits, fc.nat(), fc.constantFrom("", " ", "\n", "\r\n", "\t "), (random, mask, space) => {
    const text = foundingTokenText(random);
    const mixed = [...text].map((one, index) => (mask >>> (index % 31)) & 1 ? one.toUpperCase() : one).join("");
    assert.equal(hex(readFoundingToken(`${space}${mixed}${space}`, "it")), hex(random));
  }));
});

Deno.test("readFoundingToken() finds every mistyped character", () => {
  for (let at = FOUNDING_TOKEN_START.length; at < TOKEN.length; at++) {
    for (const other of `${ALPHABET}1bio-_ ä.`) {
      if (other === TOKEN[at]) continue;
      const text = TOKEN.slice(0, at) + other + TOKEN.slice(at + 1);
      // White space at the end is no character of it.
      assert.match(problemOf(text), /checksum|no token has the character|a token has 38/, text);
    }
  }
});

Deno.test("readFoundingToken() finds any two characters that are swapped, and up to four that are wrong", () => {
  const body = [...TOKEN.slice(FOUNDING_TOKEN_START.length)];
  for (let one = 0; one < body.length; one++) {
    for (let other = one + 1; other < body.length; other++) {
      if (body[one] === body[other]) continue;
      const swapped = body.with(one, body[other] ?? "").with(other, body[one] ?? "");
      assert.match(problemOf(FOUNDING_TOKEN_START + swapped.join("")), /checksum does not fit/);
    }
  }
  const places = fc.uniqueArray(fc.nat(body.length - 1), { minLength: 1, maxLength: 4 });
  const shifts = fc.array(fc.integer({ min: 1, max: 31 }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(places, shifts, (wrong, by) => {
      const changed = [...body];
      wrong.forEach((place, index) => {
        const value = ALPHABET.indexOf(body[place] ?? "");
        changed[place] = ALPHABET[(value + (by[index] ?? 1)) % 32] ?? "";
      });
      assert.match(problemOf(FOUNDING_TOKEN_START + changed.join("")), /checksum does not fit/);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("readFoundingToken() finds a character too few or too many at any place", () => {
  for (let at = FOUNDING_TOKEN_START.length; at < TOKEN.length; at++) {
    assert.match(problemOf(TOKEN.slice(0, at) + TOKEN.slice(at + 1)), /has 37 characters .*a token has 38/);
    assert.match(problemOf(`${TOKEN.slice(0, at)}q${TOKEN.slice(at)}`), /has 39 characters .*a token has 38/);
  }
});

Deno.test("readFoundingToken() says which kind of mistake it is, and never shows the text", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /it is empty/],
    [" \n", /it is empty/],
    ["${TOKEN}", /a variable was not filled in/],
    [TOKEN.slice(FOUNDING_TOKEN_START.length), /does not begin with bft1-/],
    [TOKEN.replace("-", ""), /does not begin with bft1-/],
    [TOKEN.replace("bft1", "bft2"), /version that this program does not know/],
    [TOKEN_KEY, /does not begin with bft1-/],
    ["bft1-", /it has 0 characters/],
    [`${TOKEN}${TOKEN}`, /no token has the character at place 39/],
    [TOKEN.replace("qyp", "qyo"), /no token has the character at place 3 after bft1-/],
    // The Kelvin sign is a k in lower case.
    [ONES.replace("l", "\u212a"), /no token has the character at place 1 /],
  ];
  for (const [text, expected] of cases) assert.match(problemOf(text), expected);
});

Deno.test("readFoundingToken() takes only one form of a token, whatever the text is", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string().map((text) => FOUNDING_TOKEN_START + text)), (text) => {
    try {
      const bits = readFoundingToken(text, "it");
      assert.equal(foundingTokenText(bits), text.trim().toLowerCase());
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "usage/founding-token", String(error));
    }
  }));
});

Deno.test("readTokenKey() reads what tokenKeyText() wrote, and nothing but an Ed25519 key", async () => {
  const { spki } = await deriveToken(TOKEN, "demo");
  assert.equal(hex(readTokenKey(` ${TOKEN_KEY}\n`, "key")), hex(spki));
  const p256 = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
  const other = new Uint8Array(await crypto.subtle.exportKey("spki", p256.publicKey));
  assert.throws(() => readTokenKey(base64(other), "key"), { code: "refused/key-type" });
  assert.throws(() => readTokenKey(base64(fromHex("00", "byte")), "key"), { code: "malformed/der" });
  assert.throws(() => readTokenKey("no base64", "key"), { code: "malformed/base64" });
});

Deno.test("looksLikeFoundingToken() recognises a token that is mistyped too", () => {
  for (const text of [TOKEN, TOKEN.toUpperCase(), ` ${TOKEN}x`, "bft1"]) assert.ok(looksLikeFoundingToken(text));
  assert.ok(!looksLikeFoundingToken(TOKEN_KEY));
});
