import assert from "node:assert/strict";
import { startSwtpm } from "../swtpm.ts";
import { createTpmIssuer } from "../../attestation/tpm/issuer.ts";
import { readPolicy, createVerifier } from "../../attestation/policy.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { decodePayload } from "../../attestation/tpm/payload.ts";

Deno.test("e2e", async () => {
  let t = performance.now();
  await using tpm = await startSwtpm({ vmId: "vm-1" });
  console.log("setup", performance.now() - t);
  const transport = await tpm.connect();
  for (const ekType of ["rsa2048", "ecc-p384"] as const) {
    t = performance.now();
    const issuer = createTpmIssuer(transport, ekType);
    const statement = randomBytes(32);
    const evidence = await issuer.issue(statement);
    console.log("issue", performance.now() - t, evidence.payload.length, decodePayload(evidence.payload).certificate.length);
    const policy = readPolicy(`
version: 1
variant: tpm
tpm:
  ekType: ${ekType}
  pcrs: { 4: ["${"0".repeat(64)}"] }
  trust:
    issuers:
    - certificate: |
${tpm.issuerPem.replace(/^[^]*-----BEGIN/, "-----BEGIN").replaceAll(/^/gm, "        ")}
      attributes: {CN: vm-1}
`, "p");
    t = performance.now();
    const v = await createVerifier(policy, () => new Date()).verify(evidence, statement, { trust: [new Uint8Array(32)], lock: [new Uint8Array(32)] });
    console.log("verify", performance.now() - t, v.claims);
    t = performance.now();
    assert.ok(v.challenge);
    const s = await issuer.activate(v.challenge.message);
    assert.equal(hex(s), hex(v.challenge.secret));
    console.log("activate", performance.now() - t);
  }
  transport.close();
});
