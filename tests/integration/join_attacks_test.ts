/**
 * Attacks on the Join exchange, each by a hostile peer over a real socket, most with a real software TPM. What must hold
 * after every one of them: nobody was admitted, nothing was signed, no node was locked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { dial } from "../../attestation/channel/client.ts";
import type { DialledExchange } from "../../attestation/channel/client.ts";
import { listen } from "../../attestation/channel/server.ts";
import type { Session } from "../../attestation/channel/server.ts";
import { activationAnswer } from "../../attestation/activation.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer } from "../../attestation/evidence.ts";
import { createFounding } from "../../attestation/founding.ts";
import { extendedOnce, joinA1, joinA2, lockDigest, trustDigest } from "../../attestation/transcript.ts";
import { createCertificateAuthority, issueAdminCertificate, issueClientCertificate } from "../../certificate/ca.ts";
import { createNodeCsr } from "../../certificate/csr.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { sign } from "../../certificate/signature.ts";
import { nodeSubject } from "../../certificate/subjects.ts";
import type { JoinExchangeService, JoinServiceIdentity } from "../../join/exchange_service.ts";
import type { NodeRequest } from "../../join/join_request.ts";
import { encodeRequest } from "../../join/join_request.ts";
import { listenForJoins } from "../../join/service.ts";
import { ask, CLUSTER_DOCUMENT, dialService, newInsecureIssuer, newNode, newNodeKeys, TestCluster } from "../../join/testing.ts";
import { TestMachine } from "../../join/testing_machine.ts";
import { VerificationQueue } from "../../join/verification_queue.ts";
import { measureLock, measureTrust } from "../../nodelock/measure.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { hex, randomBytes } from "../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import { InitServiceService, JoinClientMessage, JoinServiceService } from "../../proto/gen/bootstrapper.ts";
import type {
  InitClientMessage,
  InitServerMessage,
  JoinServerMessage,
  JoinTicket,
  SignedJoinRequest,
} from "../../proto/gen/bootstrapper.ts";
import type { TpmMachine } from "./_attacks.ts";
import {
  connectSilently,
  connectTls,
  cutOff,
  evidenceBySoftware,
  evidenceByUnrestrictedKey,
  openStreams,
  PATIENCE_MS,
  pcrsWith,
  startTpmMachine,
  swtpmTest,
  terminateTls,
  verifierFor,
} from "./_attacks.ts";

const NODE_NAME = "worker-1";

/** What a hostile node does in its own way; everything else it does as the protocol wants. */
interface Hostility {
  /** Default: an issuer of variant `none`. */
  readonly issuer?: Pick<EvidenceIssuer, "issue" | "activate">;
  /** Changes the request before it is signed. */
  readonly request?: Partial<NodeRequest>;
  /** Makes the evidence. */
  readonly evidence?: (a2: Bytes) => Promise<Evidence | undefined>;
  /** Changes the message after it was signed. */
  readonly message?: (message: SignedJoinRequest) => SignedJoinRequest;
  /** Answers the challenge. */
  readonly answer?: (
    challenge: ActivationChallenge,
    a2: Bytes,
    exchange: DialledExchange<JoinServerMessage, JoinClientMessage>["exchange"],
  ) => Promise<Uint8Array>;
}

/** Joins by hand; gives the ticket, or throws what the service refused. */
async function joinByHand(port: number, hostility: Hostility = {}): Promise<JoinTicket> {
  using dialled = await dialService(port);
  const { exchange } = dialled;
  const issuer = hostility.issuer ?? newInsecureIssuer();
  const keys = await newNodeKeys();
  const clientNonce = randomBytes(32);
  await exchange.send({ message: { $case: "hello", hello: { clientNonce } } });
  const { serverNonce, foundings: [founding] } = await exchange.receive("proposal", PATIENCE_MS);
  const clusterId = founding?.clusterId ?? new Uint8Array(32);
  const a1 = await joinA1({ binding: exchange.binding, clientNonce, serverNonce, clusterId });
  const request = encodeRequest({
    nodeName: NODE_NAME,
    role: "worker",
    csr: await createNodeCsr(keys.node, hostility.request?.nodeName ?? NODE_NAME),
    timeMs: BigInt(Date.now()),
    addresses: ["192.0.2.7"],
    kubeletVersion: "v1.36.3",
    ...hostility.request,
  });
  const nodeKey = keys.node.spki;
  const sealingKey = keys.sealing.publicKey;
  const a2 = await joinA2(a1, { nodeKey, sealingKey, request });
  const evidence = await (hostility.evidence ?? issuer.issue)(a2);
  const signature = await sign(keys.node, "request", a2);
  const honest: SignedJoinRequest = { request, nodeKey, sealingKey, evidence, signature };
  await exchange.send({ message: { $case: "request", request: hostility.message?.(honest) ?? honest } });
  for (;;) {
    const answer = await exchange.receiveAny(["challenge", "ticket"], PATIENCE_MS);
    if (answer.kind === "ticket") return answer.payload;
    const answerWith = hostility.answer ??
      (async (challenge: ActivationChallenge) => activationAnswer(await issuer.activate(challenge), a2));
    const hmac = await answerWith(answer.payload, a2, exchange);
    await exchange.send({ message: { $case: "activation", activation: { hmac } } });
  }
}

