/** How a joiner knows a cluster that no operator founded: each check of it refuses what it is there for. */
import assert from "node:assert/strict";
import { flipped } from "../../attestation/testing/evidence.ts";
import type { ActivationChallenge } from "../../attestation/evidence.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { challengeFounder, founderExpectation } from "../../join/founder_evidence.ts";
import { checkProposal, wantsEvidence } from "../../join/proposal.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import type { JoinProposal } from "../../proto/gen/bootstrapper.ts";
import { JoinClientMessage, JoinServerMessage } from "../../proto/gen/bootstrapper.ts";
import { createFounding } from "../../protocol/founding.ts";
import { sign } from "../../protocol/signature.ts";
import { createTokenFounding } from "../../protocol/token_founding.ts";
import type { TrustPart } from "../../protocol/transcript.ts";
import { joinA1, lockDigest, trustDigest } from "../../protocol/transcript.ts";
import { activationAnswer } from "../../protocol/activation.ts";
import { TicketSearch } from "../../join/ticket_search.ts";
import { type JoinExchange, obtainTicket } from "../../join/exchange_client.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import { ChallengedToy, FoundedCluster, measuredToy, toyVerifier } from "./founded_world.ts";
import { ask, dialService, newNode, TestCluster } from "./join_world.ts";
import { ToyMachine } from "./toy_kind.ts";

const MODES = [["token"], ["policy"], ["token", "policy"]] as const;
const ATTESTED = [["policy"], ["token", "policy"]] as const;
const WITH_TOKEN = [["token"], ["token", "policy"]] as const;

/** Changes what the cluster's service shows. */
function identityOf({ cluster }: FoundedCluster, changes: Record<string, unknown>): void {
  Object.assign(cluster.service, { identity: { ...cluster.service.identity, ...changes } });
}

const refusal = async (asked: Promise<unknown>) => {
  const error = await asked.then(() => undefined, asBootstrapError);
  return error?.code;
};

for (const by of MODES) {
  Deno.test(`a worker joins a cluster that was founded by ${by.join(" and ")}, and a control plane with the token`, async () => {
    await using founded = await FoundedCluster.create({ by, service: { roleOf: () => "control-plane" } });
    const ticket = await ask(founded.port, await founded.node());
    assert.deepEqual(ticket.clusterId, founded.cluster.clusterId);
    assert.deepEqual(ticket.foundings, []);
    assert.deepEqual(ticket.tokenFounding?.toHex(), founded.cluster.service.identity.tokenFounding?.toHex());
    const token = (by as readonly string[]).includes("token") ? { token: founded.token } : {};
    assert.ok((await ask(founded.port, await founded.controlPlane(token))).kit !== undefined);
    assert.equal(founded.machine.issued, (by as readonly string[]).includes("policy") ? 2 : 0);
  });
}

