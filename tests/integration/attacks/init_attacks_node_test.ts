/**
 * Attacks on the operator with a node's messages: a request for the founding that comes too early, and certificates at
 * the end that are not the operator's. Before the node is completely verified the operator signs only the hello. After
 * that it keeps and acknowledges nothing, and its record stays open.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createCertificateAuthority, issueAdminCertificate, issueServiceCertificate } from "../../../certificate/ca.ts";
import type { CertificateAuthority } from "../../../certificate/ca.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { checkAdminCertificate, checkCaCertificate } from "../../../certificate/chain.ts";
import { Exchange } from "../../../channel/exchange.ts";
import { errorOf } from "../../../channel/refusal.ts";
import type { InitOptions } from "../../../operator/init_client.ts";
import { checkInitResult } from "../../../operator/result.ts";
import { checkActivationAnswer } from "../../../protocol/activation.ts";
import { awaitResult, INIT_CLIENT_DEADLINES, verifyNode } from "../../../operator/exchange_client.ts";
import { TestOperator, trustIn } from "../../exchanges/init_world.ts";
import { ShownMachine } from "../../exchanges/init_machine.ts";
import { measureTrust } from "../../../nodelock/measure.ts";
import { copyOf, randomBytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { InitRequest, InitResult } from "../../../proto/gen/bootstrapper.ts";
import type { InitServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { PATIENCE_MS, startTpmMachine, swtpmTest, verifierFor } from "./attacks.ts";
import type { HostileAuthority, NodeSession, Script } from "./init_attacks.ts";
import {
  honestly,
  playNode,
  reasonOf,
  refusedByOperator,
  resultFor,
  signedResult,
  startHostileNode,
} from "./init_attacks.ts";
import type { Stopper } from "./stopped_by.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";

const progress = (number: number): InitServerMessage => ({
  message: {
    $case: "progress",
    progress: { number, phase: "preflight", state: "started", detail: "", timeMs: 0n, durationMs: 0n },
  },
});

const emptyResult: InitResult = {
  ...{ adminCertificate: new Uint8Array(), caCertificate: new Uint8Array() },
  ...{ apiEndpoints: [], joinEndpoints: [], nodeName: "" },
};

await swtpmTest("attack: a node asks for the founding before it has answered the activation", async (t) => {
  // Its evidence is another machine's, or forged, so the node cannot answer the challenge and continues as if it had.
  // Only an answer to the challenge is accepted before the request is made.
  await using machine = await startTpmMachine();
  await using operator = await TestOperator.create();
  await measureTrust(machine.issuer, trustIn(operator.keys));
  const verifier = verifierFor(machine);
  const send = async ({ exchange }: NodeSession, ...messages: readonly InitServerMessage[]) => {
    for (const message of messages) await exchange.send(message).catch(() => {});
  };
  const result: InitServerMessage = {
    message: { $case: "result", result: { result: new Uint8Array(), signature: randomBytes(64) } },
  };
  const answer: InitServerMessage = { message: { $case: "activation", activation: { hmac: randomBytes(32) } } };
  const propose: Script = (session, hello, received) =>
    playNode(session, hello, { evidence: (a1) => machine.issuer.issue(a1) }, received);
  const attacks: readonly (readonly [name: string, stoppedBy: Stopper, script: Script, code: string])[] = [
    ["by progress instead of the proposal", Exchange, (session) => send(session, progress(1)), "protocol/order"],
    ["by a result instead of the proposal", Exchange, (session) => send(session, result), "protocol/order"],
    ["by an answer to no challenge", Exchange, (session) => send(session, answer), "protocol/order"],
    ["by an empty message", Exchange, (session) => send(session, { message: undefined }), "protocol/order"],
    [
      "by progress instead of the answer",
      Exchange,
      async (session, hello, received) => {
        await propose(session, hello, received);
        await send(session, progress(1), progress(2));
      },
      "protocol/order",
    ],
    [
      "by a second proposal instead of the answer",
      Exchange,
      async (session, hello, received) => {
        await propose(session, hello, received);
        await propose(session, hello, received);
      },
      "protocol/order",
    ],
    [
      "by an answer that is there before the challenge",
      checkActivationAnswer,
      async (session, hello, received) => {
        await propose(session, hello, received);
        await send(session, answer, progress(1));
      },
      "refused/activation",
    ],
    [
      "by an empty answer",
      checkActivationAnswer,
      async (session, hello, received) => {
        await propose(session, hello, received);
        await send(session, { message: { $case: "activation", activation: { hmac: new Uint8Array() } } });
      },
      "refused/activation",
    ],
  ];
  for (const [name, stoppedBy, script, code] of attacks) {
    await t.step(attack(name, stoppedBy), async () => {
      await refusedByOperator(operator, script, code, { verifier });
    });
  }
});

Deno.test(attack("attack: a proposal whose values are of other lengths", verifyNode), async (t) => {
  // LP() would bind values of any length; short nonces would allow replay.
  await using operator = await TestOperator.create();
  const evidence = { variant: "tpm", payload: new Uint8Array(129) };
  for (
    const changes of [{ serverNonce: new Uint8Array() }, { clusterId: new Uint8Array(31) }, {
      clusterId: randomBytes(33),
    }]
  ) {
    const [field = "", value = new Uint8Array()] = Object.entries(changes)[0] ?? [];
    await t.step(`${field} of ${value.length} bytes`, async () => {
      const proposal = { serverNonce: randomBytes(32), clusterId: randomBytes(32), evidence, ...changes };
      const error = await refusedByOperator(
        operator,
        ({ exchange }) => exchange.send({ message: { $case: "proposal", proposal } }),
        "malformed/proposal",
      );
      assertThrownBy(error, verifyNode);
    });
  }
});

/**
 * Has an operator found a cluster on a node that is honest up to its request, and then sends the given messages.
 * Asserts that the operator refuses, and records nothing as done.
 */
