/**
 * The attacks on attested TLS and its verifiers that others had, where no other test is that attack already:
 *
 * | attack | tests |
 * |---|---|
 * | replay | `replay:` in {init,join}_attacks_evidence_test.ts, `attack: replay` in init_attacks_request and join_attacks_connection |
 * | diversion | `diversion:` in {init,join}_attacks_evidence_test.ts |
 * | relay | `attack: relay` in {init,join}_attacks_connection_test.ts, and here with an extracted key (CVE-2026-33697) |
 * | reflection | `cross-protocol and reflection:` in {init,join}_attacks_evidence_test.ts, and here with the exporter's roles |
 * | evidence oracle | here; `attack: evidence oracle` in join_attacks_service_test.ts |
 * | verifier omission | here (CVE-2026-92702, CVE-2026-92701, options that are nil, DEBUG) |
 * | state that changes | here; `attack: state changes` in init_attacks_request_test.ts |
 * | costly evidence | here; `attack: costly evidence` in init_attacks_request_test.ts, join_attacks_service_test.ts |
 *
 * @module
 */
import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { FRESH } from "../../../attestation/evidence.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { appraise } from "../../../attestation/kinds/snp/appraisal.ts";
import { checkTdAttributes } from "../../../attestation/kinds/tdx/td_attributes.ts";
import { bindingOf, serverTlsOptions } from "../../../channel/finished.ts";
import type { Expectation } from "../../../attestation/evidence.ts";
import type { TrustPart } from "../../../protocol/transcript.ts";
import { proposeAndAuthorise } from "../../../init/exchange_server.ts";
import { InitServer } from "../../../init/init_server.ts";
import { checkProposal } from "../../../join/proposal.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import { channelBinding, extendedOnce, initA1, joinA1, lockDigest, trustDigest } from "../../../protocol/transcript.ts";
import { createThrowAwayCertificate } from "../../../certificate/throw_away.ts";
import { InitWorld, TestOperator } from "../../exchanges/init_world.ts";
import { TestCluster } from "../../exchanges/join_world.ts";
import { measureLock, measureTrust } from "../../../nodelock/measure.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, equalBytes, hex, randomBytes, sha256 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { connectTls, terminateTls } from "./attacks.ts";
import { honestly, initByHand, refusedByOperator } from "./init_attacks.ts";
import { assertUntouched, firstFailure, joinByHand, refusedByService, withHostileService } from "./join_attacks.ts";
import { assertThrownBy, attack } from "./stopped_by.ts";
import { NO_LISTS } from "./statements.ts";
import { startSnpMachine, startTdxMachine, VARIANTS, variantTest } from "./variants.ts";
import type { TestVariant, VariantMachine } from "./variants.ts";

const ZERO = new Uint8Array(32);
const TRUST = { clusterName: "demo", clusterId: new Uint8Array(), operatorKeys: [new Uint8Array(44)], ...TPM_SETTINGS };

/** The values that a verifier expects of a fresh machine with this measured trust part. */
async function expectation(measured: TrustPart = TRUST): Promise<Expectation> {
  return { trust: [await trustDigest(measured)], lock: [FRESH], identity: "1d".repeat(32) };
}

