/**
 * Founding among equals: cards, and whole exchanges with a founder that sends any messages in any order, signed by a key
 * and a token that are its own.
 *
 * @module
 */
import { makeCard, readCard } from "../../../founding/card.ts";
import { keyDigestOf } from "../../../founding/entry.ts";
import { meetFounder } from "../../../founding/exchange_client.ts";
import { answerFounder } from "../../../founding/exchange_server.ts";
import { View } from "../../../founding/view.ts";
import { compareBytes, equalBytes } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import type { FounderStatement, FoundHello } from "../../../proto/gen/bootstrapper.ts";
import { FoundClientMessage, FoundServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { sign } from "../../../protocol/signature.ts";
import {
  foundA1,
  foundClientStatement,
  founderClientStatement,
  founderServerStatement,
  foundServerStatement,
} from "../../../protocol/transcript.ts";
import { fixedKeys } from "../_keys.ts";
import { BINDING, exchangeWith } from "../_peer.ts";
import { readScript } from "../_script.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { afresh, newFounder, NOW } from "./_founder.ts";

const TIME = { monotonicMs: 0, nowMs: NOW.getTime() };
const ZERO = new Uint8Array(32);
const [token, peerKeys] = [await fixedKeys("ed25519", 9), await fixedKeys("p-256", 8)];

/** Signs what the input left unsigned. */
async function signStatement(statement: FounderStatement, b: Bytes): Promise<void> {
  if (statement.signature.length === 0) statement.signature = await sign(peerKeys, "founder", b);
  if (statement.tokenSignature.length === 0) statement.tokenSignature = await sign(token, "founder", b);
}

async function signHello(hello: FoundHello, tag: "found-c" | "found-s", statement: Bytes): Promise<void> {
  if (hello.tokenSignature.length === 0) hello.tokenSignature = await sign(token, tag, statement);
}

export const foundingTargets: readonly FuzzTarget[] = [
  {
    name: "founder-card",
    form: "protobuf",
    maximumBytes: 66 << 10,
    async open() {
      const { entry } = await newFounder();
      const view = new View({ entry, keyDigest: await keyDigestOf(entry), size: 3 });
      return async (input) => {
        const card = await readCard(input);
        promise(equalBytes(await makeCard(card), input), "a card changes when it is written again");
        const [first = entry] = card.view;
        const number = view.open({ entry: first, keyDigest: await keyDigestOf(first), card }, TIME);
        const { entries, present } = view.state(TIME);
        promise(entries.length === present.length + 1, "a founder that is there is not in the view");
        view.close(number, "over", TIME);
      };
    },
  },
  {
    name: "founding-server",
    form: "protobuf",
    maximumBytes: 256 << 10,
    mayEndIn: ["unavailable", "conflict"],
    async open() {
      const founder = await newFounder();
      return async (input) => {
        const own = afresh(founder);
        let clientNonce: Bytes = ZERO;
        let serverNonce: Bytes = ZERO;
        const exchange = exchangeWith({
          incoming: FoundClientMessage,
          outgoing: FoundServerMessage,
          script: readScript(input),
          hear({ message }) {
            if (message?.$case === "hello") serverNonce = new Uint8Array(message.hello.nonce);
          },
          async sign(envelope) {
            const { message } = envelope;
            if (message?.$case === "hello") {
              clientNonce = new Uint8Array(message.hello.nonce);
              await signHello(message.hello, "found-c", await foundClientStatement(BINDING, clientNonce));
            }
            if (message?.$case === "statement") {
              const a1 = await foundA1({ binding: BINDING, clientNonce, serverNonce, trustDigest: own.trustDigest });
              await signStatement(message.statement, await founderClientStatement(a1, message.statement));
            }
            return envelope;
          },
        });
        const session = { exchange, explainRefusals: () => {}, trustPeer: () => {} };
        const { entry, keyDigest } = await answerFounder(session, own, { onHello: () => {} });
        promise(compareBytes(keyDigest, await keyDigestOf(entry)) === 0, "a founder has another key than its entry");
        await readCard(await exchange.receive("card", own.deadlines.cardMs));
      };
    },
  },
  {
    name: "founding-client",
    form: "protobuf",
    maximumBytes: 256 << 10,
    mayEndIn: ["unavailable", "conflict", "aborted"],
    async open() {
      const founder = await newFounder();
      return async (input) => {
        const own = afresh(founder);
        let clientNonce: Bytes = ZERO;
        let bc: Bytes = ZERO;
        const exchange = exchangeWith({
          incoming: FoundServerMessage,
          outgoing: FoundClientMessage,
          script: readScript(input),
          hear({ message }) {
            if (message?.$case === "hello") clientNonce = new Uint8Array(message.hello.nonce);
          },
          async sign(envelope) {
            const { message } = envelope;
            if (message?.$case === "hello") {
              const serverNonce = new Uint8Array(message.hello.nonce);
              await signHello(message.hello, "found-s", await foundServerStatement(BINDING, clientNonce, serverNonce));
              const a1 = await foundA1({ binding: BINDING, clientNonce, serverNonce, trustDigest: own.trustDigest });
              const card = await own.nextCard();
              bc = await founderClientStatement(a1, { certificate: own.key.certificate, card });
            }
            if (message?.$case === "statement") {
              await signStatement(message.statement, await founderServerStatement(bc, message.statement));
            }
            return envelope;
          },
        });
        await meetFounder(exchange, own, { endpoint: "192.0.2.1:9443", isNeedless: () => false });
        await readCard(await exchange.receive("card", own.deadlines.cardMs));
      };
    },
  },
];
