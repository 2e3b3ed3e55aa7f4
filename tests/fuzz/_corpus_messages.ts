/**
 * Inputs that are messages and whole conversations. Where a signature is empty, the target signs.
 *
 * @module
 */
import { createHead } from "../../backup/backup_head.ts";
import { encodeContents } from "../../backup/contents.ts";
import { createRecipientKeys } from "../../backup/recipient.ts";
import { createFounding } from "../../protocol/founding.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import { writePem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { decodeControlPlaneKit, encodeControlPlaneKit } from "../../protocol/control_plane_kit.ts";
import { encodeRequest } from "../../protocol/join_request.ts";
import type { JoinPurpose } from "../../protocol/join_request.ts";
import { concat, sha256, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import {
  ActivationChallenge,
  Founding,
  InitClientMessage,
  InitRequest,
  InitResult,
  InitServerMessage,
  JoinClientMessage,
  JoinServerMessage,
  JoinTicket,
  Refusal,
} from "../../proto/gen/bootstrapper.ts";
import { MemberListResponse } from "../../proto/gen/etcd.ts";
import { fileOf, NOW } from "./_corpus_signed.ts";
import type { CorpusFiles } from "./_corpus_signed.ts";
import { fixedKeys, fixedPrivateKeyPem } from "./_keys.ts";
import { writeScript } from "./_script.ts";

const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);
const EMPTY: Bytes = new Uint8Array();
const ZERO = filled(32, 0);
const DOCUMENT = "kubernetesVersion: v1.36.3\n";
const NO_POLICY = "version: 1\nvariant: none\n";