/** Nothing came of it on the side of the service. */
function assertUntouched(cluster: TestCluster, records = 0): void {
  assert.equal(cluster.admissions.records.length, records, "somebody was admitted");
  assert.deepEqual(cluster.signed, [], "something was signed");
}

/** Asserts that a service refuses, with this code, and that nothing came of it; gives what the peer was told. */
async function refusedByService(cluster: TestCluster, hostility: Hostility, code: string): Promise<BootstrapError> {
  const { length } = cluster.admissions.records;
  const error = await joinByHand(cluster.port, hostility).then(() => assert.fail("there was a ticket"), asBootstrapError);
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], "peer");
  assert.equal(cluster.refusals.at(-1), code);
  assertUntouched(cluster, length);
  return error;
}

/** A hostile service: shows what it likes, and tells what a node sent it. */
async function withHostileService(
  handle: (session: Session<JoinClientMessage, JoinServerMessage>, clientNonce: Uint8Array) => Promise<void>,
  use: (port: number) => Promise<void>,
): Promise<boolean> {
  let gotRequest = false;
  await using server = await listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle(session) {
      const { clientNonce } = await session.exchange.receive("hello", PATIENCE_MS);
      await handle(session, clientNonce);
      await session.exchange.receive("request", PATIENCE_MS);
      gotRequest = true;
    },
  });
  await use(server.port);
  return gotRequest;
}

/** A node that is configured for `trust` asks at `port`; gives what it said after its first attempt. */
async function firstFailure(port: number, trust: TestCluster["trust"], issuer?: EvidenceIssuer): Promise<BootstrapError> {
  await using machine = await TestMachine.create();
  const failed = Promise.withResolvers<BootstrapError>();
  const running = machine.run(trust, [port], issuer === undefined ? {} : { issuer }, {
    onEndpointFailure: ({ error }) => failed.resolve(error),
  });
  const outcome = await Promise.race([failed.promise, running]);
  machine.stop.abort();
  await running.catch(() => {});
  assert.ok(outcome instanceof BootstrapError, "the node was captured");
  assert.equal(machine.lock.state().name, "unlocked");
  assert.ok(!machine.calls.some((call) => call === "locked" || call.startsWith("join ")), machine.calls.join());
  return outcome;
}

/** Has a node meet a genuine service whose identity was tampered with: it must refuse before it sends anything of its own. */
async function refusedByNode(
  cluster: TestCluster,
  identity: Partial<JoinServiceIdentity>,
  code: string,
  trust = cluster.trust,
): Promise<BootstrapError> {
  const service: JoinExchangeService = { ...cluster.service, identity: { ...cluster.service.identity, ...identity } };
  await using hostile = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
  const error = await firstFailure(hostile.port, trust);
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], undefined, "the service refused, not the node");
  assertUntouched(cluster);
  return error;
}

// ---------------------------------------------------------------------------------------------- the connection

Deno.test("attack: a TLS terminator stands between node and service", async () => {
  // He ends TLS on both sides, so each side has a channel binding of its own with him; the service's signature over A1 holds
  // the one that it has with him. Stopped by `verify(service.spki, "service", a1, …)` in checkProposal().
  await using cluster = await TestCluster.create();
  await using middle = await terminateTls(cluster.port);
  const error = await firstFailure(middle.port, cluster.trust);
  assert.equal(error.code, "refused/signature");
  assert.equal(error.details["check"], "service-signature");
  assert.ok(middle.passedOn > 0);
  assertUntouched(cluster);
});

Deno.test("attack: a TLS terminator stands between service and a node that does not look", async () => {
  // The node has been talked out of its checks; the service still sees that A2 is not that of its own connection.
  // Stopped by `verify(nodeKey, "request", a2, …)` in receiveRequest().
  await using cluster = await TestCluster.create();
  await using middle = await terminateTls(cluster.port);
  const error = await joinByHand(middle.port).catch(asBootstrapError);
  assert.ok(error instanceof BootstrapError && error.code === "refused/signature");
  assert.equal(error.message, "The peer refused: refused/signature", "a stranger learns the code alone");
  assertUntouched(cluster);
});

