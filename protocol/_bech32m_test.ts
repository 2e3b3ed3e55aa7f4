/** The texts are the test vectors of BIP 350. */
import assert from "node:assert/strict";
import { BECH32_CHARACTERS, BECH32_CHECKSUM_LENGTH, encodeBech32m, hasBech32mChecksum } from "./_bech32m.ts";

const valuesOf = (text: string) => [...text].map((character) => BECH32_CHARACTERS.indexOf(character));

function partsOf(text: string): readonly [prefix: string, data: string] {
  const separator = text.lastIndexOf("1");
  return [text.slice(0, separator), text.slice(separator + 1)];
}

const VALID = [
  "a1lqfn3a",
  "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
  "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
  "11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8",
  "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
  "?1v759aa",
];
/** Right under Bech32, whose constant is 1 (BIP 173). */
const OTHER_CONSTANT = ["a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "?1ezyfcl"];

Deno.test("hasBech32mChecksum() takes the vectors of BIP 350, and encodeBech32m() makes them", () => {
  for (const text of VALID) {
    const [prefix, data] = partsOf(text);
    assert.ok(hasBech32mChecksum(prefix, valuesOf(data)), text);
    assert.equal(encodeBech32m(prefix, valuesOf(data).slice(0, -BECH32_CHECKSUM_LENGTH)), data);
  }
});

Deno.test("hasBech32mChecksum() refuses a checksum of Bech32, one under another prefix, and a changed one", () => {
  for (const text of OTHER_CONSTANT) {
    const [prefix, data] = partsOf(text);
    assert.ok(!hasBech32mChecksum(prefix, valuesOf(data)), text);
  }
  const [prefix, data] = partsOf("abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx");
  assert.ok(!hasBech32mChecksum(`${prefix}g`, valuesOf(data)));
  assert.ok(!hasBech32mChecksum(prefix, valuesOf(data).with(-1, 0)));
});
