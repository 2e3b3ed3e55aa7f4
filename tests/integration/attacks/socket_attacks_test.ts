/**
 * Attacks by a process in the place of a front, with its whole rights: it speaks the protocol of the socket to the
 * process behind, chooses CB and the peer's address, and sends, repeats and leaves out what it likes.
 *
 * What such a process does to nodes is in `join_attacks_front_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { FrontProcess } from "../../../channel/testing/front_process.ts";
import { createNodeCsr } from "../../../certificate/csr.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { receiveHello } from "../../../init/exchange_server.ts";
import { Hellos } from "../../../init/hellos.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import {
  Evidence,
  InitClientMessage,
  InitServerMessage,
  JoinClientMessage,
  JoinServerMessage,
  Refusal,
} from "../../../proto/gen/bootstrapper.ts";
import type { SignedJoinRequest } from "../../../proto/gen/bootstrapper.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { encodeRequest } from "../../../protocol/join_request.ts";
import type { NodeKeys } from "../../../protocol/node_keys.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { sign, verify } from "../../../protocol/signature.ts";
import { helloStatement, joinA1, joinA2 } from "../../../protocol/transcript.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { JOIN_SERVICE_NUMBER } from "../../../service/front.ts";
import { InitWorld } from "../../exchanges/init_world.ts";
import { newNodeKeys, TestCluster } from "../../exchanges/join_world.ts";
import { assertUntouched, NODE_NAME } from "./join_attacks.ts";
import { attack } from "./stopped_by.ts";
import type { TestVariant, VariantMachine } from "./variants.ts";
import { variantTest } from "./variants.ts";

const INIT_SERVICE_NUMBER = 1;

/** An exchange of the attacker's own with the signer, up to the proposal. */
class Opened implements Disposable {
  private constructor(readonly front: FrontProcess, readonly a1: Bytes) {}

  static async open(cluster: TestCluster, binding: Bytes, clientNonce: Bytes): Promise<Opened> {
    const front = await FrontProcess.exchange(cluster.socket, { service: JOIN_SERVICE_NUMBER, binding });
    await front.frame("await");
    const hello: JoinClientMessage = { message: { $case: "hello", hello: { clientNonce } } };
    await front.say(JoinClientMessage.encode(hello).finish());
    const { bytes = new Uint8Array() } = await front.frame("message") ?? {};
    const { message } = JoinServerMessage.decode(bytes);
    if (message?.$case !== "proposal") return assert.fail("there is no proposal");
    const { proposal } = message;
    const { clusterId } = cluster;
    const lists = shownLists(proposal);
    return new Opened(
      front,
      await joinA1({ binding, clientNonce, serverNonce: proposal.serverNonce, clusterId, lists }),
    );
  }

  /** Sends a request, and returns the name of the signer's answer, or the code of its refusal. */
  async answer(request: SignedJoinRequest): Promise<string> {
    await this.front.frame("await");
    await this.front.say(JoinClientMessage.encode({ message: { $case: "request", request } }).finish());
    const answer = await this.front.frame("refused", "message");
    if (answer?.kind === "refused") return Refusal.decode(answer.refusal).code;
    return JoinServerMessage.decode(answer?.bytes ?? new Uint8Array()).message?.$case ?? "";
  }

  [Symbol.dispose](): void {
    this.front[Symbol.dispose]();
  }
}

/** The request that a node makes for A1, with its keys. */
async function requestFor(
  a1: Bytes,
  keys: Required<NodeKeys>,
  namesIdentity: boolean,
  evidence: (a2: Bytes) => Promise<Evidence>,
): Promise<SignedJoinRequest> {
  const request = encodeRequest({
    purpose: "join",
    nodeName: NODE_NAME,
    role: "worker",
    clientCsr: await createNodeCsr(keys.node, NODE_NAME),
    servingCsr: await createNodeCsr(keys.serving, NODE_NAME),
    identityKey: namesIdentity ? keys.identity.spki : new Uint8Array(),
    timeMs: BigInt(Date.now()),
    addresses: ["192.0.2.7"],
    kubeletVersion: "v1.36.3",
  });
  const statement = { nodeKey: keys.node.spki, sealingKey: keys.sealing.publicKey, request };
  const a2 = await joinA2(a1, statement);
  return {
    ...statement,
    evidence: await evidence(a2),
    signature: await sign(keys.node, "request", a2),
    identitySignature: namesIdentity ? await sign(keys.identity, "identity", a2) : new Uint8Array(),
  };
}

/** A cluster that trusts a machine, and that machine, which is honest and whose messages the front sees. */
async function withVictim(
  variant: TestVariant,
  use: (cluster: TestCluster, victim: VariantMachine) => Promise<void>,
): Promise<void> {
  await using victim = await variant.start();
  await using cluster = await TestCluster.create({ verifier: variant.verifierFor(victim) });
  await measureTrust(victim.issuer, cluster.trust);
  await use(cluster, victim);
}