/** All messages of the corpus. */
export async function messageFiles(signed: CorpusFiles): Promise<CorpusFiles> {
  const der = (name: string) => fileOf(signed, `fixtures/${name}.der`);
  const clusterId = await clusterIdOf(readCertificate(der("ca"), "CA"));
  const [operator, node, admin, identity] = [
    await fixedKeys("ed25519", 1),
    await fixedKeys("p-256", 3),
    await fixedKeys("p-256", 4),
    await fixedKeys("p-256", 6),
  ];
  const founding = await createFounding(operator, clusterId, "fuzz");
  const open: Founding = { ...founding, signature: EMPTY };
  const evidence = { variant: "none", payload: ZERO };
  const timeMs = BigInt(NOW.getTime());

  const initRequest = InitRequest.encode({
    ...{ operationId: filled(16, 7), clusterName: "fuzz", adminKey: admin.spki, timeMs },
    ...{ clusterDocument: DOCUMENT, policyDocument: NO_POLICY },
  }).finish();
  const joinRequest = (role: "worker" | "control-plane", purpose: JoinPurpose = "join") =>
    encodeRequest({
      ...{ purpose, nodeName: "worker-1", role, timeMs },
      ...{ clientCsr: fileOf(signed, "csr/node.der"), servingCsr: fileOf(signed, "csr/serving.der") },
      identityKey: identity.spki,
      ...{ addresses: ["192.0.2.7", "2001:db8::7"], kubeletVersion: "v1.36.3" },
    });

  const initResult = InitResult.encode({
    ...{ adminCertificate: der("admin"), caCertificate: der("ca"), nodeName: "cp-1" },
    ...{ apiEndpoints: ["192.0.2.10:6443"], joinEndpoints: ["[2001:db8::1]:9444", "join.example.org:9444"] },
  }).finish();
  const ticket = JoinTicket.encode({
    ...{ clientCertificate: der("node"), servingCertificate: der("serving"), clusterDocument: DOCUMENT },
    ...{ apiEndpoints: ["192.0.2.10:6443"], joinEndpoints: [], sealedKit: undefined },
    notAfterMs: BigInt(readCertificate(der("node"), "node").notAfter.getTime()),
  }).finish();

  const initClient = ([
    { $case: "hello", hello: { clientNonce: ZERO, operatorKey: operator.spki, signature: EMPTY } },
    { $case: "challenge", challenge: { credentialBlob: filled(34, 1), encryptedSecret: filled(34, 2) } },
    { $case: "request", request: { request: initRequest, signature: EMPTY, founding: open, heard: 0 } },
    { $case: "acknowledgement", acknowledgement: {} },
  ] as const).map((message) => InitClientMessage.encode({ message }).finish());
  const progress = { phase: "kubeadm", state: "detail", detail: "[init] x", timeMs, durationMs: 1n };
  const initServer = ([
    { $case: "proposal", proposal: { serverNonce: ZERO, clusterId, evidence } },
    { $case: "progress", progress: { ...progress, number: 1 } },
    { $case: "progress", progress: { ...progress, number: 2 } },
    {
      $case: "result",
      result: { result: initResult, signature: EMPTY },
    },
  ] as const).map((message) => InitServerMessage.encode(structuredClone({ message }) as InitServerMessage).finish());
  const joinClient = (role: "worker" | "control-plane", machine: Bytes, purpose: JoinPurpose = "join") =>
    ([
      { $case: "hello", hello: { clientNonce: ZERO } },
      {
        $case: "request",
        request: {
          ...{ request: joinRequest(role, purpose), nodeKey: node.spki, sealingKey: filled(32, 9), signature: EMPTY },
          evidence: { variant: "none", payload: machine },
          identitySignature: EMPTY,
        },
      },
      { $case: "outcome", outcome: { locked: false } },
    ] as const).map((message) => JoinClientMessage.encode({ message }).finish());
  const joinServer = ([
    {
      $case: "proposal",
      proposal: {
        serverNonce: ZERO,
        caCertificate: der("ca"),
        foundings: [open],
        serviceCertificate: der("service"),
        signature: EMPTY,
        successions: [],
        documents: [],
      },
    },
    { $case: "ticket", ticket: { ticket, signature: EMPTY } },
  ] as const).map((message) =>
    JoinServerMessage.encode(structuredClone({ message }) as unknown as JoinServerMessage).finish()
  );
  const founded = foundedScripts(joinServer, joinClient("control-plane", ZERO));

  const member = {
    ID: 2n ** 63n,
    name: "cp-1",
    peerURLs: ["https://192.0.2.1:2380"],
    clientURLs: ["https://192.0.2.1:2379"],
    isLearner: true,
  };
  const refusal = {
    code: "refused/pcr-4",
    message: "PCR 4",
    retriable: true,
    next: "Look",
    details: { check: "pcr-4", seen: "00" },
    checks: [{ check: "pcr-4", expected: "11", seen: "00", message: "PCR 4" }],
    nodeIsFresh: true,
    retryAfterSeconds: 5,
  };
  const own = await sha256(identity.spki);
  const first = (messages: readonly Uint8Array[], index: number) => concat(messages[index] ?? EMPTY);
  return {
    "init-server/init.bin": writeScript(initClient),
    "init-client/init.bin": writeScript(initServer),
    "join-service/worker.bin": writeScript(joinClient("worker", own)),
    "join-service/control-plane.bin": writeScript(joinClient("control-plane", own)),
    "join-service/renewal.bin": writeScript(joinClient("worker", own, "renew")),
    "join-client/join.bin": writeScript(joinServer),
    ...founded,
    "messages/init-request.bin": first(initClient, 2),
    "messages/result.bin": first(initServer, 3),
    "messages/join-request.bin": first(joinClient("worker", ZERO), 1),
    "messages/proposal.bin": first(joinServer, 0),
    "messages/members.bin": concat(
      MemberListResponse.encode({
        header: { clusterId: 1n, memberId: 2n, revision: 3n, raftTerm: 4n },
        members: [member],
      }).finish(),
    ),
    "messages/challenge.bin": concat(
      ActivationChallenge.encode({ credentialBlob: ZERO, encryptedSecret: ZERO }).finish(),
    ),
    "refusal/refusal.bin": concat(Refusal.encode(refusal).finish()),
    "init-request/request.bin": concat(initRequest),
    "join-request/request.bin": joinRequest("worker"),
    "kit/kit.bin": kitOf(signed, node.spki),
    "backup/whole.bin": await backupOf(signed, node.spki, clusterId),
    "sealed-kit/unchanged.bin": EMPTY,
    "sealed-kit/small-order.bin": ZERO,
    "staged-init/staged.bin": writeScript([
      utf8(writePem("CERTIFICATE", der("ca"))),
      utf8(fixedPrivateKeyPem("p-256", 0x0a)),
      initRequest,
      Founding.encode(founding).finish(),
    ]),
  };
}

