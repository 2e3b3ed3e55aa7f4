/** Peers of a founder that are not honest, or not of its kind. After every attack the founder's view is itself alone. */
import assert from "node:assert/strict";
import type { Evidence, EvidenceIssuer } from "../../attestation/evidence.ts";
import { dial } from "../../channel/client.ts";
import { listen } from "../../channel/server.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import { makeCard } from "../../founding/card.ts";
import { EVIDENCE_INTERVAL_MS } from "../../founding/evidence_rate.ts";
import { answerFounder } from "../../founding/exchange_server.ts";
import { meetFounder } from "../../founding/exchange_client.ts";
import type { FoundClientExchange } from "../../founding/founder.ts";
import { challengePeer, checkStatement, checkToken, peerExpectation } from "../../founding/peer_check.ts";
import type { FounderTrust } from "../../founding/trust_comparison.ts";
import { compareTrust, shownTrust } from "../../founding/trust_comparison.ts";
import { View } from "../../founding/view.ts";
import { measureLock } from "../../nodelock/measure.ts";
import { randomBytes } from "../../platform/bytes.ts";
import type { BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import type { FounderStatement, FoundHello } from "../../proto/gen/bootstrapper.ts";
import type { FoundClientMessage, FoundServerMessage } from "../../proto/gen/bootstrapper.ts";
import { FoundingServiceService } from "../../proto/gen/bootstrapper.ts";
import { sign } from "../../protocol/signature.ts";
import { foundA1, foundClientStatement, founderClientStatement, trustDigest } from "../../protocol/transcript.ts";
import { terminateTls } from "../integration/attacks/attacks.ts";
import { attack } from "../integration/attacks/stopped_by.ts";
import type { TestFounding } from "./founders.ts";
import { jumpingClock, newFounding, PATIENCE_MS, TestFounder } from "./founders.ts";
import { ShownMachine } from "./init_machine.ts";

/** A machine that counts the evidence that it makes. */
class CountingMachine extends ShownMachine {
  issued = 0;

  override issue(statement: Uint8Array) {
    this.issued++;
    return super.issue(statement);
  }
}

/** Asserts that a founder has met nobody. */
function assertAlone({ meeting }: TestFounder): void {
  const { view: { entries, present } } = meeting.state;
  assert.deepEqual([entries.map(({ name }) => name), present], [["victim"], []]);
}

async function dialVictim(port: number) {
  return await dial<FoundServerMessage, FoundClientMessage>({
    ...{ method: FoundingServiceService.found, endpoint: `127.0.0.1:${port}`, connectDeadlineMs: PATIENCE_MS },
  });
}

/** What an attacker sends as the dialling end, step by step. */
interface ClientPlay {
  /** Changes the hello. */
  readonly hello?: (hello: FoundHello) => FoundHello;
  /** Makes the statement. */
  readonly statement?: (bc: Uint8Array, made: FounderStatement) => FounderStatement | Promise<FounderStatement>;
  /** Opens the challenge. Default: the machine does. */
  readonly issuer?: EvidenceIssuer;
}

/** Plays a dialling founder by hand, with an honest founder's keys, and returns the victim's last word. */
async function playClient(
  { exchange }: { readonly exchange: FoundClientExchange },
  { trust, token }: TestFounding,
  as: TestFounder,
  { hello = (same) => same, statement = (_b, same) => same, issuer = as.machine }: ClientPlay,
): Promise<BootstrapError> {
  const nonce = randomBytes(32);
  const { binding } = exchange;
  const hasToken = trust.founding.tokenKey.length > 0;
  const byToken = async (tag: "found-c" | "founder", bytes: Uint8Array) =>
    hasToken ? await sign(token, tag, bytes) : new Uint8Array();
  try {
    const tokenSignature = await byToken("found-c", await foundClientStatement(binding, nonce));
    const said = hello({ nonce, trust: shownTrust(trust), tokenSignature, instance: new Uint8Array(16) });
    await exchange.send({ message: { $case: "hello", hello: said } });
    const { nonce: serverNonce } = await exchange.receive("hello", PATIENCE_MS);
    const digest = await trustDigest(trust);
    const a1 = await foundA1({ binding, clientNonce: nonce, serverNonce, trustDigest: digest });
    const { certificate } = as.key;
    const { name, address } = as.meeting.entry;
    const card = await makeCard({
      ...{ name, address, timeMs: BigInt(Date.now()), serial: 1n, instance: randomBytes(16), state: "meeting" },
      ...{ clusterId: new Uint8Array(), hindrances: [], view: [as.meeting.entry], pledges: [] },
    });
    const bc = await founderClientStatement(a1, { certificate, card });
    const evidence = trust.founding.policyDigest.length === 0
      ? undefined
      : await issuer.issue(bc) as Required<Evidence>;
    const made: FounderStatement = {
      ...{ certificate: Uint8Array.from(certificate), card },
      evidence: evidence && { variant: evidence.variant, payload: Uint8Array.from(evidence.payload) },
      ...{ signature: await sign(as.key.keys, "founder", bc), tokenSignature: await byToken("founder", bc) },
    };
    await exchange.send({ message: { $case: "statement", statement: await statement(bc, made) } });
    const { kind } = await exchange.receiveAny(["challenge", "statement"], PATIENCE_MS);
    return assert.fail(`the victim went on with "${kind}"`);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return error as BootstrapError;
  }
}

/** Plays against a victim as a founder that it would take, but for one thing. */
async function playAgainst(mode: "token" | "evidence" | "both", play: ClientPlay): Promise<BootstrapError> {
  const founding = await newFounding(mode);
  const machine = new CountingMachine();
  await using victim = await TestFounder.create("victim", founding, [], { machine });
  await using attacker = await TestFounder.create("attacker", founding, []);
  const { port } = await victim.start();
  using dialled = await dialVictim(port);
  const error = await playClient(dialled, founding, attacker, play);
  assertAlone(victim);
  assert.equal(machine.issued, 0, "evidence was made for him");
  return error;
}

Deno.test(attack("attack: a stranger without the token hears a code alone", checkToken, answerFounder), async () => {
  const founding = await newFounding("both");
  const machine = new CountingMachine();
  await using victim = await TestFounder.create("victim", founding, [], { machine });
  const others: TestFounding = { ...founding, token: await generateKeyPair("ed25519") };
  const endpoint = await victim.start();
  await using stranger = await TestFounder.create("stranger", others, [endpoint]);
  await stranger.start();
  const error = await stranger.failure("unauthorized/founder");
  assert.deepEqual([error.message, error.details], ["The peer refused: unauthorized/founder", { saidBy: "peer" }]);
  assert.ok(victim.meeting.state.refusedHellos.stranger >= 1);
  assert.equal(machine.issued, 0);
  assertAlone(victim);
});

Deno.test(attack("attack: a founder of a wrong token answers, and hears nothing but a hello", checkToken), async () => {
  const founding = await newFounding("both");
  const others: TestFounding = { ...founding, token: await generateKeyPair("ed25519") };
  await using hostile = await TestFounder.create("hostile", others, []);
  const machine = new CountingMachine();
  // The victim's hello is refused before the other shows anything: so it is played by hand.
  const server = await listen<FoundClientMessage, FoundServerMessage>({
    ...{ service: FoundingServiceService, host: "127.0.0.1", port: 0, maximumConnections: 9, log: silentLog },
    async handle({ exchange }) {
      await exchange.receive("hello", PATIENCE_MS);
      const tokenSignature = await sign(others.token, "found-s", randomBytes(32));
      const hello = { nonce: randomBytes(32), trust: shownTrust(founding.trust), tokenSignature };
      await exchange.send({ message: { $case: "hello", hello: { ...hello, instance: randomBytes(16) } } });
      await exchange.receive("statement", PATIENCE_MS);
    },
  });
  const peers = [{ host: "127.0.0.1", port: server.port }];
  await using victim = await TestFounder.create("victim", founding, peers, { machine });
  await victim.start();
  await victim.failure("unauthorized/founder");
  assert.equal(machine.issued, 0);
  assertAlone(victim);
  await victim.stop();
  await server.close();
  await hostile.stop();
});

Deno.test(attack("attack: a hello is replayed on another connection", checkToken), async () => {
  const founding = await newFounding("token");
  await using victim = await TestFounder.create("victim", founding, []);
  await using honest = await TestFounder.create("honest", founding, []);
  const { port } = await victim.start();
  let kept: FoundHello | undefined;
  {
    using first = await dialVictim(port);
    const play = { hello: (hello: FoundHello) => kept = hello, statement: () => assert.fail("enough") };
    await assert.rejects(playClient(first, founding, honest, play));
  }
  using second = await dialVictim(port);
  const error = await playClient(second, founding, honest, { hello: () => kept ?? assert.fail() });
  assert.equal(error.code, "unauthorized/founder");
  assertAlone(victim);
});

for (const mode of ["token", "evidence", "both"] as const) {
  const stopper = mode === "evidence" ? checkStatement : checkToken;
  Deno.test(attack(`attack: TLS is ended on both sides between two founders, mode ${mode}`, stopper), async () => {
    const founding = await newFounding(mode, 2);
    await using victim = await TestFounder.create("victim", founding, []);
    const { port } = await victim.start();
    await using middle = await terminateTls(port);
    await using other = await TestFounder.create("other", founding, [{ host: "127.0.0.1", port: middle.port }]);
    await other.start();
    await other.failure(mode === "evidence" ? "refused/signature" : "unauthorized/founder");
    assert.ok(middle.passedOn > 0);
    assertAlone(victim);
    assert.equal(other.meeting.state.view.present.length, 0);
  });
}

Deno.test(attack("attack: a founder's evidence is relayed under another key", checkStatement), async () => {
  // He ends both connections, has a key of his own, and shows the evidence that the honest founder made for him.
  const founding = await newFounding("evidence");
  await using victim = await TestFounder.create("victim", founding, []);
  await using attacker = await TestFounder.create("attacker", founding, []);
  await using honest = await TestFounder.create("honest", founding, []);
  using dialled = await dialVictim((await victim.start()).port);
  // Whatever statement he gets the honest founder to make evidence over, it is of a connection of the honest founder's.
  const statement = async (_b: Uint8Array, made: FounderStatement) => {
    const { variant, payload } = await honest.machine.issue(randomBytes(32));
    return { ...made, evidence: { variant, payload: Uint8Array.from(payload) } };
  };
  const error = await playClient(dialled, founding, attacker, { statement });
  assert.equal(error.code, "refused/statement");
  assertAlone(victim);
});

Deno.test(attack("attack: a founder's own messages come back to it", checkToken, checkStatement), async () => {
  for (const mode of ["token", "evidence"] as const) {
    const founding = await newFounding(mode);
    const server = await listen<FoundClientMessage, FoundServerMessage>({
      ...{ service: FoundingServiceService, host: "127.0.0.1", port: 0, maximumConnections: 9, log: silentLog },
      async handle({ exchange }) {
        const hello = await exchange.receive("hello", PATIENCE_MS);
        await exchange.send({ message: { $case: "hello", hello } });
        const statement = await exchange.receive("statement", PATIENCE_MS);
        await exchange.send({
          message: {
            $case: "challenge",
            challenge: {
              ...{ credentialBlob: new Uint8Array(32), encryptedSecret: new Uint8Array() },
            },
          },
        });
        await exchange.receive("activation", PATIENCE_MS);
        await exchange.send({ message: { $case: "statement", statement } });
        await exchange.receive("challenge", PATIENCE_MS);
      },
    });
    const peers = [{ host: "127.0.0.1", port: server.port }];
    await using victim = await TestFounder.create("victim", founding, peers);
    await victim.start();
    await victim.failure(mode === "token" ? "unauthorized/founder" : "refused/signature");
    assertAlone(victim);
    await victim.stop();
    await server.close();
  }
});

Deno.test(attack("attack: a member of a cluster poses as fresh", peerExpectation), async () => {
  const founding = await newFounding("evidence");
  await using victim = await TestFounder.create("victim", founding, []);
  const member = new ShownMachine();
  await using attacker = await TestFounder.create("attacker", founding, [], { machine: member });
  await measureLock(member, randomBytes(32));
  using dialled = await dialVictim((await victim.start()).port);
  assert.equal((await playClient(dialled, founding, attacker, {})).code, "refused/pcr-15");
  assertAlone(victim);
});

Deno.test(attack("attack: a machine without policy to check says that it is locked", checkStatement), async () => {
  const founding = await newFounding("token");
  await using victim = await TestFounder.create("victim", founding, []);
  await using member = await TestFounder.create("member", founding, [await victim.start()]);
  member.meeting.setCard({ clusterId: randomBytes(32) });
  await member.start();
  await member.failure("refused/founder-lock");
  assertAlone(victim);
});

Deno.test(attack("attack: another TPM answers the challenge", challengePeer), async () => {
  const founding = await newFounding("evidence");
  await using victim = await TestFounder.create("victim", founding, []);
  const machine = new ShownMachine();
  machine.activate = () => Promise.resolve(randomBytes(32));
  await using attacker = await TestFounder.create("attacker", founding, [await victim.start()], { machine });
  await attacker.start();
  await attacker.failure("refused/activation");
  assertAlone(victim);
});

const statements: readonly (readonly [what: string, mode: "token" | "evidence" | "both", ClientPlay, code: string])[] =
  [
    ["without the token's signature", "both", {
      statement: (_b, made) => ({ ...made, tokenSignature: new Uint8Array() }),
    }, "unauthorized/founder"],
    ["with a token's signature that nothing asks for", "evidence", {
      statement: (_b, made) => ({ ...made, tokenSignature: new Uint8Array(64) }),
    }, "malformed/founder-message"],
    ["signed by another key", "both", {
      statement: async (b, made) => ({ ...made, signature: await sign(await generateKeyPair("p-256"), "founder", b) }),
    }, "refused/signature"],
    ["without evidence", "both", { statement: (_b, made) => ({ ...made, evidence: undefined }) }, "refused/evidence"],
    ["with evidence that nothing asks for", "token", {
      statement: (_b, made) => ({ ...made, evidence: { variant: "tpm", payload: new Uint8Array() } }),
    }, "malformed/founder-message"],
    ["with a card that is none", "token", {
      statement: (_b, made) => ({ ...made, card: Uint8Array.of(1) }),
    }, "malformed/founder-card"],
    ["with another card than was signed", "token", {
      statement: (_b, made) => ({
        ...made,
        card: Uint8Array.from(made.card, (byte, at) => at === 3 ? byte ^ 1 : byte),
      }),
    }, "refused/signature"],
  ];
for (const [what, mode, play, code] of statements) {
  Deno.test(attack(`attack: a statement ${what}, mode ${mode}`, checkStatement), async () => {
    const error = await playAgainst(mode, play);
    // A stranger hears the code alone.
    if (mode === "evidence") assert.equal(error.message, `The peer refused: ${code}`);
    assert.equal(error.code, code);
  });
}

Deno.test(attack("attack: a hello with a nonce of another length", answerFounder), async () => {
  const error = await playAgainst("evidence", { hello: (hello) => ({ ...hello, nonce: new Uint8Array(31) }) });
  assert.equal(error.code, "malformed/founder-message");
});

const trusts: readonly (readonly [field: string, change: (trust: FounderTrust) => Partial<FounderTrust>])[] = [
  ["trust.clusterName", () => ({ clusterName: "other" })],
  ["trust.clusterId", () => ({ clusterId: new Uint8Array(32).fill(1) })],
  ["evidence.variant", () => ({ variants: ["tpm", "snp"] })],
  ["the switches that weaken a check", () => ({ switches: ["allowUnmeasuredImage"] })],
  ["trust.operatorKeys", () => ({ operatorKeys: [] })],
  ["trust.founding.size", ({ founding }) => ({ founding: { ...founding, size: 5 } })],
  ["trust.founding.policy", ({ founding }) => ({ founding: { ...founding, policyDigest: new Uint8Array(32) } })],
];
for (const mode of ["evidence", "both"] as const) {
  for (const [field, change] of trusts) {
    const title = `founders that differ in ${field} do not meet, and both sides name it, mode ${mode}`;
    Deno.test(attack(title, compareTrust), async () => {
      const founding = await newFounding(mode);
      await using victim = await TestFounder.create("victim", founding, []);
      const other = { ...founding, trust: { ...founding.trust, ...change(founding.trust) } };
      await using peer = await TestFounder.create("peer", other, [await victim.start()]);
      await peer.start();
      const error = await peer.failure("refused/founding-trust");
      assert.equal(error.details["field"], field);
      const line = victim.lines.find(({ name, fields }) => name === "exchange-refused" && fields["field"] === field);
      assert.ok(line !== undefined, "the victim does not name it");
      assert.ok(victim.meeting.state.refusedHellos.trust >= 1);
      assertAlone(victim);
    });
  }
}

Deno.test(
  attack("attack: the dialled founder has another trust part, and its answer says so", meetFounder),
  async () => {
    const founding = await newFounding("evidence");
    const server = await listen<FoundClientMessage, FoundServerMessage>({
      ...{ service: FoundingServiceService, host: "127.0.0.1", port: 0, maximumConnections: 9, log: silentLog },
      async handle({ exchange }) {
        await exchange.receive("hello", PATIENCE_MS);
        const trust = shownTrust({ ...founding.trust, clusterName: "other" });
        const rest = { tokenSignature: new Uint8Array(), instance: randomBytes(16) };
        await exchange.send({ message: { $case: "hello", hello: { nonce: randomBytes(32), trust, ...rest } } });
        await exchange.receive("statement", PATIENCE_MS);
      },
    });
    const machine = new CountingMachine();
    const peers = [{ host: "127.0.0.1", port: server.port }];
    await using victim = await TestFounder.create("victim", founding, peers, { machine });
    await victim.start();
    assert.equal((await victim.failure("refused/founding-trust")).details["field"], "trust.clusterName");
    assert.equal(machine.issued, 0);
    await victim.stop();
    await server.close();
  },
);

for (const mode of ["token", "evidence"] as const) {
  Deno.test(attack(`a cloned disk is named by both, and they do not agree, mode ${mode}`, View), async () => {
    const founding = await newFounding(mode, 2);
    await using a = await TestFounder.create("a", founding, []);
    const endpoint = await a.start();
    await using clone = await TestFounder.create("a", founding, [endpoint], { key: a.key });
    await clone.start();
    assert.match((await clone.failure("conflict/founder-key")).code, /founder-key/);
    const { view } = await a.until(({ view: { conflicts } }) => conflicts.length > 0, "warned");
    assert.deepEqual([view.conflicts.map(({ kind }) => kind), view.isAgreed], [["own-key"], false]);
    assert.match(view.summary, /has the key of a: one is a clone/);
  });
}

Deno.test(attack("one TPM with two keys is named by all that see both", View), async () => {
  const founding = await newFounding("evidence", 2);
  const machine = new ShownMachine();
  const clock = jumpingClock();
  await using a = await TestFounder.create("a", founding, [], { clock });
  const endpoint = await a.start();
  await using b = await TestFounder.create("b", founding, [endpoint], { machine });
  const twin = new ShownMachine(machine.identity);
  await using c = await TestFounder.create("c", founding, [endpoint], { machine: twin });
  await b.start();
  await a.until(({ view: { present } }) => present.length === 1, "in company");
  clock.jump(EVIDENCE_INTERVAL_MS);
  await c.start();
  const { view } = await a.until(({ view: { conflicts } }) => conflicts.length > 0, "warned");
  assert.deepEqual(view.conflicts.map(({ kind }) => kind), ["identity"]);
});