Deno.test("attack: a rogue service relays the genuine service's signature of another connection", async () => {
  // Stopped by the service's signature over A1, which holds the channel binding: checkProposal().
  await using cluster = await TestCluster.create();
  const gotRequest = await withHostileService(async ({ exchange }, clientNonce) => {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce } } });
    const proposal = await dialled.exchange.receive("proposal", PATIENCE_MS);
    await exchange.send({ message: { $case: "proposal", proposal } });
  }, async (port) => {
    assert.equal((await firstFailure(port, cluster.trust)).code, "refused/signature");
  });
  assert.ok(!gotRequest);
  assertUntouched(cluster);
});

Deno.test("attack: a whole recorded exchange is replayed, to the service and to the node", async () => {
  // Every value that is signed holds the nonces and the binding of its connection. Stopped in receiveRequest() and checkProposal().
  await using cluster = await TestCluster.create();
  const node = await newNode(cluster.trust);
  const sent: JoinClientMessage[] = [];
  const received: JoinServerMessage[] = [];
  await using recorder = await listen<JoinClientMessage, JoinServerMessage>({
    service: JoinServiceService,
    ...{ host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    async handle({ exchange }) {
      // He records by standing in the middle of a node that does not look, which gives him well-formed messages.
      using upstream = await dialService(cluster.port);
      const hello = await exchange.receive("hello", PATIENCE_MS);
      sent.push({ message: { $case: "hello", hello } });
      await upstream.exchange.send({ message: { $case: "hello", hello } });
      const proposal = await upstream.exchange.receive("proposal", PATIENCE_MS);
      received.push({ message: { $case: "proposal", proposal } });
      await exchange.send({ message: { $case: "proposal", proposal } });
      sent.push({ message: { $case: "request", request: await exchange.receive("request", PATIENCE_MS) } });
    },
  });
  await joinByHand(recorder.port).catch(() => {});
  assert.equal(sent.length, 2);
  using dialled = await dialService(cluster.port);
  for (const message of sent) await dialled.exchange.send(message).catch(() => {});
  await dialled.exchange.receive("proposal", PATIENCE_MS);
  await assert.rejects(dialled.exchange.receive("ticket", PATIENCE_MS), { code: "refused/signature" });
  const gotRequest = await withHostileService(async ({ exchange }) => {
    for (const message of received) await exchange.send(message);
  }, (port) => assert.rejects(ask(port, node), { code: "refused/signature" }));
  assert.ok(!gotRequest);
  assertUntouched(cluster);
});

Deno.test("attack: a second stream on the connection", async () => {
  // Stopped by the limit of one stream, and by the count of streams in serveConnection(): the connection ends.
  await using cluster = await TestCluster.create();
  const hello = JoinClientMessage.encode({ message: { $case: "hello", hello: { clientNonce: randomBytes(32) } } }).finish();
  const { path } = JoinServiceService.join;
  assert.deepEqual(await openStreams(cluster.port, path, hello, 1), [true], "the attack's own machinery");
  const [, second] = await openStreams(cluster.port, path, hello, 2);
  assert.equal(second, false, "the second stream was served");
  assertUntouched(cluster);
});

Deno.test("attack: TLS 1.2", async () => {
  // Stopped by `minVersion` in serverTlsOptions().
  await using cluster = await TestCluster.create();
  await assert.rejects(connectTls(cluster.port, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" }));
  assertUntouched(cluster);
});

Deno.test("attack: a TLS session is resumed", async () => {
  // A resumed session has no fresh key exchange. Stopped by `isSessionReused()` in bindingOf(): the connection ends.
  await using cluster = await TestCluster.create();
  const options = { servername: `${hex(randomBytes(8))}.invalid` };
  const first = await connectTls(cluster.port, options);
  // The session ticket comes before the service's first bytes.
  await once(first, "data", { signal: AbortSignal.timeout(PATIENCE_MS) });
  first.destroy();
  const second = await connectTls(cluster.port, options);
  let received = 0;
  second.on("data", ({ length }: Uint8Array) => received += length);
  assert.ok(second.isSessionReused(), "the attack's own machinery");
  await cutOff(second);
  assert.equal(received, 0);
  assertUntouched(cluster);
});

Deno.test("attack: an operator's Init call at the join service", async () => {
  // Each service of the contract has a listener of its own, which knows no other method.
  await using cluster = await TestCluster.create();
  using dialled = await dial<InitServerMessage, InitClientMessage>({
    method: InitServiceService.init,
    endpoint: `127.0.0.1:${cluster.port}`,
    connectDeadlineMs: PATIENCE_MS,
  });
  const hello = { clientNonce: randomBytes(32), operatorKey: cluster.operator.spki, signature: randomBytes(64) };
  await dialled.exchange.send({ message: { $case: "hello", hello } }).catch(() => {});
  await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), BootstrapError);
  assertUntouched(cluster);
});

Deno.test("attack: a node stalls at each step", async (t) => {
  // Stopped by the opening deadline of the channel and by the deadline of every receive() in exchange_service.ts.
  const deadlines = { helloMs: 200, requestMs: 200, activationMs: 200 };
  await using cluster = await TestCluster.create({
    service: {
      deadlines,
      verifier: {
        variant: "none",
        verify: () =>
          Promise.resolve({
            claims: { variant: "none", identity: "aa".repeat(32), fresh: true },
            challenge: {
              message: { credentialBlob: new Uint8Array(8), encryptedSecret: new Uint8Array(8) },
              secret: randomBytes(32),
            },
          }),
      },
    },
  });
  await t.step("before TLS, and before its stream", async () => {
    await Promise.all([
      connectSilently(cluster.port).then(cutOff),
      connectTls(cluster.port, {}).then(cutOff),
    ]);
  });
  await t.step("before the hello", async () => {
    using dialled = await dialService(cluster.port);
    await assert.rejects(dialled.exchange.receive("proposal", PATIENCE_MS), { code: "timeout/peer" });
  });
  await t.step("before the request", async () => {
    using dialled = await dialService(cluster.port);
    await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce: randomBytes(32) } } });
    await dialled.exchange.receive("proposal", PATIENCE_MS);
    await assert.rejects(dialled.exchange.receive("ticket", PATIENCE_MS), { code: "timeout/peer" });
  });
  await t.step("before the activation", async () => {
    const stall: Hostility["answer"] = async (_challenge, _a2, exchange) => {
      await exchange.receive("ticket", PATIENCE_MS);
      return new Uint8Array();
    };
    await assert.rejects(joinByHand(cluster.port, { answer: stall }), { code: "timeout/peer" });
  });
  assertUntouched(cluster);
});

