/**
 * The exchange between founders, from the end that dials.
 *
 * | step | |
 * |---|---|
 * | 1. hello | N_c, the own trust part, signed by the token for this connection |
 * | 2. hello | the other's, likewise: it has the token, and the same trust part |
 * | 3. statement | certificate, card, evidence over B_c, signed by F and by the token |
 * | 4. activation | the own TPM shows that it is at this end |
 * | 5. statement | the other's, over B_s |
 * | 6. activation | the other's TPM shows that it is at the other end: it is verified wholly |
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { copyOf, hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { FounderStatement } from "../proto/gen/bootstrapper.ts";
import { NONCE_BYTES } from "../protocol/lengths.ts";
import {
  foundA1,
  foundClientStatement,
  founderClientStatement,
  founderServerStatement,
  foundServerStatement,
} from "../protocol/transcript.ts";
import { readInstance, readNonce } from "./_message.ts";
import type { FoundClientExchange, Founder, MetFounder } from "./founder.ts";
import type { CheckedFounder, FounderPeer } from "./peer_check.ts";
import { challengePeer, checkStatement, checkToken } from "./peer_check.ts";
import { answerChallenge, makeHello, makeStatement } from "./statement.ts";
import { compareTrust } from "./trust_comparison.ts";

/** A dial, as its dialler sees it. */
export interface FounderDial {
  /** `host:port` that was dialled. */
  readonly endpoint: string;
  /**
   * Whether the exchange is of no use, by the instance that the peer says it is: that one is heard on another stream, or
   * is being verified. It is asked before this machine makes evidence.
   */
  isNeedless(instance: string): boolean;
}

/**
 * Gets to know the founder that answers, and shows itself.
 *
 * @throws {BootstrapError} `conflict/self-dial`, `aborted/founder-met`, `unauthorized/founder`, `refused/…`,
 *   `malformed/…`, `conflict/founder-key`, `unavailable/founder-busy`, `precondition/founders-pledged`, or the reason why
 *   the exchange ended.
 */
export async function meetFounder(
  exchange: FoundClientExchange,
  own: Founder,
  dial: FounderDial,
): Promise<MetFounder> {
  const { deadlines } = own;
  const { binding } = exchange;
  const clientNonce = randomBytes(NONCE_BYTES);
  using ownDial = own.ownDials.begin(clientNonce);
  try {
    const hello = await makeHello(own, clientNonce, "found-c", () => foundClientStatement(binding, clientNonce));
    await exchange.send({ message: { $case: "hello", hello } });
    const answer = await exchange.receive("hello", deadlines.helloMs);
    const serverNonce = readNonce(answer.nonce);
    const statement = () => foundServerStatement(binding, clientNonce, serverNonce);
    await checkToken(answer.tokenSignature, "found-s", statement, own);
    compareTrust(own.trust, answer.trust, "dialling");
    if (dial.isNeedless(readInstance(answer.instance))) throw met(dial.endpoint);
    const { trustDigest } = own;
    const a1 = await foundA1({ binding, clientNonce, serverNonce, trustDigest });
    const bc = await sendStatement(exchange, own, a1, dial.endpoint);
    const theirs = await exchange.receive("statement", deadlines.answerMs);
    const bs = await founderServerStatement(bc, theirs);
    const peer: FounderPeer = { address: dial.endpoint, gone: exchange.closed, explainRefusals: () => {} };
    return await challenge(exchange, own, await checkStatement(theirs, bs, own, peer));
  } catch (cause) {
    if (!ownDial.cameBack) throw cause;
    throw new BootstrapError("conflict/self-dial", `${dial.endpoint} is this machine itself`, { cause });
  }
}

/** Whether this side leaves an exchange to the one that the other side has begun. Of two instances, one does. */
export function yieldsTo(own: Uint8Array, instance: string): boolean {
  return hex(own) > instance;
}

/** Steps 3 and 4: shows this machine, and answers the challenge. Returns B_c. */
async function sendStatement(
  exchange: FoundClientExchange,
  own: Founder,
  a1: Bytes,
  endpoint: string,
): Promise<Bytes> {
  const card = await own.nextCard();
  const bc = await founderClientStatement(a1, { certificate: own.key.certificate, card });
  const statement: FounderStatement = await makeStatement(own, card, bc, endpoint);
  await exchange.send({ message: { $case: "statement", statement } });
  const issuer = own.attestation?.issuer;
  if (issuer?.isChallenged === true) {
    const asked = await exchange.receive("challenge", own.deadlines.answerMs);
    const hmac = await answerChallenge(issuer, asked, bc);
    await exchange.send({ message: { $case: "activation", activation: { hmac } } });
  }
  return bc;
}

/** Step 6. */
function challenge(exchange: FoundClientExchange, own: Founder, checked: CheckedFounder): Promise<MetFounder> {
  return challengePeer(checked, own, async ({ credentialBlob, encryptedSecret }) => {
    const message = { credentialBlob: copyOf(credentialBlob), encryptedSecret: copyOf(encryptedSecret) };
    await exchange.send({ message: { $case: "challenge", challenge: message } });
    return (await exchange.receive("activation", own.deadlines.answerMs)).hmac;
  });
}

function met(endpoint: string): BootstrapError {
  return new BootstrapError(
    "aborted/founder-met",
    `The founder at ${endpoint} is heard, or verified, on another stream`,
  );
}
