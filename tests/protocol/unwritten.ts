/**
 * The names in the models that no code has yet, each in the form of the models' comments. A change that writes the
 * code takes the names out: `model_test.ts` fails when the code has a name of this list, or when no model has it.
 *
 * @module
 */

/** Founding among equals. */
export const UNWRITTEN: readonly string[] = Object.freeze([
  "founding/dialler.ts dialFounders()",
  "founding/entry.ts identityOf()",
  "founding/entry.ts ownEntry()",
  "founding/exchange_client.ts meetFounder()",
  "founding/exchange_client.ts sendStatement()",
  "founding/exchange_server.ts answerFounder()",
  "founding/exchange_server.ts sendStatement()",
  "founding/founder_key.ts readOrCreateFounderKey()",
  "founding/founding_server.ts FoundingServer()",
  "founding/peer_check.ts challengePeer()",
  "founding/peer_check.ts checkStatement()",
  "founding/peer_check.ts peerExpectation()",
  "founding/view.ts View()",
  "join/exchange_client.ts signByToken()",
  "join/founder_evidence.ts challengeFounder()",
  "join/founder_evidence.ts founderExpectation()",
  "protocol/token_founding.ts checkTokenFounding()",
  "protocol/token_founding.ts createTokenFounding()",
  "service/founder_evidence.ts answerJoiner()",
  "service/founder_evidence.ts issueFounderEvidence()",
  "service/founder_evidence.ts laterTrust()",
  "service/request_check.ts checkToken()",
]);