Deno.test("attack: a service stalls at each step", async (t) => {
  // Stopped by the deadline of every receive() in exchange_client.ts: the node asks elsewhere.
  await using cluster = await TestCluster.create();
  const deadlines = { proposalMs: 200, challengeMs: 200, ticketMs: 200 };
  const challenged = { ...newInsecureIssuer(), variant: "tpm" as const };
  const never = () => new Promise<never>(() => {});
  const steps: readonly (readonly [string, Partial<JoinExchangeService>, EvidenceIssuer])[] = [
    ["before the proposal", { deadlines: cluster.service.deadlines }, newInsecureIssuer()],
    ["before the challenge", { verifier: { variant: "none", verify: never } }, challenged],
    ["before the ticket", { clusterVersion: never }, newInsecureIssuer()],
  ];
  for (const [name, changes, issuer] of steps) {
    await t.step(name, async () => {
      const node = await newNode(cluster.trust, { deadlines, issuer });
      if (name === "before the proposal") {
        await withHostileService(never, (port) => assert.rejects(ask(port, node), { code: "timeout/peer" }));
        return;
      }
      const service = { ...cluster.service, ...changes };
      await using hostile = await listenForJoins(service, { host: "127.0.0.1", port: 0 });
      await assert.rejects(ask(hostile.port, node), { code: "timeout/peer" });
    });
  }
  assertUntouched(cluster);
});

Deno.test("attack: oversized messages", async (t) => {
  // Stopped by `max_receive_message_length` of both ends, and by MAXIMUM_REQUEST_BYTES within a message that fits.
  await using cluster = await TestCluster.create();
  await t.step("larger than any message, to the service", async () => {
    const message = (honest: SignedJoinRequest) => ({ ...honest, request: new Uint8Array(300 * 1024) });
    await assert.rejects(joinByHand(cluster.port, { message }), BootstrapError);
  });
  await t.step("larger than any request, to the service", async () => {
    const addresses = Array.from({ length: 1000 }, () => "192.0.2.7");
    await refusedByService(cluster, { request: { addresses } }, "malformed/join-request");
  });
  await t.step("larger than any message, to the node", async () => {
    const proposal = { ...emptyProposal, caCertificate: new Uint8Array(300 * 1024) };
    const gotRequest = await withHostileService(async ({ exchange }) => {
      await exchange.send({ message: { $case: "proposal", proposal } }).catch(() => {});
    }, async (port) => assert.ok(await firstFailure(port, cluster.trust) instanceof BootstrapError));
    assert.ok(!gotRequest);
  });
  assertUntouched(cluster);
});

const emptyProposal = {
  ...{ serverNonce: new Uint8Array(32), foundings: [], caCertificate: new Uint8Array() },
  ...{ serviceCertificate: new Uint8Array(), signature: new Uint8Array(64) },
};

// ------------------------------------------------------------------------------------------------- the request

