import assert from "node:assert/strict";
import { errorOf } from "../attestation/testing/evidence.ts";
import type { Bytes } from "../platform/bytes.ts";
import { hex } from "../platform/bytes.ts";
import { FoundClientMessage, FoundServerMessage } from "../proto/gen/bootstrapper.ts";
import { sign } from "../protocol/signature.ts";
import { foundServerStatement } from "../protocol/transcript.ts";
import { fixedKeys } from "../tests/fuzz/_keys.ts";
import { BINDING, exchangeWith } from "../tests/fuzz/_peer.ts";
import { newFounder } from "../tests/fuzz/targets/_founder.ts";
import { meetFounder, yieldsTo } from "./exchange_client.ts";
import { shownTrust } from "./trust_comparison.ts";

const instance = new Uint8Array(16).fill(2);

Deno.test("meetFounder() ends before it makes evidence, if the founder is heard on another stream", async () => {
  const own = await newFounder();
  const token = await fixedKeys("ed25519", 9);
  const nonce: Bytes = new Uint8Array(32).fill(3);
  let clientNonce: Bytes = nonce;
  const sent: string[] = [];
  const hello = { nonce, trust: shownTrust(own.trust), tokenSignature: new Uint8Array(), instance };
  const exchange = exchangeWith({
    incoming: FoundServerMessage,
    outgoing: FoundClientMessage,
    script: [Uint8Array.from(FoundServerMessage.encode({ message: { $case: "hello", hello } }).finish())],
    hear({ message }) {
      sent.push(message?.$case ?? "");
      if (message?.$case === "hello") clientNonce = Uint8Array.from(message.hello.nonce);
    },
    async sign(envelope) {
      if (envelope.message?.$case === "hello") {
        const statement = await foundServerStatement(BINDING, clientNonce, nonce);
        envelope.message.hello.tokenSignature = await sign(token, "found-s", statement);
      }
      return envelope;
    },
  });
  const asked: string[] = [];
  const isNeedless = (one: string) => asked.push(one) > 0;
  const error = await errorOf(() => meetFounder(exchange, own, { endpoint: "192.0.2.1:9443", isNeedless }));
  assert.deepEqual([error.code, asked, sent], ["aborted/founder-met", [hex(instance)], ["hello"]]);
});

Deno.test("yieldsTo() lets exactly one of two founders yield", () => {
  const other = new Uint8Array(16).fill(3);
  assert.notEqual(yieldsTo(instance, hex(other)), yieldsTo(other, hex(instance)));
  assert.equal(yieldsTo(instance, hex(instance)), false);
});