/** The same joins in a cluster that no operator founded. An empty signature or answer is filled in by the target. */
export function foundedScripts(server: readonly Uint8Array[], client: readonly Uint8Array[]): CorpusFiles {
  const [proposal, ...rest] = server.map((bytes) => JoinServerMessage.decode(bytes));
  const [, request] = client.map((bytes) => JoinClientMessage.decode(bytes));
  if (proposal?.message?.$case === "proposal") {
    Object.assign(proposal.message.proposal, {
      ...{ foundings: [], tokenFounding: EMPTY, evidence: { variant: "none", payload: ZERO } },
    });
  }
  if (request?.message?.$case === "request") request.message.request.tokenSignature = EMPTY;
  const activation: JoinServerMessage = { message: { $case: "activation", activation: { hmac: EMPTY } } };
  const challenge = { credentialBlob: ZERO, encryptedSecret: ZERO };
  const sent: readonly (JoinClientMessage | undefined)[] = [
    { message: { $case: "hello", hello: { clientNonce: ZERO, wantsEvidence: true } } },
    { message: { $case: "challenge", challenge } },
    request,
  ];
  const shown = [proposal, activation, ...rest].flatMap((message) => message ?? []);
  const hello: JoinClientMessage = { message: { $case: "hello", hello: { clientNonce: ZERO } } };
  const encoded = (messages: readonly (JoinClientMessage | undefined)[]) =>
    writeScript(messages.flatMap((message) => message ?? []).map((one) => JoinClientMessage.encode(one).finish()));
  return {
    "join-client-founded/join.bin": writeScript(shown.map((one) => JoinServerMessage.encode(one).finish())),
    "join-service-founded/challenged.bin": encoded(sent),
    "join-service-founded/unasked.bin": encoded([hello, request]),
  };
}

/** The head of a backup and, unsealed, its contents. */
async function backupOf(signed: CorpusFiles, serviceAccountKey: Uint8Array, clusterId: Bytes): Promise<Bytes> {
  const { publicKey } = await createRecipientKeys();
  const subject = { clusterId, clusterName: "fuzz", createdAt: NOW };
  const { bytes } = await createHead(subject, [publicKey]);
  const source = { program: "0.1.0", etcdVersion: "3.6.8", peerUrl: "https://10.0.0.1:2380", revision: 7n, bytes: 32 };
  const contents = encodeContents({
    source,
    caCertificatePem: writePem("CERTIFICATE", fileOf(signed, "fixtures/ca.der")),
    kit: decodeControlPlaneKit(kitOf(signed, serviceAccountKey)),
    files: new Map([["join-service/state.json", utf8("{}")]]),
    diskSecret: filled(32, 9),
  });
  return concat(bytes, contents);
}

function kitOf(signed: CorpusFiles, serviceAccountKey: Uint8Array): Bytes {
  const key = (octet: number) => utf8(fixedPrivateKeyPem("p-256", octet));
  const certificate = (name: string) => utf8(writePem("CERTIFICATE", fileOf(signed, `fixtures/${name}.der`)));
  return encodeControlPlaneKit({
    keys: {
      ...{
        caKey: key(0x0a),
        serviceAccountKey: key(3),
        serviceAccountPublicKey: utf8(writePem("PUBLIC KEY", serviceAccountKey)),
      },
      ...{ frontProxyCaKey: key(0x0b), frontProxyCaCertificate: certificate("front-proxy-ca") },
      ...{ etcdCaKey: key(0x0c), etcdCaCertificate: certificate("etcd-ca") },
    },
    policyDocument: NO_POLICY,
  });
}
