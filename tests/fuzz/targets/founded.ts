/**
 * Joins of a cluster that no operator founded, with a peer that sends any messages, and signs them with keys of its own.
 *
 * @module
 */
import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { createInsecureIssuer } from "../../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../../attestation/kinds/none/verifier.ts";
import type { EvidenceVerifier } from "../../../attestation/evidence.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { JOIN_CLIENT_DEADLINES, obtainTicket } from "../../../join/exchange_client.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { JoinClientMessage, JoinServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { activationAnswer } from "../../../protocol/activation.ts";
import { readFoundingFile } from "../../../protocol/founding_file.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { sign } from "../../../protocol/signature.ts";
import { createTokenFounding } from "../../../protocol/token_founding.ts";
import { answerStatement, joinA1, joinA2 } from "../../../protocol/transcript.ts";
import type { TrustPart } from "../../../protocol/transcript.ts";
import type { JoinExchangeService, JoinSession } from "../../../service/exchange_parts.ts";
import { JOIN_SERVICE_DEADLINES } from "../../../service/exchange_parts.ts";
import { FairQueue } from "../../../service/fair_queue.ts";
import { answerJoiner, FOUNDER_EVIDENCE_QUEUE, issueFounderEvidence } from "../../../service/founder_evidence.ts";
import { checkToken, readSignedRequest } from "../../../service/request_check.ts";
import { fixedKeys } from "../_keys.ts";
import { BINDING, exchangeWith } from "../_peer.ts";
import { readScript } from "../_script.ts";
import type { FuzzTarget } from "../target.ts";

const NOW = new Date("2026-05-01T00:00:00Z");
const MAXIMUM_BYTES = 256 << 10;
const ZERO = new Uint8Array(32);
const SECRET = new Uint8Array(32).fill(5);
const clock = { now: () => NOW, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const [token, node, service, serving, identity] = [
  await fixedKeys("ed25519", 1),
  await fixedKeys("p-256", 3),
  await fixedKeys("p-256", 2),
  await fixedKeys("p-256", 5),
  await fixedKeys("p-256", 6),
];
const trust: TrustPart = {
  ...{ clusterName: "fuzz", clusterId: new Uint8Array(), operatorKeys: [], ...TPM_SETTINGS },
  founding: { size: 3, policyDigest: ZERO, tokenKey: token.spki },
};
/** Evidence that proves nothing, with a challenge whose secret the peer knows. */
const challenging: EvidenceVerifier = {
  ...createInsecureVerifier(),
  async verify(...all) {
    const verified = await createInsecureVerifier().verify(...all);
    return {
      ...verified,
      challenge: { message: { credentialBlob: ZERO, encryptedSecret: ZERO }, secret: SECRET.slice() },
    };
  },
};

/** Targets that may end in `unavailable`, as a peer that has sent its last message is gone. */
export const foundedTargets: readonly FuzzTarget[] = [
  {
    name: "join-client-founded",
    form: "protobuf",
    maximumBytes: MAXIMUM_BYTES,
    mayEndIn: ["unavailable"],
    open: () => async (input) => {
      let [clientNonce, a1, a2]: [Uint8Array, Uint8Array, Uint8Array] = [ZERO, ZERO, ZERO];
      let pending: Promise<unknown> = Promise.resolve();
      const exchange = exchangeWith({
        incoming: JoinServerMessage,
        outgoing: JoinClientMessage,
        script: readScript(input),
        hear({ message }) {
          if (message?.$case === "hello") clientNonce = message.hello.clientNonce;
          if (message?.$case === "request") pending = joinA2(a1, message.request).then((made) => a2 = made);
        },
        async sign(envelope) {
          await pending;
          const { message } = envelope;
          if (message?.$case === "activation" && message.activation.hmac.length === 0) {
            message.activation.hmac = await activationAnswer(SECRET, a1);
          }
          if (message?.$case === "ticket" && message.ticket.signature.length === 0) {
            message.ticket.signature = await sign(service, "ticket", await answerStatement(a2, message.ticket.ticket));
          }
          if (message?.$case !== "proposal") return envelope;
          const { proposal } = message;
          const clusterId = await idOrZero(proposal.caCertificate);
          if (proposal.tokenFounding?.length === 0) {
            proposal.tokenFounding = await createTokenFounding(token, clusterId, trust);
          }
          a1 = await joinA1({
            ...{ binding: BINDING, clientNonce, serverNonce: proposal.serverNonce, clusterId },
            lists: shownLists(proposal),
          });
          if (proposal.signature.length === 0) proposal.signature = await sign(service, "service", a1);
          return envelope;
        },
      });
      const sealing = { publicKey: new Uint8Array(32).fill(9), privateKey: node.privateKey };
      await obtainTicket(exchange, {
        purpose: "join",
        trust,
        founders: { verifier: challenging, roleOf: () => "control-plane" },
        self: { name: "worker-1", address: "192.0.2.7", role: "worker" },
        kubeletVersion: "v1.36.3",
        keys: { node, serving, sealing, identity },
        issuer: createInsecureIssuer(ZERO),
        deadlines: JOIN_CLIENT_DEADLINES,
        clock,
        noteFounded: () => {},
        exclusively: (work) => work(),
      });
    },
  },
  {
    name: "join-service-founded",
    form: "protobuf",
    maximumBytes: MAXIMUM_BYTES,
    mayEndIn: ["unavailable"],
    open: () => async (input) => {
      const context = {
        ...{ binding: BINDING, clientNonce: ZERO, serverNonce: ZERO, clusterId: ZERO },
        lists: { foundings: [], successions: [], documents: [] },
      };
      const a1 = await joinA1(context);
      const exchange = exchangeWith({
        incoming: JoinClientMessage,
        outgoing: JoinServerMessage,
        script: readScript(input),
        async sign(envelope) {
          const { message } = envelope;
          if (message?.$case !== "request") return envelope;
          const a2 = await joinA2(a1, message.request);
          if (message.request.signature.length === 0) message.request.signature = await sign(node, "request", a2);
          if (message.request.tokenSignature?.length === 0) {
            message.request.tokenSignature = await sign(token, "token-join", a2);
          }
          return envelope;
        },
      });
      const session: JoinSession = { exchange, explainRefusals: () => {}, trustPeer: () => {} };
      // The steps that only a founded cluster has; `join-service` has the others.
      const parts = {
        trust,
        proofs: new FairQueue(FOUNDER_EVIDENCE_QUEUE),
        deadlines: JOIN_SERVICE_DEADLINES,
        prover: {
          issue: () => Promise.resolve({ variant: "none", payload: ZERO }),
          answer: () => Promise.resolve(ZERO),
        },
      } as Partial<JoinExchangeService> as JoinExchangeService;
      const { wantsEvidence = false } = await exchange.receive("hello", JOIN_SERVICE_DEADLINES.helloMs);
      const evidence = await issueFounderEvidence(session, parts, context, wantsEvidence);
      const request = await answerJoiner(session, parts, context, evidence);
      await checkToken(parts, await readSignedRequest(request, a1));
    },
  },
  {
    name: "founding-file",
    form: "json",
    maximumBytes: 8 << 10,
    open: () => (input) => void readFoundingFile(input, "it"),
  },
];

/** The cluster ID of a CA's certificate; zero if the peer sent no readable certificate. */
async function idOrZero(caCertificate: Uint8Array): Promise<Bytes> {
  try {
    return await clusterIdOf(readCertificate(caCertificate, "CA"));
  } catch (error) {
    if (error instanceof BootstrapError) return ZERO;
    throw error;
  }
}
