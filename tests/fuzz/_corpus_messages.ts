/**
 * Inputs that are messages and whole conversations. Where a signature is empty, the target signs.
 *
 * @module
 */
import { createFounding } from "../../protocol/founding.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import { writePem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { encodeControlPlaneKit } from "../../protocol/control_plane_kit.ts";
import { encodeRequest } from "../../protocol/join_request.ts";
import { concat, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import {
  ActivationChallenge,
  Founding,
  InitClientMessage,
  InitRequest,
  InitServerMessage,
  JoinClientMessage,
  JoinServerMessage,
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
  const [operator, node, admin] = [
    await fixedKeys("ed25519", 1),
    await fixedKeys("p-256", 3),
    await fixedKeys("p-256", 4),
  ];
  const founding = await createFounding(operator, clusterId, "fuzz");
  const open: Founding = { ...founding, signature: EMPTY };
  const evidence = { variant: "none", payload: ZERO };
  const timeMs = BigInt(NOW.getTime());

  const initRequest = InitRequest.encode({
    ...{ operationId: filled(16, 7), clusterName: "fuzz", adminKey: admin.spki, timeMs },
    ...{ clusterDocument: DOCUMENT, policyDocument: NO_POLICY },
  }).finish();
  const joinRequest = (role: "worker" | "control-plane") =>
    encodeRequest({
      ...{ nodeName: "worker-1", role, csr: fileOf(signed, "csr/node.der"), timeMs },
      ...{ addresses: ["192.0.2.7", "2001:db8::7"], kubeletVersion: "v1.36.3" },
    });

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
      result: {
        ...{ adminCertificate: der("admin"), caCertificate: der("ca"), nodeName: "cp-1" },
        ...{ apiEndpoints: ["192.0.2.10:6443"], joinEndpoints: ["[2001:db8::1]:9444", "join.example.org:9444"] },
      },
    },
  ] as const).map((message) => InitServerMessage.encode(structuredClone({ message }) as InitServerMessage).finish());
  const joinClient = (role: "worker" | "control-plane", identity: Bytes) =>
    ([
      { $case: "hello", hello: { clientNonce: ZERO } },
      {
        $case: "request",
        request: {
          ...{ request: joinRequest(role), nodeKey: node.spki, sealingKey: filled(32, 9), signature: EMPTY },
          evidence: { variant: "none", payload: identity },
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
      },
    },
    {
      $case: "ticket",
      ticket: {
        ...{ nodeCertificate: der("node"), apiEndpoints: ["192.0.2.10:6443"], joinEndpoints: [], notAfterMs: timeMs },
        ...{ clusterDocument: DOCUMENT, sealedKit: undefined },
      },
    },
  ] as const).map((message) =>
    JoinServerMessage.encode(structuredClone({ message }) as unknown as JoinServerMessage).finish()
  );

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
  const first = (messages: readonly Uint8Array[], index: number) => concat(messages[index] ?? EMPTY);
  return {
    "init-server/init.bin": writeScript(initClient),
    "init-client/init.bin": writeScript(initServer),
    "join-service/worker.bin": writeScript(joinClient("worker", filled(32, 0x1d))),
    "join-service/control-plane.bin": writeScript(joinClient("control-plane", ZERO)),
    "join-client/join.bin": writeScript(joinServer),
    "messages/init-request.bin": first(initClient, 2),
    "messages/result.bin": first(initServer, 3),
    "messages/join-request.bin": first(joinClient("worker", ZERO), 1),
    "messages/proposal.bin": first(joinServer, 0),
    "messages/members.bin": concat(
      MemberListResponse.encode({ header: { clusterId: 1n, memberId: 2n }, members: [member] }).finish(),
    ),
    "messages/challenge.bin": concat(
      ActivationChallenge.encode({ credentialBlob: ZERO, encryptedSecret: ZERO }).finish(),
    ),
    "refusal/refusal.bin": concat(Refusal.encode(refusal).finish()),
    "init-request/request.bin": concat(initRequest),
    "join-request/request.bin": joinRequest("worker"),
    "kit/kit.bin": kitOf(signed, node.spki),
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