Deno.test("attack: a request that is not exactly the node's own", async (t) => {
  await using cluster = await TestCluster.create();
  const other = await generateKeyPair("p-256");
  const attacks: readonly (readonly [name: string, hostility: Hostility, code: string])[] = [
    // A member's name, or one of the system's: stopped by checkNodeCsr().
    ["a CSR for another node", { request: { csr: await createNodeCsr(other, "cp-1") } }, "refused/csr-subject"],
    // The key is not the one that the evidence names: stopped by checkNodeCsr().
    ["a CSR for another key", { request: { csr: await createNodeCsr(other, NODE_NAME) } }, "refused/csr-key"],
    // Stopped by readCsr().
    ["a CSR that is none", { request: { csr: randomBytes(300) } }, "malformed/der"],
    // A name that would be another Kubernetes user or path: stopped by readRequest().
    ["a name that is no label", { request: { nodeName: "../../secrets" } }, "malformed/join-request"],
    ["a role that is none", { request: { role: "admin" as "worker" } }, "malformed/join-request"],
    // Stopped by checkClockSkew(), which shows both clocks.
    ["a clock far ahead", { request: { timeMs: BigInt(Date.now() + 3_600_000) } }, "precondition/clock-skew"],
    ["a clock far behind", { request: { timeMs: 0n } }, "precondition/clock-skew"],
    ["addresses that would break out of a record", { request: { addresses: ["a,b"] } }, "malformed/join-request"],
    // Stopped by checkPolicy(): the role is the policy's.
    ["a control plane's role for a worker", { request: { role: "control-plane" } }, "refused/role"],
    ["a kubelet newer than the cluster", { request: { kubeletVersion: "v1.99.0" } }, "precondition/version-skew"],
    // Stopped by `verify(nodeKey, "request", a2, …)`: all of it is signed together.
    [
      "a request that was changed after it was signed",
      { message: (m) => ({ ...m, request: m.request.with(5, (m.request[5] ?? 0) ^ 1) }) },
      "refused/signature",
    ],
    ["another sealing key", { message: (m) => ({ ...m, sealingKey: randomBytes(32) }) }, "refused/signature"],
    ["another node key", { message: (m) => ({ ...m, nodeKey: other.spki }) }, "refused/signature"],
    // Stopped by checkLength().
    ["a short sealing key", { message: (m) => ({ ...m, sealingKey: new Uint8Array(31) }) }, "malformed/join-message"],
    ["no signature", { message: (m) => ({ ...m, signature: new Uint8Array() }) }, "malformed/join-message"],
    // Stopped by receiveRequest().
    ["no evidence", { evidence: () => Promise.resolve(undefined) }, "malformed/join-message"],
  ];
  for (const [name, hostility, code] of attacks) {
    await t.step(name, async () => {
      await refusedByService(cluster, hostility, code);
    });
  }
  await t.step("a CSR with extensions", async () => {
    // It asks for names of its own. Stopped by readCsr(), which takes no attribute at all.
    await refusedByService(cluster, { request: { csr: await csrWithExtensions() } }, "refused/csr-attributes");
  });
});

/** A CSR for the node that also asks for a name of a server. */
async function csrWithExtensions(): Promise<Bytes> {
  const { stdout } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"],
      ...["-subj", `/O=system:nodes/CN=system:node:${NODE_NAME}`, "-addext", "subjectAltName=DNS:kubernetes"],
      ...["-outform", "DER"],
    ],
    stderr: "null",
  }).output();
  return stdout;
}

Deno.test("attack: an identity of the policy's control planes asks to be one in a version that admits none", async () => {
  await using cluster = await TestCluster.create({ service: { roleOf: () => "control-plane" } });
  const error = await refusedByService(cluster, { request: { role: "control-plane" } }, "precondition/control-plane-join");
  assert.equal(error.retriable, false);
});

Deno.test("attack: another machine asks for a member's name, and a member for another name", async () => {
  // Stopped by AdmissionRecords.admit(), before anything is signed.
  await using cluster = await TestCluster.create();
  const member = newInsecureIssuer();
  await joinByHand(cluster.port, { issuer: member });
  cluster.signed.length = 0;
  await refusedByService(cluster, {}, "conflict/node-name");
  await refusedByService(cluster, { issuer: member, request: { nodeName: "worker-2" } }, "conflict/identity");
});

// ------------------------------------------------------------------------------------------------ the evidence

/** A cluster whose policy lists machines that are made first. */
async function clusterOf(...machines: readonly Pick<TpmMachine, "identity">[]): Promise<TestCluster> {
  return await TestCluster.create({ verifier: verifierFor(...machines) });
}

await swtpmTest("an honest machine gets its ticket, fresh, and again after it locked", async () => {
  // Without this the attacks below would prove nothing.
  await using machine = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  await measureTrust(machine.issuer, cluster.trust);
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.equal(cluster.admissions.records[0]?.identity, machine.identity);
  await measureLock(machine.issuer, cluster.clusterId);
  await joinByHand(cluster.port, { issuer: machine.issuer });
  assert.deepEqual(cluster.signed, [NODE_NAME, NODE_NAME]);
});