for (const by of WITH_TOKEN) {
  Deno.test(`checkTokenFounding() refuses what is not the token's word for this cluster and trust part (${by.join(" and ")})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    const { trust, token, cluster: { clusterId } } = founded;
    const honest = founded.cluster.service.identity.tokenFounding ?? assert.fail();
    const founding = trust.founding ?? assert.fail();
    const other: Record<string, Bytes | Uint8Array | undefined> = {
      none: undefined,
      empty: new Uint8Array(),
      "by another token": await createTokenFounding(...await otherToken(trust, clusterId)),
      "for another cluster": await createTokenFounding(token, flipped(clusterId, 0), trust),
      // A cluster of another trust part, of the same name and token, whose CA key leaked.
      "for another size": await createTokenFounding(token, clusterId, { ...trust, founding: { ...founding, size: 5 } }),
      "for another policy": await createTokenFounding(token, clusterId, {
        ...trust,
        founding: { ...founding, policyDigest: new Uint8Array(32).fill(9) },
      }),
      "for another name": await createTokenFounding(token, clusterId, { ...trust, clusterName: "other" }),
      "for a weaker trust part": await createTokenFounding(token, clusterId, {
        ...trust,
        switches: ["allowUnmeasuredImage"],
      }),
      // The same bytes, for another purpose.
      "with another tag": await sign(token, "token-join", new Uint8Array(76)),
      longer: new Uint8Array([...honest, 0]),
      shorter: honest.subarray(1),
    };
    for (const [what, tokenFounding] of Object.entries(other)) {
      identityOf(founded, { tokenFounding });
      assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/token-founding", what);
    }
    assert.deepEqual(founded.cluster.signed, []);
  });

  Deno.test(`checkToken() lets only who has the token be a control plane (${by.join(" and ")})`, async () => {
    await using founded = await FoundedCluster.create({ by, service: { roleOf: () => "control-plane" } });
    const refused = async (node: Parameters<typeof ask>[1]) => {
      assert.equal(await refusal(ask(founded.port, node)), "refused/token-join");
    };
    await refused(await founded.controlPlane());
    await refused(await founded.controlPlane({ token: await generateKeyPair("ed25519") }));
    assert.deepEqual(founded.cluster.admissions.records, []);
    assert.deepEqual(founded.cluster.signed, []);
  });
}

Deno.test("createTokenFounding() refuses a token that is not the trust part's", async () => {
  await using founded = await FoundedCluster.create({ by: ["token"] });
  const { trust, cluster: { clusterId } } = founded;
  const made = createTokenFounding(await generateKeyPair("ed25519"), clusterId, trust);
  await assert.rejects(made, { code: "internal/token-founding" });
});

async function otherToken(
  trust: TrustPart,
  clusterId: Uint8Array,
): Promise<Parameters<typeof createTokenFounding>> {
  const token = await generateKeyPair("ed25519");
  const founding = { ...trust.founding ?? assert.fail(), tokenKey: token.spki };
  return [token, clusterId, { ...trust, founding }];
}

Deno.test("a signature of the token for one request makes no control plane of another", async () => {
  await using founded = await FoundedCluster.create({ by: ["token"] });
  const node = await founded.controlPlane({ token: founded.token });
  await ask(founded.port, node);
  const stolen = await sign(founded.token, "token-join", new Uint8Array(32));
  for (const signature of [stolen, stolen.subarray(1), new Uint8Array(65)]) {
    using dialled = await dialService(founded.port);
    const send = dialled.exchange.send.bind(dialled.exchange);
    const altered: JoinExchange = Object.assign(Object.create(dialled.exchange), {
      closed: dialled.exchange.closed,
      binding: dialled.exchange.binding,
      receive: dialled.exchange.receive.bind(dialled.exchange),
      send: (envelope: JoinClientMessage) => {
        const { message } = envelope;
        if (message?.$case === "request") message.request.tokenSignature = signature;
        return send(envelope);
      },
    });
    const code = await refusal(obtainTicket(altered, node));
    assert.equal(code, signature.length === 64 ? "refused/token-join" : "malformed/join-message");
  }
});

Deno.test("without a policy, a machine that shows the token is a control plane, until the policy in force names machines", async () => {
  await using founded = await FoundedCluster.create({ by: ["token"], service: { roleOf: () => "worker" } });
  assert.ok((await ask(founded.port, await founded.controlPlane({ token: founded.token }))).kit !== undefined);
  Object.assign(founded.cluster.service, { isInsecure: false });
  const self = { name: "cp-3", address: "192.0.2.9", role: "control-plane" } as const;
  assert.equal(await refusal(ask(founded.port, await founded.node({ self, token: founded.token }))), "refused/role");
});

Deno.test("with a policy, the token alone makes no control plane of a machine that the policy does not list", async () => {
  await using founded = await FoundedCluster.create({ by: ["token", "policy"], service: { roleOf: () => "worker" } });
  const node = await founded.controlPlane({ token: founded.token });
  assert.equal(await refusal(ask(founded.port, node)), "refused/role");
});

Deno.test("with a policy, the token makes a control plane of a machine that gets a new identity at each start", async () => {
  await using founded = await FoundedCluster.create({ by: ["token", "policy"], service: { roleOf: () => "worker" } });
  const toy = await measuredToy(founded.trust);
  const verifier = toyVerifier(toy);
  const ephemeral = {
    ...verifier,
    verify: async (...all: Parameters<typeof verifier.verify>) => {
      const verified = await verifier.verify(...all);
      return { ...verified, claims: { ...verified.claims, isEphemeral: true as const } };
    },
  };
  Object.assign(founded.cluster.service, { verifier: ephemeral });
  const node = await founded.controlPlane({ issuer: toy });
  assert.equal(await refusal(ask(founded.port, node)), "refused/token-join");
  assert.ok((await ask(founded.port, { ...node, token: founded.token })).kit !== undefined);
});

Deno.test("a cluster that an operator founded makes no control plane of who shows a token", async () => {
  await using cluster = await TestCluster.create();
  const self = { name: "cp-2", address: "192.0.2.8", role: "control-plane" } as const;
  const node = await newNode(cluster.trust, { self, token: await generateKeyPair("ed25519") });
  assert.equal(await refusal(ask(cluster.port, node)), "refused/role");
});

for (const by of ATTESTED) {
  const name = by.join(" and ");
  Deno.test(`founderExpectation() refuses a machine of another trust part or another lock (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    const { trust, cluster: { clusterId } } = founded;
    const expected = await founderExpectation(trust, clusterId);
    assert.deepEqual(expected.trust, [await trustDigest(trust)]);
    assert.deepEqual(expected.lock, [await lockDigest(clusterId)]);
    const weaker = { ...trust, switches: ["allowUnmeasuredImage"] } as const;
    const known = { ...trust, clusterId };
    const { founding: _, ...without } = trust;
    const cases: readonly (readonly [string, ChallengedToy, string])[] = [
      ["a weaker trust part", await measuredToy(weaker, clusterId), "refused/pcr-20"],
      ["another name", await measuredToy({ ...trust, clusterName: "other" }, clusterId), "refused/pcr-20"],
      ["a trust part with the cluster ID", await measuredToy(known, clusterId), "refused/pcr-20"],
      ["no founding", await measuredToy(without, clusterId), "refused/pcr-20"],
      ["no lock", await measuredToy(trust), "refused/pcr-21"],
      ["a member of another cluster", await measuredToy(trust, flipped(clusterId, 3)), "refused/pcr-21"],
      ["another image", await otherImage(trust, clusterId), "refused/pcr-22"],
    ];
    for (const [what, machine, code] of cases) {
      Object.assign(founded.cluster.service, { prover: directProver(machine, clusterId) });
      const founders = founded.policy({ verifier: toyVerifier(founded.machine, machine) });
      assert.equal(await refusal(ask(founded.port, await founded.node({ founders }))), code, what);
    }
  });

  Deno.test(`checkFounders() refuses a machine that the policy does not list as a control plane (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    const worker = founded.policy({ roleOf: () => "worker" });
    assert.equal(await refusal(ask(founded.port, await founded.node({ founders: worker }))), "refused/role");
    const stranger = founded.policy({ verifier: toyVerifier(new ChallengedToy(await ToyMachine.create())) });
    assert.equal(await refusal(ask(founded.port, await founded.node({ founders: stranger }))), "refused/identity");
  });

  Deno.test(`checkFounders() refuses a service without evidence, and never takes one way for the other (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    // The service's trust part says nothing of evidence: what is there to check comes from the node's own.
    Object.assign(founded.cluster.service, { trust: { ...founded.trust, founding: undefined } });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/evidence");
    Object.assign(founded.cluster.service, { trust: founded.trust });
    const { founders: _, ...unread } = await founded.node();
    assert.equal(await refusal(ask(founded.port, unread)), "internal/argument");
  });

  Deno.test(`challengeFounder() refuses a machine whose challenge another one opened (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    const { clusterId } = founded.cluster;
    const honest = directProver(founded.machine, clusterId);
    const thief = directProver(new ChallengedToy(await ToyMachine.create()), clusterId);
    // The evidence is borrowed from a founder, which answers no challenge for the thief.
    Object.assign(founded.cluster.service, { prover: { issue: honest.issue, answer: thief.answer } });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/activation");
    const wrong = { issue: honest.issue, answer: () => Promise.resolve(new Uint8Array()) };
    Object.assign(founded.cluster.service, { prover: wrong });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/activation");
    assert.ok(challengeFounder);
  });

  Deno.test(`a founder's evidence for one connection proves nothing on another (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    const honest = directProver(founded.machine, founded.cluster.clusterId);
    const elsewhere = {
      ...honest,
      issue: (context: Parameters<typeof honest.issue>[0]) => honest.issue({ ...context, binding: new Uint8Array(32) }),
    };
    Object.assign(founded.cluster.service, { prover: elsewhere });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/statement");
  });

  Deno.test(`a member's evidence does not stand in for the service's signature (${name})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    identityOf(founded, { keys: await generateKeyPair("p-256") });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/signature");
    const other = await TestCluster.create();
    await using _other = other;
    // Its certificate is of another CA.
    identityOf(founded, { keys: other.service.identity.keys, certificate: other.service.identity.certificate });
    assert.equal(await refusal(ask(founded.port, await founded.node())), "refused/certificate-signature");
  });
}

function directProver(issuer: ChallengedToy, clusterId: Uint8Array) {
  return {
    issue: async (context: Parameters<typeof joinA1>[0]) => await issuer.issue(await joinA1({ ...context, clusterId })),
    answer: async (context: Parameters<typeof joinA1>[0], challenge: ActivationChallenge) =>
      await activationAnswer(await issuer.activate(challenge), await joinA1({ ...context, clusterId })),
  };
}

async function otherImage(trust: TrustPart, clusterId: Uint8Array): Promise<ChallengedToy> {
  const machine = await measuredToy(trust, clusterId);
  machine.toy.image = new Uint8Array(32).fill(8);
  return machine;
}

Deno.test("an operator's founding is enough for a node whose trust part has a founding too", async () => {
  await using founded = await FoundedCluster.create({ by: ["token", "policy"] });
  const operator = await generateKeyPair("ed25519");
  const { clusterId, clusterName } = founded.cluster;
  identityOf(founded, {
    foundings: [await createFounding(operator, clusterId, clusterName)],
    tokenFounding: undefined,
  });
  const trust = { ...founded.trust, operatorKeys: [operator.spki] };
  const ticket = await ask(founded.port, await newNode(trust, { founders: founded.policy() }));
  assert.equal(ticket.foundings.length, 1);
  assert.equal(ticket.tokenFounding, undefined);
  // Another operator's is not, nor is one of another name.
  const stranger = await generateKeyPair("ed25519");
  identityOf(founded, { foundings: [await createFounding(stranger, clusterId, clusterName)] });
  assert.equal(
    await refusal(ask(founded.port, await newNode(trust, { founders: founded.policy() }))),
    "refused/token-founding",
  );
});

Deno.test("who knows the cluster ID needs no founding and no evidence, and is given to no other cluster", async () => {
  await using founded = await FoundedCluster.create({ by: ["token", "policy"] });
  await using other = await FoundedCluster.create({ by: ["token", "policy"] });
  const { founding: _, ...later } = { ...founded.trust, clusterId: founded.cluster.clusterId };
  assert.ok(await ask(founded.port, await newNode(later)));
  assert.equal(founded.machine.issued, 0);
  assert.equal(await refusal(ask(other.port, await newNode(later))), "refused/ca-cluster-id");
  // A node that an earlier start locked, with the founding in its trust part.
  const lockedTo = founded.cluster.clusterId;
  const self = { name: "worker-2", address: "192.0.2.8", role: "worker" } as const;
  assert.ok(await ask(founded.port, await newNode(founded.trust, { lockedTo, self })));
  assert.equal(founded.machine.issued, 0);
  assert.equal(await refusal(ask(other.port, await newNode(founded.trust, { lockedTo }))), "refused/ca-cluster-id");
});

Deno.test("a locked node without a founding in its trust part still wants an operator's founding", async () => {
  await using cluster = await TestCluster.create();
  Object.assign(cluster.service, { identity: { ...cluster.service.identity, foundings: [] } });
  const node = await newNode(cluster.trust, { lockedTo: cluster.clusterId });
  assert.equal(await refusal(ask(cluster.port, node)), "refused/founding");
});

Deno.test("laterTrust() lets in machines that have the cluster ID and no founding, and no machine with neither", async () => {
  await using founded = await FoundedCluster.create({ by: ["token", "policy"] });
  const { clusterId } = founded.cluster;
  const { founding: _, ...later } = { ...founded.trust, clusterId };
  const none = new Uint8Array();
  const cases: readonly (readonly [string, TrustPart, string | undefined])[] = [
    ["the founders' own trust part", founded.trust, undefined],
    ["that of later machines", later, undefined],
    ["no founding, and no cluster ID", { ...later, clusterId: none }, "refused/pcr-20"],
    ["another cluster ID", { ...later, clusterId: flipped(clusterId, 1) }, "refused/pcr-20"],
    ["another name", { ...later, clusterName: "other" }, "refused/pcr-20"],
    ["other operators", { ...later, operatorKeys: [founded.token.spki] }, "refused/pcr-20"],
    [
      "another founding",
      { ...founded.trust, founding: { size: 5, policyDigest: none, tokenKey: none } },
      "refused/pcr-20",
    ],
  ];
  for (const [index, [what, trust, code]] of cases.entries()) {
    const toy = new ChallengedToy(await ToyMachine.create());
    await measureTrust(toy.toy, trust);
    Object.assign(founded.cluster.service, { verifier: toyVerifier(toy) });
    const self = { name: `worker-${index}`, address: `192.0.2.${index + 20}`, role: "worker" } as const;
    const node = await newNode(later, { self, issuer: toy });
    assert.equal(await refusal(ask(founded.port, node)), code, what);
  }
});

for (const by of MODES) {
  Deno.test(`TicketSearch joins neither of two clusters of one trust part (${by.join(" and ")})`, async () => {
    await using first = await FoundedCluster.create({ by });
    // The second cluster has the same name, token and policy: its machine is one of the same trust part.
    await using second = await FoundedCluster.create({ by, token: first.token });
    const node = await newNode(first.trust, {
      founders: first.policy({ verifier: toyVerifier(first.machine, second.machine) }),
      issuer: neverIssues(),
    });
    const search = new TicketSearch({
      endpoints: [first, second].map(({ port }) => ({ host: "127.0.0.1", port })),
      node,
      clock: systemClock,
      log: silentLog,
    });
    await assert.rejects(search.run(new AbortController().signal), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "conflict/two-foundings", String(error));
      for (const { cluster } of [first, second]) assert.ok(error.message.includes(cluster.clusterId.toHex()));
      return true;
    });
  });
}

function neverIssues() {
  const never = () => new Promise<never>(() => {});
  return { variant: "none", isChallenged: false, issue: never, activate: never, ownIdentity: never };
}

Deno.test("one piece of evidence is made at a time, eight wait, and the rest is told to come again", async () => {
  await using founded = await FoundedCluster.create({ by: ["policy"] });
  const held = Promise.withResolvers<void>();
  const honest = directProver(founded.machine, founded.cluster.clusterId);
  let [active, most, made] = [0, 0, 0];
  const begun: (() => void)[] = [];
  const slow = {
    ...honest,
    issue: async (context: Parameters<typeof honest.issue>[0]) => {
      most = Math.max(most, ++active);
      begun.shift()?.();
      await held.promise;
      active--;
      made++;
      return await honest.issue(context);
    },
  };
  Object.assign(founded.cluster.service, { prover: slow });
  const first = Promise.withResolvers<void>();
  begun.push(first.resolve);
  const nodes = await Promise.all(Array.from({ length: 10 }, () => founded.node()));
  const asked = nodes.map((node) => ask(founded.port, node).then(() => "ticket", asBootstrapError));
  await first.promise;
  const refused = await Promise.race(asked);
  assert.ok(refused instanceof BootstrapError && refused.code === "unavailable/busy", String(refused));
  assert.deepEqual([refused.retriable, refused.retryAfterSeconds], [true, 5]);
  held.resolve();
  const results = await Promise.all(asked);
  assert.equal(
    results.filter((result) => result instanceof BootstrapError && result.code === "unavailable/busy").length,
    1,
  );
  assert.deepEqual([most, made], [1, 9]);
});

Deno.test("a service without a way to its machine's devices tells the node to come again", async () => {
  await using founded = await FoundedCluster.create({ by: ["policy"] });
  Object.assign(founded.cluster.service, { prover: undefined });
  const error = await ask(founded.port, await founded.node()).catch(asBootstrapError);
  assert.ok(
    error instanceof BootstrapError && error.retriable && error.code === "unavailable/founder-evidence",
    String(error),
  );
});

Deno.test("messages without anything of a founding are byte for byte those of before", () => {
  const clientNonce = new Uint8Array(32).fill(3);
  const hello = JoinClientMessage.encode({ message: { $case: "hello", hello: { clientNonce } } }).finish();
  assert.equal(hello.toHex(), `0a220a20${"03".repeat(32)}`);
  const proposal: JoinProposal = {
    ...{ serverNonce: clientNonce, caCertificate: Uint8Array.of(1), foundings: [], successions: [], documents: [] },
    ...{ serviceCertificate: Uint8Array.of(2), signature: Uint8Array.of(3) },
  };
  const encoded = JoinServerMessage.encode({ message: { $case: "proposal", proposal } }).finish();
  assert.equal(encoded.toHex(), `0a2b0a20${"03".repeat(32)}1201012201022a0103`);
  const trust = { clusterName: "test", clusterId: new Uint8Array(), operatorKeys: [], variants: ["tpm"], switches: [] };
  assert.equal(wantsEvidence({ trust }), false);
});

Deno.test("checkProposal() refuses every changed bit of a token founding", async () => {
  await using founded = await FoundedCluster.create({ by: ["token"] });
  const honest = founded.cluster.service.identity.tokenFounding ?? assert.fail();
  using dialled = await dialService(founded.port);
  const clientNonce = new Uint8Array(32).fill(1);
  await dialled.exchange.send({ message: { $case: "hello", hello: { clientNonce } } });
  const proposal = await dialled.exchange.receive("proposal", 10_000);
  const opening = { binding: dialled.exchange.binding, clientNonce };
  const loyalty = { trust: founded.trust, noteFounded: () => {} };
  assert.ok(await checkProposal(proposal, opening, loyalty, new Date()));
  for (let index = 0; index < honest.length; index++) {
    const tokenFounding = flipped(honest, index, 1 << index % 8);
    const checked = checkProposal({ ...proposal, tokenFounding }, opening, loyalty, new Date());
    assert.equal(await refusal(checked), "refused/token-founding", `byte ${index}`);
  }
});