await variantTest(
  attack("attack: a front asks for a ticket for keys of its own, over a node's evidence", joinA2, serveJoin),
  async (t, variant) => {
    await withVictim(variant, async (cluster, { issuer }) => {
      const names = issuer.identityIsKey === true;
      const [binding, clientNonce] = [randomBytes(32), randomBytes(32)];
      const keys = await newNodeKeys();
      const attacker = await newNodeKeys();
      await t.step("all keys are the attacker's", async () => {
        using opened = await Opened.open(cluster, binding, clientNonce);
        const honest = await requestFor(opened.a1, keys, names, (a2) => issuer.issue(a2));
        const own = await requestFor(
          opened.a1,
          attacker,
          names,
          () => Promise.resolve(Evidence.create(honest.evidence ?? {})),
        );
        assert.equal(await opened.answer(own), `refused/${variant.checks.statement}`);
        assertUntouched(cluster);
      });
      await t.step("the key to which the cluster's keys are sealed is the attacker's", async () => {
        using opened = await Opened.open(cluster, binding, clientNonce);
        const honest = await requestFor(opened.a1, keys, names, (a2) => issuer.issue(a2));
        const code = await opened.answer({ ...honest, sealingKey: attacker.sealing.publicKey });
        assert.equal(code, "refused/signature");
        assertUntouched(cluster);
      });
      await t.step("the CSRs are the attacker's", async () => {
        using opened = await Opened.open(cluster, binding, clientNonce);
        const honest = await requestFor(opened.a1, keys, names, (a2) => issuer.issue(a2));
        const own = await requestFor(
          opened.a1,
          attacker,
          names,
          () => Promise.resolve(Evidence.create(honest.evidence ?? {})),
        );
        assert.equal(await opened.answer({ ...honest, request: own.request }), "refused/signature");
        assertUntouched(cluster);
      });
    });
  },
);

await variantTest(
  attack("attack: a front repeats a node's request, with the binding of the node's own connection", verify, serveJoin),
  async (t, variant) => {
    await withVictim(variant, async (cluster, { issuer }) => {
      const names = issuer.identityIsKey === true;
      const [binding, clientNonce] = [randomBytes(32), randomBytes(32)];
      const keys = await newNodeKeys();
      using first = await Opened.open(cluster, binding, clientNonce);
      const honest = await requestFor(first.a1, keys, names, (a2) => issuer.issue(a2));
      await t.step("in another exchange of the same binding and nonce", async () => {
        using second = await Opened.open(cluster, binding, clientNonce);
        assert.equal(await second.answer(honest), "refused/signature");
      });
      await t.step("in an exchange for which it claims another binding", async () => {
        using second = await Opened.open(cluster, randomBytes(32), clientNonce);
        assert.equal(await second.answer(honest), "refused/signature");
      });
      assertUntouched(cluster);
    });
  },
);

Deno.test(
  attack("attack: a front says an operator's hello a second time, with its binding", receiveHello, Hellos),
  async () => {
    await using world = await InitWorld.start();
    const { keys } = world.operator;
    const [binding, clientNonce] = [randomBytes(32), randomBytes(32)];
    const signature = await sign(keys, "hello", await helloStatement(binding, clientNonce));
    const hello: InitClientMessage = {
      message: { $case: "hello", hello: { clientNonce, operatorKey: keys.spki, signature } },
    };
    const say = async () => {
      const front = await FrontProcess.exchange(world.socket, { service: INIT_SERVICE_NUMBER, binding });
      await front.frame("await");
      await front.say(InitClientMessage.encode(hello).finish());
      return front;
    };
    {
      using first = await say();
      const { bytes = new Uint8Array() } = await first.frame("message") ?? {};
      assert.equal(InitServerMessage.decode(bytes).message?.$case, "proposal");
    }
    using second = await say();
    assert.equal((await second.frame("refused"))?.text, "unauthorized/operator");
    assert.equal(world.issued, 1);
  },
);

Deno.test(attack("attack: a front makes an operator's hello for a stranger's key", receiveHello), async () => {
  await using world = await InitWorld.start();
  const stranger = await generateKeyPair("ed25519");
  const [binding, clientNonce] = [randomBytes(32), randomBytes(32)];
  const signature = await sign(stranger, "hello", await helloStatement(binding, clientNonce));
  using front = await FrontProcess.exchange(world.socket, { service: INIT_SERVICE_NUMBER, binding });
  await front.frame("await");
  const { spki: operatorKey } = world.operator.keys;
  await front.say(
    InitClientMessage.encode({ message: { $case: "hello", hello: { clientNonce, operatorKey, signature } } }).finish(),
  );
  assert.equal((await front.frame("refused"))?.text, "unauthorized/operator");
  assert.equal(world.issued, 0);
});