await swtpmTest("attack: evidence", async (t) => {
  await using machine = await startTpmMachine();
  await using attacker = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  const { issuer } = machine;
  await measureTrust(issuer, cluster.trust);
  await measureTrust(attacker.issuer, cluster.trust);
  const trustRegister = await extendedOnce(await trustDigest(cluster.trust));

  await t.step("of another session is relayed", async () => {
    // A quote over the A2 of another connection. Stopped by the verifier's check of extraData against A2.
    let recorded: Evidence | undefined;
    await joinByHand(cluster.port, {
      evidence: async (a2) => recorded = await issuer.issue(a2),
      answer: () => Promise.resolve(new Uint8Array(32)),
    }).catch(() => {});
    assert.ok(recorded !== undefined);
    await refusedByService(cluster, { evidence: () => Promise.resolve(recorded) }, "refused/statement");
  });

  await t.step("is a quote by an unrestricted key", async () => {
    // Such a key also signs what never was in the TPM. Stopped by the attributes that the verifier wants of the AK.
    const evidence = (a2: Bytes) => evidenceByUnrestrictedKey(machine, a2);
    const error = await refusedByService(cluster, { issuer, evidence }, "refused/ak-attributes");
    assert.equal(error.details["expected"], "restricted");
  });

  await t.step("is by a software AK, with the real EK of a good machine", async () => {
    // Flawless in itself; but the challenge is sealed to that EK and that AK's name, and no TPM opens it.
    // Stopped by checkActivationAnswer().
    const pcrs = pcrsWith({ 12: trustRegister });
    const evidence = (a2: Bytes) => evidenceBySoftware(machine.endorsementKey, a2, pcrs);
    const answer = () => Promise.resolve(randomBytes(32));
    await refusedByService(cluster, { evidence, answer }, "refused/activation");
    // The good machine's own TPM does not help either: it has no such AK.
    const oracle = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { evidence, answer: oracle }, "refused/activation");
  });

  await t.step("is a good machine's, and another TPM answers the challenge", async () => {
    // Stopped by checkActivationAnswer(): only the TPM of that EK opens it, and only for its own AK.
    const answer = async (challenge: ActivationChallenge, a2: Bytes) =>
      await activationAnswer(await attacker.issuer.activate(challenge).catch(() => randomBytes(32)), a2);
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });

  await t.step("is a good machine's, and the answer is for another connection", async () => {
    // The secret is right, but the HMAC is over another A2. Stopped by checkActivationAnswer().
    const answer = async (challenge: ActivationChallenge) =>
      await activationAnswer(await issuer.activate(challenge), randomBytes(32));
    await refusedByService(cluster, { issuer, answer }, "refused/activation");
  });

  await t.step("is of an EK that the policy does not list", async () => {
    const error = await refusedByService(cluster, { issuer: attacker.issuer }, "refused/ek-identity");
    assert.equal(error.details["seen"], attacker.identity);
  });

  await t.step("names a variant of the peer's choice", async () => {
    // Stopped by the verifier, which is configured with the one variant that it reads.
    await refusedByService(cluster, { issuer: newInsecureIssuer() }, "refused/variant");
    const evidence = async (a2: Bytes) => ({ ...await issuer.issue(a2), variant: "none" });
    await refusedByService(cluster, { evidence }, "refused/variant");
  });

  await t.step("is nothing, or rubbish", async () => {
    const rubbish = (payload: Uint8Array) => () => Promise.resolve({ variant: "tpm", payload });
    for (const payload of [new Uint8Array(), randomBytes(900), new Uint8Array(60_000)]) {
      const error = await joinByHand(cluster.port, { evidence: rubbish(payload) }).catch(asBootstrapError);
      assert.ok(error instanceof BootstrapError && /^(?:malformed|refused)\//.test(error.code), String(error));
    }
  });
  assertUntouched(cluster);
});

await swtpmTest("attack: PCR 4 shows another boot, and both sides say so", async () => {
  // Stopped by checkPcrs() of the verifier; the refusal names the register, expected and seen, at the node too.
  await using machine = await startTpmMachine();
  await using cluster = await clusterOf(machine);
  await measureTrust(machine.issuer, cluster.trust);
  await machine.issuer.extend(4, randomBytes(32));
  const seen = hex(await machine.issuer.read(4));
  const error = await firstFailure(cluster.port, cluster.trust, machine.issuer);
  assert.equal(error.code, "refused/pcr-4");
  const said = cluster.events.find(({ event }) => event === "join-refused");
  for (const details of [error.details, said ?? {}]) {
    assert.equal(details["expected"], "0".repeat(64));
    assert.equal(details["seen"], seen);
  }
  assert.match(error.message, /PCR 4/);
  assertUntouched(cluster);
});

