/**
 * Whole exchanges with a peer that sends any messages in any order, and signs them with keys of its own.
 *
 * @module
 */
import { TPM_ACCEPTED, TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { FRESH, NO_IDENTITY } from "../../../attestation/evidence.ts";
import { answerStatement, helloStatement, initA1, initA2, joinA1, joinA2 } from "../../../protocol/transcript.ts";
import type { TrustPart } from "../../../protocol/transcript.ts";
import { createFounding } from "../../../protocol/founding.ts";
import { createInsecureIssuer } from "../../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../../attestation/kinds/none/verifier.ts";
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { prepareNodeCertificates } from "../../../certificate/ca.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { sign } from "../../../protocol/signature.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { awaitResult, INIT_CLIENT_DEADLINES, verifyNode } from "../../../operator/exchange_client.ts";
import { Hellos } from "../../../init/hellos.ts";
import { INIT_SERVER_DEADLINES, proposeAndAuthorise, receiveHello } from "../../../init/exchange_server.ts";
import { clusterNetwork } from "../../../service/claims_check.ts";
import { decodeControlPlaneKit } from "../../../protocol/control_plane_kit.ts";
import { JOIN_CLIENT_DEADLINES, obtainTicket } from "../../../join/exchange_client.ts";
import { JOIN_SERVICE_DEADLINES } from "../../../service/exchange_parts.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { sealKit } from "../../../protocol/sealed_kit.ts";
import { DocumentFetches } from "../../../service/document_fetches.ts";
import { FairQueue } from "../../../service/fair_queue.ts";
import { FOUNDER_EVIDENCE_QUEUE } from "../../../service/founder_evidence.ts";
import { readClusterSettings } from "../../../kubernetes/settings.ts";
import { silentLog } from "../../../platform/log.ts";
import { RefusalLog } from "../../../platform/refusal_log.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import {
  InitClientMessage,
  InitServerMessage,
  JoinClientMessage,
  JoinServerMessage,
} from "../../../proto/gen/bootstrapper.ts";
import { fixedKeys } from "../_keys.ts";
import { BINDING, exchangeWith } from "../_peer.ts";
import { readScript } from "../_script.ts";
import type { FuzzTarget } from "../target.ts";