async function refusedAtTheEnd(
  end: (
    authority: HostileAuthority,
    adminKey: Uint8Array,
    request: Uint8Array,
  ) => Promise<readonly InitServerMessage[]>,
  code: string,
  stoppedBy: Stopper,
  changes: Partial<InitOptions> = {},
): Promise<void> {
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  await measureTrust(machine, trustIn(operator.keys));
  const node = await startHostileNode(async (session, hello, received) => {
    const authority = await playNode(session, hello, honestly(machine), received);
    const signed = await session.exchange.receive("request", PATIENCE_MS);
    received.push("request");
    const { adminKey } = InitRequest.decode(signed.request);
    for (const message of await end(authority, adminKey, signed.request)) {
      await session.exchange.send(message).catch(() => {});
    }
  });
  const found = operator.found(node.endpoint, changes);
  const error = await found.then(() => assert.fail("the operator was taken in"), reasonOf);
  await node[Symbol.asyncDispose]();
  assert.equal(error.code, code, error.message);
  assertThrownBy(error, stoppedBy);
  assert.equal(error.details["saidBy"], undefined);
  assert.deepEqual(node.received, ["challenge", "request"], "the operator acknowledged");
  assert.deepEqual(operator.kept, []);
  // The founding has left the operator's machine, so the name stays taken, and the record does not say that the cluster
  // is founded.
  assert.equal((await operator.record())?.state, "pending");
}

Deno.test("attack: certificates at the end that are not the operator's, or of another cluster", async (t) => {
  const other = await createCertificateAuthority(new Date());
  const { spki: otherKey } = await generateKeyPair("p-256");
  type Change = (honest: InitResult, authority: CertificateAuthority, adminKey: Uint8Array) => Promise<InitResult>;
  const attacks: readonly (readonly [name: string, stoppedBy: Stopper, change: Change, code: string])[] = [
    [
      "a CA that does not hash to the cluster ID, with a certificate under it",
      checkCaCertificate,
      (_honest, _authority, adminKey) => resultFor(other, adminKey),
      "refused/ca-cluster-id",
    ],
    [
      "the CA's certificate, altered",
      checkCaCertificate,
      (honest) => {
        const der = honest.caCertificate;
        return Promise.resolve({ ...honest, caCertificate: der.with(-5, (der.at(-5) ?? 0) ^ 1) });
      },
      "refused/certificate-signature",
    ],
    [
      "an admin certificate for another key",
      checkAdminCertificate,
      async (honest, authority) => ({
        ...honest,
        adminCertificate: (await issueAdminCertificate(authority, otherKey, new Date())).der,
      }),
      "refused/certificate-key",
    ],
    [
      "an admin certificate under another CA of the same name",
      checkAdminCertificate,
      async (honest, _authority, adminKey) => ({
        ...honest,
        adminCertificate: (await issueAdminCertificate(other, adminKey, new Date())).der,
      }),
      "refused/certificate-signature",
    ],
    [
      "a certificate of another subject",
      checkAdminCertificate,
      async (honest, authority, adminKey) => ({
        ...honest,
        adminCertificate: (await issueServiceCertificate(authority, "n1", adminKey, new Date())).der,
      }),
      "refused/certificate-subject",
    ],
    ["no certificates", checkCaCertificate, () => Promise.resolve(emptyResult), "malformed/der"],
    [
      "no endpoint",
      checkInitResult,
      (honest) => Promise.resolve({ ...honest, apiEndpoints: [] }),
      "malformed/init-result",
    ],
    [
      "an endpoint that would break out of a kubeconfig",
      checkInitResult,
      (honest) => Promise.resolve({ ...honest, apiEndpoints: ["a:6443\nusers: []"] }),
      "malformed/init-result",
    ],
  ];
  for (const [name, stoppedBy, change, code] of attacks) {
    await t.step(attack(name, stoppedBy), () =>
      refusedAtTheEnd(
        async (authority, adminKey, request) => {
          const result = await change(await resultFor(authority, adminKey), authority, adminKey);
          return [progress(1), await signedResult(result, authority, request)];
        },
        code,
        checkInitResult,
      ));
  }
});

