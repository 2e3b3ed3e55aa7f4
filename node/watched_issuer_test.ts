import assert from "node:assert/strict";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCode } from "../platform/errors.ts";
import { watchedIssuer } from "./watched_issuer.ts";

function failing(code: ErrorCode): EvidenceIssuer {
  const fail = () => Promise.reject(new BootstrapError(code, "no"));
  return { variant: "tpm", isChallenged: true, identityIsOfBoot: true, issue: fail, activate: fail, ownIdentity: fail };
}

Deno.test("watchedIssuer() tells of this machine's broken device, and of no other failure", async () => {
  for (
    const [code, expected] of [["system/tpm-transport", 3], ["unavailable/tpm", 0], ["refused/tpm-value", 0]] as const
  ) {
    let told = 0;
    const issuer = watchedIssuer(failing(code), (error) => {
      assert.equal(error.code, code);
      told++;
    });
    const challenge = { credentialBlob: new Uint8Array(), encryptedSecret: new Uint8Array() };
    for (
      const work of [
        () => issuer.issue(new Uint8Array(32)),
        () => issuer.activate(challenge),
        () => issuer.ownIdentity(""),
      ]
    ) await assert.rejects(work(), { code });
    assert.equal(told, expected, code);
    assert.deepEqual([issuer.variant, issuer.isChallenged, issuer.identityIsOfBoot], ["tpm", true, true]);
  }
});