const NOW = new Date("2026-05-01T00:00:00Z");
const NAME = "fuzz";
const DOCUMENT = "kubernetesVersion: v1.36.3\n";
const MAXIMUM_BYTES = 256 << 10;
const ZERO = new Uint8Array(32);
const clock = { now: () => NOW, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const [operator, node, service, admin, serving, identity] = [
  await fixedKeys("ed25519", 1),
  await fixedKeys("p-256", 3),
  await fixedKeys("p-256", 2),
  await fixedKeys("p-256", 4),
  await fixedKeys("p-256", 5),
  await fixedKeys("p-256", 6),
];
const [authority, a2OfInit] = [await fixedKeys("p-256", 0x0a), new Uint8Array(32).fill(0xa2)];

function trustOf(clusterId = new Uint8Array()): TrustPart {
  return { clusterName: NAME, clusterId, operatorKeys: [operator.spki], ...TPM_SETTINGS };
}

/** A peer that has sent its last message is gone, so these targets may end in `unavailable`. */
export const exchangeTargets: readonly FuzzTarget[] = [
  {
    name: "init-server",
    form: "protobuf",
    maximumBytes: MAXIMUM_BYTES,
    mayEndIn: ["unavailable"],
    async open(read) {
      const certificate = readCertificate(await read("fixtures/ca.der"), "CA");
      const clusterId = await clusterIdOf(certificate);
      const founding = await createFounding(operator, clusterId, NAME);
      const issuer = { ...createInsecureIssuer(ZERO), variant: "tpm", activate: () => Promise.resolve(ZERO) } as const;
      return async (input) => {
        let [clientNonce, serverNonce] = [ZERO, ZERO];
        const exchange = exchangeWith({
          incoming: InitClientMessage,
          outgoing: InitServerMessage,
          script: readScript(input),
          hear({ message }) {
            if (message?.$case === "proposal") serverNonce = new Uint8Array(message.proposal.serverNonce);
          },
          async sign(envelope) {
            const { message } = envelope;
            if (message?.$case === "hello" && message.hello.signature.length === 0) {
              clientNonce = new Uint8Array(message.hello.clientNonce);
              message.hello.signature = await sign(operator, "hello", await helloStatement(BINDING, clientNonce));
            }
            if (message?.$case === "request" && message.request.signature.length === 0) {
              const a1 = await initA1({
                binding: BINDING,
                clientNonce,
                serverNonce,
                operatorKey: operator.spki,
                clusterId,
              });
              message.request.signature = await sign(operator, "request", await initA2(a1, message.request.request));
              if (message.request.founding?.signature.length === 0) message.request.founding = founding;
            }
            return envelope;
          },
        });
        const session = { exchange, explainRefusals: () => {}, trustPeer: () => {} };
        const hello = await receiveHello(session, {
          trust: trustOf(),
          deadlines: INIT_SERVER_DEADLINES,
          hellos: new Hellos(),
        });
        const ca = { keys: service, certificate };
        const { staged: { request } } = await proposeAndAuthorise(session, hello, { ca }, {
          issuer,
          trust: trustOf(),
          clock,
        });
        readClusterSettings(request.clusterDocument);
        readPolicy(request.policyDocument, "policy");
        await exchange.receive("acknowledgement", INIT_SERVER_DEADLINES.answerMs);
      };
    },
  },
  {
    name: "init-client",
    form: "protobuf",
    maximumBytes: MAXIMUM_BYTES,
    mayEndIn: ["unavailable"],
    open: () => async (input) => {
      const script = readScript(input);
      const exchange = exchangeWith({
        incoming: InitServerMessage,
        outgoing: InitClientMessage,
        script,
        async sign(envelope) {
          const { message } = envelope;
          if (message?.$case !== "result" || message.result.signature.length > 0) return envelope;
          const statement = await answerStatement(a2OfInit, message.result.result);
          message.result.signature = await sign(authority, "init-answer", statement);
          return envelope;
        },
      });
      const expectationFor = () => Promise.resolve({ trust: [ZERO], lock: [FRESH], identity: NO_IDENTITY });
      const { clusterId } = await verifyNode(
        exchange,
        operator,
        createInsecureVerifier(),
        expectationFor,
        INIT_CLIENT_DEADLINES,
      );
      await awaitResult(exchange, {
        ...{ clusterId, clock, heard: 0, again: false, adminKey: admin.spki, a2: a2OfInit },
        silenceMs: () => INIT_CLIENT_DEADLINES.progressMs,
        onProgress: () => {},
      });
    },
  },
  {
    name: "join-service",
    form: "protobuf",
    maximumBytes: MAXIMUM_BYTES,
    mayEndIn: ["unavailable"],
    async open(read) {
      const caCertificate = await read("fixtures/ca.der");
      const clusterId = await clusterIdOf(readCertificate(caCertificate, "CA"));
      const certificate = await read("fixtures/service.der");
      const ca = { keys: authority, certificate: readCertificate(caCertificate, "CA") };
      const foundings = [await createFounding(operator, clusterId, NAME)];
      const kit = decodeControlPlaneKit(await read("kit/kit.bin"));
      return (input) => {
        let a1: Uint8Array = ZERO;
        let clientNonce: Uint8Array = ZERO;
        const exchange = exchangeWith({
          incoming: JoinClientMessage,
          outgoing: JoinServerMessage,
          script: readScript(input),
          async sign(envelope) {
            const { message } = envelope;
            if (message?.$case === "hello") clientNonce = message.hello.clientNonce;
            if (message?.$case === "request" && message.request.signature.length === 0) {
              const a2 = await joinA2(a1, message.request);
              message.request.signature = await sign(node, "request", a2);
              if (message.request.identitySignature.length === 0) {
                message.request.identitySignature = await sign(identity, "identity", a2);
              }
            }
            return envelope;
          },
          hear({ message }) {
            if (message?.$case !== "proposal") return;
            const { serverNonce } = message.proposal;
            const lists = shownLists(message.proposal);
            pending = joinA1({ binding: BINDING, clientNonce, serverNonce, clusterId, lists }).then((made) =>
              a1 = made
            );
          },
        });
        let pending: Promise<unknown> = Promise.resolve();
        return serveJoin({ exchange, explainRefusals: () => {}, trustPeer: () => {} }, {
          identity: { clusterId, caCertificate, foundings, certificate, keys: service },
          trust: trustOf(clusterId),
          acceptedTrust: TPM_ACCEPTED,
          verifier: {
            variant: "none",
            identityIsKey: true,
            async verify(...all) {
              await pending;
              return await createInsecureVerifier().verify(...all);
            },
          },
          isInsecure: true,
          roleOf: () => "control-plane",
          standingOf: () => "named",
          refusals: new RefusalLog(),
          checkNodeName: () => {},
          confirmPolicy: () => Promise.resolve(),
          policyDigest: Promise.resolve("fuzz"),
          maximumClockSkewMs: 300_000,
          network: clusterNetwork(["192.0.2.10:6443"], DOCUMENT),
          admissions: {
            find: (identity) =>
              Promise.resolve({
                ...{ identity, nodeName: "worker-1", role: "worker", nodeKey: "", addresses: [], evidenceDigest: "" },
              }),
            stands: () => Promise.resolve(true),
            admit: () => Promise.resolve({ uid: crypto.randomUUID() }),
            renew: () => Promise.resolve({ uid: crypto.randomUUID() }),
            recordCertificates: () => Promise.resolve(),
          },
          prepareCertificates: (node) => prepareNodeCertificates(ca, { ...node, lifetimeMs: 3_600_000 }, NOW),
          checkNotRemoved: () => Promise.resolve(),
          controlPlanes: {
            enter: () => Promise.resolve(),
            release: () => Promise.resolve(),
            seal: (key, a2) => sealKit(key, a2, kit),
          },
          clusterVersion: () => Promise.resolve("v1.36.3"),
          currentEpoch: () => Promise.resolve(1),
          ticket: { apiEndpoints: ["192.0.2.10:6443"], joinEndpoints: ["192.0.2.10:9444"], clusterDocument: DOCUMENT },
          fetches: new DocumentFetches(clock),
          queue: new FairQueue({ maximumActive: 1, maximumWaiting: 1, full: "too many wait" }),
          proofs: new FairQueue(FOUNDER_EVIDENCE_QUEUE),
          deadlines: JOIN_SERVICE_DEADLINES,
          clock,
          log: silentLog,
        });
      };
    },
  },
  {
    name: "join-client",
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
          if (message?.$case === "ticket" && message.ticket.signature.length === 0) {
            message.ticket.signature = await sign(service, "ticket", await answerStatement(a2, message.ticket.ticket));
          }
          if (message?.$case !== "proposal" || message.proposal.signature.length > 0) return envelope;
          const { serverNonce, caCertificate, foundings } = message.proposal;
          const clusterId = await idOrZero(caCertificate);
          const founded = await createFounding(operator, clusterId, NAME);
          message.proposal.foundings = foundings.map((founding) =>
            founding.signature.length === 0 ? founded : founding
          );
          const lists = shownLists(message.proposal);
          a1 = await joinA1({ binding: BINDING, clientNonce, serverNonce, clusterId, lists });
          message.proposal.signature = await sign(service, "service", a1);
          return envelope;
        },
      });
      const sealing = { publicKey: new Uint8Array(32).fill(9), privateKey: node.privateKey };
      await obtainTicket(exchange, {
        purpose: "join",
        trust: trustOf(),
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
];

/** The cluster ID of a CA's certificate; zero if the peer sent no readable certificate. */
async function idOrZero(caCertificate: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await clusterIdOf(readCertificate(caCertificate, "CA"));
  } catch (error) {
    if (error instanceof BootstrapError) return ZERO;
    throw error;
  }
}