/** A TLS server with a key, and the server's end of its first connection. */
async function startTls(certificate: Awaited<ReturnType<typeof createThrowAwayCertificate>>) {
  const accepted = Promise.withResolvers<TLSSocket>();
  const listener = createServer(serverTlsOptions(certificate), (socket) => {
    socket.on("error", () => {});
    accepted.resolve(socket);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    accepted: accepted.promise,
    async [Symbol.asyncDispose]() {
      (await accepted.promise).destroy();
      listener.close();
    },
  };
}

/**
 * Asserts that evidence over one statement is refused where another is expected, and accepted where it is expected.
 */
async function refusedForStatement(
  variant: TestVariant,
  machine: VariantMachine,
  made: Bytes,
  wanted: Bytes,
): Promise<void> {
  const verifier = variant.verifierFor(machine);
  const expected = await expectation();
  const evidence = await machine.issuer.issue(made);
  await verifier.verify(evidence, made, expected);
  await assert.rejects(verifier.verify(evidence, wanted, expected), { code: `refused/${variant.checks.statement}` });
}

await variantTest(
  ({ stoppers }) =>
    attack(
      "attack: relay with an extracted TLS key (CVE-2026-33697, Intra-handshake.fail)",
      ...[bindingOf, stoppers.statement] as const,
    ),
  async (_t, variant) => {
    // The attacker has the key of the node's TLS certificate, terminates TLS with it, and forwards the verifier's
    // nonces to the node, whose evidence he relays. Verifiers that bind evidence to nonce and public key (Cocos up to
    // 0.8.2) are deceived, as both are the same on both connections. But CB comes from an exporter, and each connection
    // has its own.
    await using machine = await variant.start();
    await measureTrust(machine.issuer, TRUST);
    const certificate = await createThrowAwayCertificate();
    await using node = await startTls(certificate);
    await using middle = await terminateTls(node.port, certificate);
    const servername = `${hex(randomBytes(16))}.invalid`;
    const victim = await connectTls(middle.port, { servername });
    victim.on("error", () => {});
    const seen = await node.accepted;
    const publicKey = await sha256(victim.getPeerCertificate().raw);
    const own = await connectTls(node.port, { servername });
    assert.ok(equalBytes(publicKey, await sha256(own.getPeerCertificate().raw)), "the attack's own machinery");
    own.destroy();
    const nonces = { clientNonce: randomBytes(32), serverNonce: randomBytes(32) };
    const context = { ...nonces, operatorKey: randomBytes(44), clusterId: randomBytes(32), lists: NO_LISTS };
    const [made, wanted] = [await bindingOf(seen, "server"), await bindingOf(victim, "client")];
    for (const a1 of [initA1, joinA1]) {
      const [atNode, atVerifier] = [await a1({ ...context, binding: made }), await a1({ ...context, binding: wanted })];
      await refusedForStatement(variant, machine, atNode, atVerifier);
    }
    victim.destroy();
  },
);

await variantTest(
  ({ stoppers }) =>
    attack(
      "attack: reflection of an exporter that is the same on both sides (Fraunhofer cmc #406)",
      ...[channelBinding, stoppers.statement] as const,
    ),
  async (_t, variant) => {
    // An exporter gives both sides the same bytes. If each side proved itself over these bytes only, one side could
    // send back the other's proof. The client's value comes first in the binding, and each statement has a tag and a
    // key.
    await using machine = await variant.start();
    await measureTrust(machine.issuer, TRUST);
    await using node = await startTls(await createThrowAwayCertificate());
    const victim = await connectTls(node.port, {});
    const [binding, reflected] = [await bindingOf(victim, "client"), await bindingOf(victim, "server")];
    assert.deepEqual(await bindingOf(await node.accepted, "server"), binding);
    const nonce = randomBytes(32);
    const context = {
      clientNonce: nonce,
      serverNonce: nonce,
      operatorKey: randomBytes(44),
      clusterId: randomBytes(32),
      lists: NO_LISTS,
    };
    const init = await initA1({ ...context, binding });
    await refusedForStatement(variant, machine, await initA1({ ...context, binding: reflected }), init);
    await refusedForStatement(variant, machine, await joinA1({ ...context, binding }), init);
    victim.destroy();
  },
);

await variantTest("attack: evidence oracle, a peer has a machine sign what the peer chose", async (t, variant) => {
  // The report interface signs any 64 bytes. The program calls it with A1 and A2 only, which contain this side's own
  // nonce and only keys that were made inside the process.
  await using machine = await variant.start();
  const asked: Bytes[] = [];
  const issuer = {
    ...machine.issuer,
    issue: (statement: Uint8Array) => (asked.push(new Uint8Array(statement)), machine.issuer.issue(statement)),
  };
  await t.step(attack("an operator, who sends the same values again", proposeAndAuthorise, initA1), async () => {
    await using world = await InitWorld.start({ machine: issuer });
    for (let count = 0; count < 2; count++) {
      await initByHand(world, { message: (m) => ({ ...m, signature: randomBytes(64) }) }).catch(() => {});
    }
    assert.deepEqual(asked.map(({ length }) => length), [32, 32]);
    assert.notDeepEqual(asked[0], asked[1]);
    await assert.rejects(machine.issuer.issue(randomBytes(64)), BootstrapError);
  });
  await t.step(attack("a join service that is nobody's", checkProposal), async () => {
    // Refused before any evidence is made.
    asked.length = 0;
    await using cluster = await TestCluster.create();
    const gotRequest = await withHostileService(async ({ exchange }) => {
      const { caCertificate, certificate: serviceCertificate, foundings } = cluster.service.identity;
      const mine = { serverNonce: randomBytes(32), signature: randomBytes(64), successions: [], documents: [] };
      const proposal = { ...mine, caCertificate, serviceCertificate, foundings: [...foundings] };
      await exchange.send({
        message: { $case: "proposal", proposal: { ...proposal, caCertificate, serviceCertificate } },
      });
    }, async (port) => {
      const error = await firstFailure(port, cluster.trust, issuer);
      assert.equal(error.code, "refused/signature");
      assertThrownBy(error, checkProposal);
    });
    assert.ok(!gotRequest);
    assert.deepEqual(asked, []);
  });
});

await variantTest(
  ({ stoppers }) =>
    attack("attack: verifier omission, report data that nobody compares (CVE-2026-92702)", stoppers.verifier),
  async (t, variant) => {
    // A verifier whose expected report data is omitted, or nil, accepts any. A caller that expects nothing is a defect.
    await using machine = await variant.start();
    await measureTrust(machine.issuer, TRUST);
    const expected = await expectation();
    const verifier = variant.verifierFor(machine);
    const statement = randomBytes(32);
    const evidence = await machine.issuer.issue(statement);
    await verifier.verify(evidence, statement, expected);
    await t.step("no statement, one that is short, long, or padded", async () => {
      for (const wanted of [new Uint8Array(), statement.subarray(1), concat(statement, ZERO), new Uint8Array(64)]) {
        await assert.rejects(verifier.verify(evidence, wanted, expected), { code: "internal/expectation" });
      }
    });
    await t.step("no expectation", async () => {
      const short = [new Uint8Array(31)];
      const nothing: readonly Expectation[] = [
        { ...expected, trust: [] },
        { ...expected, trust: short },
        { ...expected, lock: [] },
        { ...expected, lock: short },
        { ...expected, identity: "" },
      ];
      for (const wanted of nothing) {
        await assert.rejects(verifier.verify(evidence, statement, wanted), { code: "internal/expectation" });
      }
    });
    await t.step("evidence over nothing", async () => {
      const empty = await machine.issuer.issue(ZERO);
      await assert.rejects(verifier.verify(empty, statement, expected), {
        code: `refused/${variant.checks.statement}`,
      });
    });
  },
);

await variantTest(
  ({ name }) =>
    attack(
      "attack: verifier omission, DEBUG that is looked at on demand only (go-tdx-guest, go-sev-guest)",
      name === "snp" ? appraise : checkTdAttributes,
    ),
  async (t, variant) => {
    // The host reads a debugged VM's memory, including its keys. go-tdx-guest checks the bit only with
    // `EnableTdDebugCheck`. No policy turns this check off.
    const [machine, code] = variant.name === "snp"
      ? [await startSnpMachine(), "refused/snp-debug"] as const
      : [startTdxMachine(), "refused/tdx-debug"] as const;
    const { issuer } = machine;
    const verifier = variant.verifierFor(machine);
    await using operator = await TestOperator.create();
    await using cluster = await TestCluster.create({ operator: operator.keys, clusterName: "demo", verifier });
    await measureTrust(issuer, cluster.trust);
    await verifier.verify(await issuer.issue(ZERO), ZERO, await expectation(cluster.trust));
    if ("fields" in machine) machine.fields[0x08] = Uint8Array.of(0, 0, 0x0b);
    else machine.lies.tdAttributes = (1n << 28n) | 1n;
    await t.step("a node that joins", async () => {
      await refusedByService(cluster, { issuer }, code);
    });
    await t.step("a node that is initialised", async () => {
      await refusedByOperator(operator, honestly(issuer), code, { verifier });
    });
  },
  [VARIANTS.snp, VARIANTS.tdx],
);

await variantTest(
  attack("attack: state changes between handshake and init, and evidence of before is shown", InitServer, measureLock),
  async (_t, variant) => {
    // The register shows the lock before any part of the cluster is made, and later evidence shows it too.
    await using machine = await variant.start();
    let shown: Bytes | undefined;
    await using world = await InitWorld.start({
      machine: machine.issuer,
      onFound: async () => void (shown = await machine.issuer.read(15)),
    });
    await world.found({ verifier: variant.verifierFor(machine) });
    const state = world.lock.state();
    assert.ok(state.name === "locked" && shown !== undefined);
    const digest = await lockDigest(state.lock.clusterId);
    const parts = machine.issuer.parts ?? [machine.issuer];
    const locked = await Promise.all(parts.map((part) => part.extended?.(15, digest) ?? extendedOnce(digest)));
    assert.deepEqual(shown, concat(...locked));
  },
  Object.values(VARIANTS).filter(({ checks }) => checks.lock !== undefined),
);

await variantTest(attack("attack: costly evidence, verified for anybody", serveJoin), async (_t, variant) => {
  // Evidence costs its maker up to a second, and its verifier milliseconds for signatures. A peer without K_c gets no
  // verification. FairQueue limits the others, and receiveHello() protects makers; these have their own tests.
  await using machine = await variant.start();
  const verifier = variant.verifierFor(machine);
  let verified = 0;
  await using cluster = await TestCluster.create({
    verifier: { ...verifier, verify: (...all) => (verified++, verifier.verify(...all)) },
  });
  await measureTrust(machine.issuer, cluster.trust);
  const { issuer } = machine;
  for (let count = 0; count < 4; count++) {
    const message = (m: Parameters<NonNullable<Parameters<typeof joinByHand>[1]>["message"] & object>[0]) => ({
      ...m,
      signature: randomBytes(64),
    });
    await refusedByService(cluster, { issuer, message }, "refused/signature");
  }
  const silent = await connectTls(cluster.port, {});
  silent.destroy();
  assert.equal(verified, 0);
  assertUntouched(cluster);
});