await swtpmTest("attack: PCR 12 holds the trust part of another configuration", async (t) => {
  // A genuine machine that also obeys somebody else, or takes the cluster's name for another's.
  // Stopped by checkPcrs(): the service expects ext(D12) of its own name and keys.
  const stranger = await generateKeyPair("ed25519");
  const operator = await generateKeyPair("ed25519");
  const trusts = {
    "one more operator": { operatorKeys: [operator.spki, stranger.spki] },
    "another operator": { operatorKeys: [stranger.spki] },
    "another name": { clusterName: "prod" },
    "another cluster's ID": { clusterId: randomBytes(32) },
  };
  for (const [name, changes] of Object.entries(trusts)) {
    await t.step(name, async () => {
      await using machine = await startTpmMachine();
      await using cluster = await TestCluster.create({ operator, verifier: verifierFor(machine) });
      await measureTrust(machine.issuer, { ...cluster.trust, ...changes });
      const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-12");
      assert.match(error.message, /PCR 12/);
    });
  }
  await t.step("nothing was measured", async () => {
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-12");
  });
});

await swtpmTest("attack: PCR 15 is set already", async (t) => {
  await t.step("by the lock of another cluster", async () => {
    // Stopped by checkPcrs(): zero, or the own cluster's lock.
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, randomBytes(32));
    await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
  });
  await t.step("by this cluster's lock, on a machine that was never admitted", async () => {
    // A member whose record an operator removed. Stopped by checkPolicy(), before anything is issued.
    await using machine = await startTpmMachine();
    await using cluster = await clusterOf(machine);
    await measureTrust(machine.issuer, cluster.trust);
    await measureLock(machine.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
    assert.equal(error.details["expected"], "0".repeat(64));
    assert.equal(error.details["seen"], hex(await extendedOnce(await lockDigest(cluster.clusterId))));
  });
  await t.step("by this cluster's lock, on a member that asks for another name or role", async () => {
    // A compromised member. Stopped by checkPolicy().
    await using machine = await startTpmMachine();
    await using cluster = await TestCluster.create({ verifier: verifierFor(machine) });
    await measureTrust(machine.issuer, cluster.trust);
    await cluster.admissions.admit({
      ...{ identity: machine.identity, nodeName: "worker-7", role: "worker", nodeKey: "" },
      ...{ addresses: [], evidenceDigest: "" },
    });
    await measureLock(machine.issuer, cluster.clusterId);
    const error = await refusedByService(cluster, { issuer: machine.issuer }, "refused/pcr-15");
    assert.match(error.message, /not admitted as worker worker-1/);
    await refusedByService(cluster, { issuer: machine.issuer, request: { role: "control-plane" } }, "refused/role");
  });
});

// ------------------------------------------------------------------------------------------------- the service

Deno.test("attack: a service that no operator of the node founded", async (t) => {
  // All are stopped in checkProposal(), before the node sends anything of its own.
  await using cluster = await TestCluster.create();
  const { operator, clusterId, clusterName } = cluster;
  const stranger = await generateKeyPair("ed25519");
  const genuine = await createFounding(operator, clusterId, clusterName);

  await t.step("a founding by a stranger", async () => {
    const foundings = [await createFounding(stranger, clusterId, clusterName)];
    const error = await refusedByNode(cluster, { foundings }, "refused/founding-operator");
    assert.equal(error.details["seen"], hex(stranger.spki));
  });
  await t.step("a founding by a stranger that claims the operator's key", async () => {
    const foundings = [{ ...await createFounding(stranger, clusterId, clusterName), operatorKey: operator.spki }];
    await refusedByNode(cluster, { foundings }, "refused/signature");
  });
  await t.step("a founding for another cluster ID", async () => {
    const foundings = [await createFounding(operator, randomBytes(32), clusterName)];
    await refusedByNode(cluster, { foundings }, "refused/founding");
  });
  await t.step("a founding for another cluster ID that claims this one", async () => {
    const foundings = [{ ...await createFounding(operator, randomBytes(32), clusterName), clusterId }];
    await refusedByNode(cluster, { foundings }, "refused/signature");
  });
  await t.step("a founding for another cluster's name", async () => {
    const foundings = [await createFounding(operator, clusterId, "prod")];
    await refusedByNode(cluster, { foundings }, "refused/founding-name");
  });
  await t.step("no founding", async () => {
    await refusedByNode(cluster, { foundings: [] }, "refused/founding");
  });
  await t.step("the genuine founding, with a CA of its own", async () => {
    const other = await createCertificateAuthority(new Date());
    const identity = { foundings: [genuine], caCertificate: other.certificate.der };
    await refusedByNode(cluster, identity, "refused/founding");
  });
  await t.step("a CA that does not hash to the configured ID", async () => {
    const trust = { ...cluster.trust, clusterId: randomBytes(32) };
    const error = await refusedByNode(cluster, {}, "refused/ca-cluster-id", trust);
    assert.match(error.details["seen"] ?? "", /^sha256:/);
  });
  await t.step("the CA's certificate, altered", async () => {
    const caCertificate = cluster.ca.certificate.der.slice();
    caCertificate[caCertificate.length - 5] = (caCertificate[caCertificate.length - 5] ?? 0) ^ 1;
    await refusedByNode(cluster, { caCertificate }, "refused/certificate-signature");
  });
});