Deno.test(attack("attack: a result that the CA did not sign for this exchange", checkInitResult), async (t) => {
  // The result names where the operator finds the API server and the join services. A front that passes it on must not
  // be able to change that.
  const rows: Readonly<
    Record<
      string,
      (authority: HostileAuthority, request: Uint8Array, adminKey: Uint8Array) => Promise<InitServerMessage>
    >
  > = {
    "another endpoint, after it was signed": async (authority, request, adminKey) => {
      const honest = await resultFor(authority, adminKey);
      const { message } = await signedResult(honest, authority, request);
      assert.ok(message?.$case === "result");
      const result = copyOf(InitResult.encode({ ...honest, apiEndpoints: ["192.0.2.66:6443"] }).finish());
      return { message: { $case: "result", result: { ...message.result, result } } };
    },
    "of another connection": async (authority, request, adminKey) =>
      await signedResult(await resultFor(authority, adminKey), { ...authority, a1: randomBytes(32) }, request),
    "of another request": async (authority, _request, adminKey) =>
      await signedResult(await resultFor(authority, adminKey), authority, randomBytes(100)),
    "signed by another key": async (authority, request, adminKey) =>
      await signedResult(await resultFor(authority, adminKey), {
        ...authority,
        keys: await generateKeyPair("p-256"),
      }, request),
    "without a signature": async (authority, request, adminKey) => {
      const { message } = await signedResult(await resultFor(authority, adminKey), authority, request);
      assert.ok(message?.$case === "result");
      return { message: { $case: "result", result: { ...message.result, signature: new Uint8Array() } } };
    },
  };
  for (const [name, end] of Object.entries(rows)) {
    await t.step(name, () =>
      refusedAtTheEnd(
        async (authority, adminKey, request) => [progress(1), await end(authority, request, adminKey)],
        "refused/signature",
        checkInitResult,
      ));
  }
});

Deno.test(attack("attack: progress that was cut, repeated or reordered", awaitResult), async (t) => {
  // Each event has the number after that of the previous one.
  for (const numbers of [[2], [0], [1, 1], [1, 3], [1, 2, 1]]) {
    await t.step(
      numbers.join(", "),
      () => refusedAtTheEnd(() => Promise.resolve(numbers.map(progress)), "protocol/progress", awaitResult),
    );
  }
});

Deno.test(attack("attack: a node stalls after it got the founding", awaitResult), async () => {
  const deadlines = { ...INIT_CLIENT_DEADLINES, progressMs: 200 };
  await refusedAtTheEnd(() => Promise.resolve([]), "timeout/peer", awaitResult, { deadlines, patienceMs: 0 });
});

Deno.test(attack("attack: a node that begins anew after it got the founding", awaitResult), async () => {
  // Only progress and a result are accepted now.
  const again: InitServerMessage = { message: { $case: "activation", activation: { hmac: randomBytes(32) } } };
  await refusedAtTheEnd(() => Promise.resolve([progress(1), again]), "protocol/order", awaitResult);
});

const steeringWords = attack(
  "attack: a node refuses with words that would steer a terminal, or a code that is none",
  errorOf,
);
Deno.test(steeringWords, async () => {
  // The error text has no control characters, its code must be one of this program's, and it is marked as the peer's
  // text.
  await using operator = await TestOperator.create();
  const cases = [["refused/pcr-4", "refused/pcr-4"], ["constructor/x", "unavailable/connection"]] as const;
  for (const [code, expected] of cases) {
    await using node = await startHostileNode(({ trustPeer }) => {
      trustPeer();
      const said = "\u001b[2Jall is well\u202e\n";
      return Promise.reject(
        new BootstrapError(code as "refused/pcr-4", said, { next: said, details: { identity: said } }),
      );
    });
    const found = operator.found(node.endpoint, { patienceMs: 0 });
    const error = await found.then(() => assert.fail("it went on"), reasonOf);
    assert.equal(error.code, expected);
    const text = `${error.message}${error.next}${Object.values(error.details).join()}`;
    assert.ok(!/[\p{Cc}\p{Cf}]/u.test(text), JSON.stringify(text));
    assert.equal(await operator.record(), undefined);
  }
  assert.equal(operator.signatures, cases.length);
});
