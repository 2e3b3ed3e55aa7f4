import assert from "node:assert/strict";
import fc from "fast-check";
import { hex } from "../platform/bytes.ts";
import { activationAnswer, checkActivationAnswer } from "./activation.ts";

const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
const statement = new Uint8Array(32).fill(5);
const bytes = fc.uint8Array({ minLength: 1, maxLength: 48 });

Deno.test("activationAnswer() returns HMAC-SHA-256 of the statement with the secret as the key", async () => {
  // Python: hmac.new(bytes(range(32)), bytes([5]) * 32, sha256).hexdigest()
  const expected = "2be5374ae8632b431d727f0100b727dd3e7884247c8ca516967c0789a13e3726";
  assert.equal(hex(await activationAnswer(secret, statement)), expected);
});

Deno.test("checkActivationAnswer() accepts the answer for its secret and statement", async () => {
  await fc.assert(fc.asyncProperty(bytes, bytes, async (key, x) => {
    await checkActivationAnswer(await activationAnswer(key, x), key, x);
  }));
});

Deno.test("checkActivationAnswer() refuses every other answer", async () => {
  const answer = await activationAnswer(secret, statement);
  const cases: Readonly<Record<string, Uint8Array>> = {
    "for another connection": await activationAnswer(secret, new Uint8Array(32).fill(6)),
    "by another secret": await activationAnswer(new Uint8Array(32), statement),
    "that is empty": new Uint8Array(),
    "that is cut": answer.subarray(0, 31),
    "that goes on": Uint8Array.of(...answer, 0),
    "that is the secret itself": secret,
  };
  for (const [name, wrong] of Object.entries(cases)) {
    await assert.rejects(checkActivationAnswer(wrong, secret, statement), { code: "refused/activation" }, name);
  }
  for (let i = 0; i < answer.length * 8; i++) {
    const flipped = answer.slice();
    flipped[i >> 3] = (flipped[i >> 3] ?? 0) ^ (1 << (i & 7));
    await assert.rejects(checkActivationAnswer(flipped, secret, statement), { code: "refused/activation" });
  }
});

Deno.test("checkActivationAnswer() does not reveal the secret or the right answer", async () => {
  await assert.rejects(checkActivationAnswer(new Uint8Array(32), secret, statement), (error: Error) => {
    const told = `${error.message} ${JSON.stringify(error)}`;
    return !told.includes(hex(secret)) && !told.includes("2be5374ae8632b43");
  });
});