Deno.test("attack: a member of the cluster poses as its join service", async (t) => {
  // Stopped by checkServiceCertificate(): directly under the CA, and exactly the join service's subject.
  await using cluster = await TestCluster.create();
  const keys = await generateKeyPair("p-256");
  const issue = (subject: ReturnType<typeof nodeSubject>) =>
    issueClientCertificate(cluster.ca, { spki: keys.spki, subject, lifetimeMs: 60_000 }, new Date());
  await t.step("with a kubelet's certificate", async () => {
    const certificate = (await issue(nodeSubject("cp-1"))).der;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-subject");
  });
  await t.step("with an administrator's certificate", async () => {
    const certificate = (await issueAdminCertificate(cluster.ca, keys.spki, new Date())).der;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-subject");
  });
  await t.step("with the service's certificate and a key of its own", async () => {
    await refusedByNode(cluster, { keys }, "refused/signature");
  });
  await t.step("with a service's certificate of another CA of the same name", async () => {
    await using other = await TestCluster.create();
    const { certificate, keys } = other.service.identity;
    await refusedByNode(cluster, { certificate, keys }, "refused/certificate-signature");
  });
});

Deno.test("attack: a captured join service gives tickets that are not the node's", async (t) => {
  // Stopped by checkTicket(), before the lock.
  await using cluster = await TestCluster.create();
  const other = await createCertificateAuthority(new Date());
  const keys = await generateKeyPair("p-256");
  const issue = (ca: typeof other, spki: Uint8Array, name: string) =>
    issueClientCertificate(ca, { spki, subject: nodeSubject(name), lifetimeMs: 60_000 }, new Date());
  const issuer = newInsecureIssuer();
  const tickets: readonly (readonly [string, Partial<JoinExchangeService>, string])[] = [
    [
      "for another name",
      { signCertificate: async () => (await issue(cluster.ca, keys.spki, "worker-9")).der },
      "refused/certificate-subject",
    ],
    [
      "for another key",
      { signCertificate: async () => (await issue(cluster.ca, keys.spki, NODE_NAME)).der },
      "refused/certificate-key",
    ],
    [
      "by another CA",
      { signCertificate: async () => (await issue(other, keys.spki, NODE_NAME)).der },
      "refused/certificate-signature",
    ],
    ["without an endpoint", { ticket: { ...cluster.service.ticket, apiEndpoints: [] } }, "malformed/ticket"],
    [
      "with an endpoint that is none",
      { ticket: { ...cluster.service.ticket, apiEndpoints: ["https://x/\nusers: []"] } },
      "malformed/ticket",
    ],
    [
      "with a cluster document that is none",
      { ticket: { ...cluster.service.ticket, clusterDocument: `${CLUSTER_DOCUMENT}token: abc\n` } },
      "malformed/ticket",
    ],
  ];
  for (const [name, changes, code] of tickets) {
    await t.step(name, async () => {
      await using hostile = await listenForJoins({ ...cluster.service, ...changes }, { host: "127.0.0.1", port: 0 });
      const error = await firstFailure(hostile.port, cluster.trust, issuer);
      assert.equal(error.code, code, error.message);
      assert.equal(error.details["saidBy"], undefined);
    });
  }
});

Deno.test("attack: more nodes than the service can verify", async () => {
  // Stopped by the VerificationQueue: those beyond it are told to ask again.
  const gate = Promise.withResolvers<void>();
  const insecure = { variant: "none", identity: "aa".repeat(32), fresh: true } as const;
  await using cluster = await TestCluster.create({
    service: {
      queue: new VerificationQueue({ maximumActive: 1, maximumWaiting: 1 }),
      verifier: {
        variant: "none",
        async verify() {
          await gate.promise;
          return { claims: insecure };
        },
      },
      signCertificate: () => Promise.reject(new BootstrapError("unavailable/test", "nothing is signed here")),
    },
  });
  const asked = Array.from({ length: 3 }, () => joinByHand(cluster.port).catch(asBootstrapError));
  const first = await Promise.race(asked);
  assert.ok(first instanceof BootstrapError && first.code === "unavailable/busy" && first.retriable);
  assert.notEqual(first.next, "");
  gate.resolve();
  const all = await Promise.all(asked);
  assert.equal(all.filter((one) => one instanceof BootstrapError && one.code === "unavailable/test").length, 2);
  assert.deepEqual(cluster.signed, []);
});
