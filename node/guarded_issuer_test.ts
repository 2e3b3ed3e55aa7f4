import assert from "node:assert/strict";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { createInsecureIssuer } from "../attestation/kinds/none/issuer.ts";
import type { NodeLockState } from "../nodelock/lock.ts";
import { guardedIssuer } from "./guarded_issuer.ts";

const statement = new Uint8Array(32);
const plain = createInsecureIssuer(new Uint8Array(32).fill(1));

function guarded(states: readonly NodeLockState[]): EvidenceIssuer {
  const left = [...states];
  const state = () => left.shift() ?? { name: "unlocked" } as const;
  return guardedIssuer(plain, { state, take: () => Promise.reject(new Error("nothing takes it here")) });
}

Deno.test("guardedIssuer() makes evidence when the node is not being locked", async () => {
  assert.deepEqual(await guarded([{ name: "unlocked" }]).issue(statement), await plain.issue(statement));
});

Deno.test("guardedIssuer() makes no evidence when the node is being locked, even if that began meanwhile", async () => {
  const [unlocked, locking] = [{ name: "unlocked" }, { name: "locking" }] as const;
  for (const states of [[locking], [unlocked, locking]]) {
    await assert.rejects(guarded(states).issue(statement), { code: "unavailable/locking", retriable: true });
  }
});
