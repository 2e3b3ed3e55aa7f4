import assert from "node:assert/strict";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { FRESH, NO_IDENTITY } from "../../evidence.ts";
import { createInsecureIssuer, INSECURE_IDENTITY_BYTES } from "./issuer.ts";
import { createInsecureVerifier } from "./verifier.ts";

const expectation = { trust: [new Uint8Array(32)], lock: [FRESH], identity: NO_IDENTITY };
const statement = new Uint8Array(32);

Deno.test("createInsecureVerifier() uses the payload of createInsecureIssuer() as the identity", async () => {
  const identity = randomBytes(INSECURE_IDENTITY_BYTES);
  const evidence = await createInsecureIssuer(identity).issue(statement);
  const { claims, challenge } = await createInsecureVerifier().verify(evidence, statement, expectation);
  assert.deepEqual(claims, { variant: "none", identity: hex(identity), fresh: true });
  assert.equal(challenge, undefined);
});

Deno.test("createInsecureVerifier() refuses other variants and other lengths", async () => {
  const verifier = createInsecureVerifier();
  const tpm = verifier.verify({ variant: "tpm", payload: new Uint8Array(32) }, statement, expectation);
  await assert.rejects(tpm, { code: "refused/variant" });
  for (const length of [0, 31, 33]) {
    const verdict = verifier.verify({ variant: "none", payload: new Uint8Array(length) }, statement, expectation);
    await assert.rejects(verdict, { code: "malformed/evidence" });
  }
});

Deno.test("createInsecureIssuer() refuses identities of other lengths and challenges", async () => {
  assert.throws(() => createInsecureIssuer(new Uint8Array(31)), { code: "malformed/evidence" });
  const challenge = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
  await assert.rejects(createInsecureIssuer(randomBytes(INSECURE_IDENTITY_BYTES)).activate(challenge), {
    code: "protocol/challenge",
  });
});
