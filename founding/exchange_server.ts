/**
 * The exchange between founders, from the end that is dialled. Its steps are those of `exchange_client.ts`.
 *
 * @module
 */
import { peerLink } from "../channel/peer_group.ts";
import type { Session } from "../channel/server.ts";
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type {
  FoundClientMessage,
  FounderStatement,
  FoundHello,
  FoundServerMessage,
} from "../proto/gen/bootstrapper.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import {
  foundA1,
  foundClientStatement,
  founderClientStatement,
  founderServerStatement,
  foundServerStatement,
} from "../protocol/transcript.ts";
import { readInstance, readNonce } from "./_message.ts";
import type { Founder, FoundServerExchange, MetFounder } from "./founder.ts";
import type { FounderPeer } from "./peer_check.ts";
import { challengePeer, checkStatement, checkToken } from "./peer_check.ts";
import { answerChallenge, makeHello, makeStatement } from "./statement.ts";
import { compareTrust } from "./trust_comparison.ts";

/** One exchange, from the end that is dialled. */
export type FoundSession = Session<FoundClientMessage, FoundServerMessage>;

/** What the server wants to know of an exchange before its end. */
export interface FoundWatch {
  /** Called when the peer's hello was accepted, with the instance that it says it is, hexadecimal. */
  onHello(instance: string): void;
}

/**
 * Gets to know the founder that dials. It makes evidence only for a peer that it has verified wholly.
 *
 * @throws {BootstrapError} As `meetFounder()`. The channel sends it to the peer: a stranger gets its code alone.
 */
export async function answerFounder(session: FoundSession, own: Founder, watch: FoundWatch): Promise<MetFounder> {
  const { exchange } = session;
  const { binding } = exchange;
  const hello = await exchange.receive("hello", own.deadlines.helloMs);
  const clientNonce = await checkHello(hello, session, own);
  watch.onHello(readInstance(hello.instance));
  const serverNonce = randomBytes(NONCE_BYTES);
  const statement = () => foundServerStatement(binding, clientNonce, serverNonce);
  const answer = await makeHello(own, serverNonce, "found-s", statement);
  await exchange.send({ message: { $case: "hello", hello: answer } });
  const { trustDigest } = own;
  const a1 = await foundA1({ binding, clientNonce, serverNonce, trustDigest });
  const theirs = await exchange.receive("statement", own.deadlines.answerMs);
  const bc = await founderClientStatement(a1, theirs);
  const met = await challenge(session, own, theirs, bc);
  session.trustPeer();
  await sendStatement(exchange, own, bc, met.entry.identity);
  return met;
}

/** Step 1: the token first. Who does not have it is a stranger. */
async function checkHello(hello: FoundHello, session: FoundSession, own: Founder): Promise<Bytes> {
  const { exchange: { binding }, explainRefusals } = session;
  const clientNonce = readNonce(hello.nonce);
  await checkToken(hello.tokenSignature, "found-c", () => foundClientStatement(binding, clientNonce), own);
  if (own.token !== undefined) explainRefusals();
  if (own.ownDials.hear(clientNonce)) {
    throw new BootstrapError("conflict/self-dial", "This machine has dialled itself");
  }
  try {
    compareTrust(own.trust, hello.trust, "dialled");
  } catch (error) {
    // Also where nobody has a token: both sides' people must see which field differs.
    explainRefusals();
    throw error;
  }
  return clientNonce;
}

/** Steps 3 and 4, as the peer's. */
async function challenge(
  { exchange, explainRefusals }: FoundSession,
  own: Founder,
  statement: FounderStatement,
  bc: Bytes,
): Promise<MetFounder> {
  const peer: FounderPeer = { address: peerLink(exchange.peerAddress), gone: exchange.closed, explainRefusals };
  const checked = await checkStatement(statement, bc, own, peer);
  return await challengePeer(checked, own, async ({ credentialBlob, encryptedSecret }) => {
    const message = { credentialBlob: copyOf(credentialBlob), encryptedSecret: copyOf(encryptedSecret) };
    await exchange.send({ message: { $case: "challenge", challenge: message } });
    return (await exchange.receive("activation", own.deadlines.answerMs)).hmac;
  });
}

/** Steps 5 and 6: shows this machine, and answers the challenge. */
async function sendStatement(exchange: FoundServerExchange, own: Founder, bc: Bytes, identity: string): Promise<void> {
  const card = await own.nextCard();
  const bs = await founderServerStatement(bc, { certificate: own.key.certificate, card });
  const statement = await makeStatement(own, card, bs, identity);
  await exchange.send({ message: { $case: "statement", statement } });
  const issuer = own.attestation?.issuer;
  if (issuer?.isChallenged !== true) return;
  const asked = await exchange.receive("challenge", own.deadlines.answerMs);
  const hmac = await answerChallenge(issuer, asked, bs);
  await exchange.send({ message: { $case: "activation", activation: { hmac } } });
}
