/** Tests a TPM's evidence end to end, with a real software TPM. */
import assert from "node:assert/strict";
import { createPolicyText, createSoftwareMachine, errorOf, flipped } from "./_tpm.ts";
import { encodeCommand, readResponse } from "../../../attestation/kinds/tpm/command.ts";
import { ALGORITHM, COMMAND, HANDLE, QUOTED_PCRS } from "../../../attestation/kinds/tpm/constants.ts";
import { checkCounters } from "../../../attestation/kinds/tpm/testing/counters.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { makeCredential } from "../../../attestation/kinds/tpm/make_credential.ts";
import { decodePayload, encodePayload } from "../../../attestation/kinds/tpm/payload.ts";
import { nameOf, readPublicArea, spkiOf } from "../../../attestation/kinds/tpm/public_area.ts";
import {
  ATTESTATION_KEY_PUBLIC,
  EK_PROFILES,
  EK_TYPES,
  type EkType,
} from "../../../attestation/kinds/tpm/templates.ts";
import { Tpm } from "../../../attestation/kinds/tpm/tpm.ts";
import {
  createEkAuthority,
  EK_USAGE,
  KEY_ENCIPHERMENT,
  TPM_ATTRIBUTES,
  TPM_NAMES,
} from "../../../attestation/kinds/tpm/testing/ek_authority.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { tpmWriter } from "../../../attestation/kinds/tpm/wire.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import type { TpmTransport } from "../../../attestation/kinds/tpm/transport.ts";
import { TpmTransportError } from "../../../attestation/kinds/tpm/transport.ts";
import type { Evidence, Expectation, VerifiedEvidence } from "../../../attestation/evidence.ts";
import { AS_SHOWN, FRESH, NO_IDENTITY } from "../../../attestation/evidence.ts";
import { NO_COLLATERAL } from "../../../attestation/collateral.ts";
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { createExplainingVerifier } from "../../../attestation/policy/policy_verifier.ts";
import { measureLock } from "../../../nodelock/measure.ts";
import { extendedOnce, lockDigest } from "../../../protocol/transcript.ts";
import { concat, equalBytes, fromHex, hex, isZero, randomBytes, sha256 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { hasSwtpm, startSwtpm, type Swtpm } from "../../swtpm.ts";

/** TPM 2.0 Part 2: TPM_CC, and TPMA_NV of an index that its owner writes and its own password reads. */
const NV_DEFINE_SPACE = 0x12a;
const NV_WRITE = 0x137;
const NV_ATTRIBUTES = 0x02060006;
/** TPMA_NV of an index that only its owner reads and writes. */
const NV_OF_THE_OWNER = 0x02020002;
const NV_CHUNK_BYTES = 512;

const isThere = await hasSwtpm();
const certified: readonly EkType[] = ["rsa2048", "ecc-p384"];

function swtpmTest(name: string, run: () => Promise<void>): void {
  Deno.test({
    name: isThere ? name : `${name} -- IGNORED: swtpm and swtpm-tools are not installed`,
    ignore: !isThere,
    fn: run,
  });
}

async function withTpm(tpm: Swtpm, run: (transport: TpmTransport) => Promise<void>): Promise<void> {
  const transport = await tpm.connect();
  try {
    await run(transport);
  } finally {
    transport.close();
  }
}

function verify(
  evidence: Evidence,
  statement: Uint8Array,
  policy: string,
  expectation: Expectation | typeof AS_SHOWN = AS_SHOWN,
): Promise<VerifiedEvidence> {
  const context = { collateral: NO_COLLATERAL, now: systemClock.now };
  const verifier = createExplainingVerifier(readPolicy(policy, "the test's policy"), "node", context);
  return verifier.verify(evidence, statement, expectation);
}

async function identityIn(evidence: Evidence): Promise<string> {
  const { endorsementKey } = decodePayload(evidence.payload);
  return hex(await sha256(spkiOf(readPublicArea(endorsementKey, "endorsement key").key)));
}

for (const ekType of certified) {
  swtpmTest(
    `a TPM's evidence is verified by its certificate's authority and its challenge answered: ${ekType}`,
    async () => {
      await using tpm = await startSwtpm({ vmId: "machine-1" });
      await withTpm(tpm, async (transport) => {
        const issuer = createTpmIssuer(transport, ekType);
        const statement = randomBytes(32);
        const evidence = await issuer.issue(statement);
        const policy = createPolicyText(ekType, { issuerPem: tpm.issuerPem, commonName: "machine-1" });
        const { claims, challenge } = await verify(evidence, statement, policy);
        assert.equal(claims.identity, await identityIn(evidence));
        assert.ok(claims.fresh);
        assert.ok(challenge !== undefined);
        assert.ok(equalBytes(await issuer.activate(challenge.message), challenge.secret));

        const other = createPolicyText(ekType, { issuerPem: tpm.issuerPem, commonName: "machine-2" });
        assert.equal((await errorOf(() => verify(evidence, statement, other))).code, "refused/ek-attributes");
        const otherType = createPolicyText(ekType === "rsa2048" ? "ecc-p384" : "rsa2048", {
          identity: claims.identity,
        });
        assert.equal((await errorOf(() => verify(evidence, statement, otherType))).code, "refused/ek-type");
        assert.equal((await errorOf(() => verify(evidence, randomBytes(32), policy))).code, "refused/statement");
      });
    },
  );

  swtpmTest(`no byte of a TPM's evidence can be flipped, its certificate included: ${ekType}`, async () => {
    await using tpm = await startSwtpm({ vmId: "machine-1" });
    await withTpm(tpm, async (transport) => {
      const statement = randomBytes(32);
      const { payload } = await createTpmIssuer(transport, ekType).issue(statement);
      const policy = createPolicyText(ekType, { issuerPem: tpm.issuerPem, commonName: "machine-1" });
      for (let index = 0; index < payload.length; index++) {
        const { code } = await errorOf(() =>
          verify({ variant: "tpm", payload: flipped(payload, index) }, statement, policy)
        );
        assert.match(code, /^(refused|malformed)\//, `byte ${index}`);
      }
    });
  });
}

/** Writes an NV index as a manufacturer does. */
async function writeNv(
  transport: TpmTransport,
  index: number,
  content: Uint8Array,
  attributes = NV_ATTRIBUTES,
): Promise<void> {
  const run = async (name: string, code: number, handles: readonly number[], parameters: Uint8Array) => {
    const command = { name, code, handles, sessions: [HANDLE.password], parameters };
    readResponse(await transport.transmit(encodeCommand(command)), command);
  };
  const area = tpmWriter().u32(index).u16(ALGORITHM.sha256).u32(attributes).sized16(new Uint8Array())
    .u16(content.length).done();
  const defined = tpmWriter().sized16(new Uint8Array()).sized16(area).done();
  await run("NV_DefineSpace", NV_DEFINE_SPACE, [HANDLE.owner], defined);
  for (let offset = 0; offset < content.length; offset += NV_CHUNK_BYTES) {
    const chunk = content.subarray(offset, offset + NV_CHUNK_BYTES);
    const writer = attributes === NV_ATTRIBUTES ? index : HANDLE.owner;
    await run("NV_Write", NV_WRITE, [writer, index], tpmWriter().sized16(chunk).u16(offset).done());
  }
}

swtpmTest("a TPM whose NV memory cannot be read makes evidence all the same", async () => {
  await using tpm = await startSwtpm({ bare: true });
  await withTpm(tpm, async (transport) => {
    await writeNv(transport, 0x01c00002, new Uint8Array(8), NV_OF_THE_OWNER);
    await writeNv(transport, 0x01c00016, new Uint8Array(0));
    const statement = randomBytes(32);
    for (const ekType of ["rsa2048", "ecc-p384"] as const) {
      const evidence = await createTpmIssuer(transport, ekType).issue(statement);
      assert.equal(decodePayload(evidence.payload).certificate.length, 0);
      const identity = await identityIn(evidence);
      await verify(evidence, statement, createPolicyText(ekType, { identity }));
    }
  });
});

swtpmTest("a TPM shows the authorities that it stores, and its certificate without what is around it", async () => {
  await using tpm = await startSwtpm({ bare: true });
  await withTpm(tpm, async (transport) => {
    const statement = randomBytes(32);
    const bare = decodePayload((await createTpmIssuer(transport, "rsa2048").issue(statement)).payload);
    assert.deepEqual([bare.certificate.length, bare.chain], [0, undefined]);
    const root = createEkAuthority("root");
    const [rom, kernel] = [root.below("ROM CA"), root.below("ROM CA").below("Kernel CA")];
    const ptt = rom.below("PTT CA");
    const spki = spkiOf(readPublicArea(bare.endorsementKey, "endorsement key").key);
    const certificate = ptt.issue({ spki, extensions: [TPM_NAMES, KEY_ENCIPHERMENT, EK_USAGE] });
    const stored = concat(Uint8Array.of(0x04, 0x82, certificate.length >> 8, certificate.length & 0xff), certificate);
    await writeNv(transport, 0x01c00002, concat(stored, new Uint8Array(64)));
    const chain = concat(ptt.certificate, kernel.certificate, rom.certificate);
    await writeNv(transport, 0x01c00100, chain.subarray(0, 700));
    await writeNv(transport, 0x01c00101, concat(chain.subarray(700), new Uint8Array(20)));
    const evidence = await createTpmIssuer(transport, "rsa2048").issue(statement);
    const shown = decodePayload(evidence.payload);
    assert.deepEqual(shown.certificate, certificate);
    assert.deepEqual(shown.chain, [ptt, kernel, rom].map((one) => one.certificate));
    const section = {
      ekType: "rsa2048",
      pcrs: new Map([[4, [new Uint8Array(32)]]]),
      trust: {
        identities: new Set<string>(),
        issuers: [{
          certificate: readCertificate(root.certificate, "root", "vendor"),
          attributes: TPM_ATTRIBUTES,
        }],
      },
    } as const;
    await createTpmVerifier(section, systemClock.now).verify(evidence, statement, AS_SHOWN);
  });
});

for (const ekType of EK_TYPES) {
  swtpmTest(
    `a TPM without certificates makes its EK by the template and is verified by its identity: ${ekType}`,
    async () => {
      await using tpm = await startSwtpm({ bare: true });
      await withTpm(tpm, async (transport) => {
        const issuer = createTpmIssuer(transport, ekType);
        const statement = randomBytes(32);
        const evidence = await issuer.issue(statement);
        const identity = await identityIn(evidence);
        const { claims, challenge } = await verify(evidence, statement, createPolicyText(ekType, { identity }));
        assert.equal(claims.identity, identity);
        assert.ok(challenge !== undefined);
        assert.ok(equalBytes(await issuer.activate(challenge.message), challenge.secret));
        const stranger = createPolicyText(ekType, { identity: hex(randomBytes(32)) });
        assert.equal((await errorOf(() => verify(evidence, statement, stranger))).code, "refused/ek-identity");
      });
    },
  );
}

swtpmTest("the EK made by the template is the one that the manufacturer left in the TPM", async () => {
  await using tpm = await startSwtpm();
  await withTpm(tpm, async (transport) => {
    const direct = new Tpm(transport, systemClock);
    for (const ekType of certified) {
      const { persistentHandle, publicArea } = EK_PROFILES[ekType];
      assert.ok(persistentHandle !== undefined);
      const made = await direct.createPrimary(HANDLE.endorsement, publicArea);
      await direct.flushContext(made.handle);
      assert.ok(equalBytes(made.publicArea, await direct.readPublic(persistentHandle)));
    }
  });
});

swtpmTest("registers show what was extended until a reboot, and the counters show the reboot", async () => {
  await using tpm = await startSwtpm();
  const [trust, lock, statement] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  const fresh: Expectation = { trust: [trust], lock: [FRESH], identity: NO_IDENTITY };
  const locked = { ...fresh, lock: [lock] };
  let identity = "";
  let before: VerifiedEvidence | undefined;
  await withTpm(tpm, async (transport) => {
    const issuer = createTpmIssuer(transport, "rsa2048");
    assert.ok(isZero(await issuer.read(15)));
    await issuer.extend(12, trust);
    const first = await issuer.issue(statement);
    identity = await identityIn(first);
    const policy = createPolicyText("rsa2048", { identity });
    before = await verify(first, statement, policy, fresh);
    await issuer.extend(15, lock);
    assert.ok(equalBytes(await issuer.read(15), await extendedOnce(lock)));
    const evidence = await issuer.issue(statement);
    assert.equal((await errorOf(() => verify(evidence, statement, policy, fresh))).code, "refused/pcr-15");
    const now = await verify(evidence, statement, policy, locked);
    assert.equal(now.claims.fresh, false);
    assert.equal(checkCounters(before.claims, now.claims), "same-run");
    const other = { ...locked, trust: [lock] };
    assert.equal((await errorOf(() => verify(evidence, statement, policy, other))).code, "refused/pcr-12");
    await issuer.extend(12, lock);
    const twice = await issuer.issue(statement);
    assert.equal((await errorOf(() => verify(twice, statement, policy, locked))).code, "refused/pcr-12");
    await issuer.extend(4, lock);
    const changed = await issuer.issue(statement);
    assert.equal((await errorOf(() => verify(changed, statement, policy))).code, "refused/pcr-4");
  });
  await tpm.restart();
  await withTpm(tpm, async (transport) => {
    const issuer = createTpmIssuer(transport, "rsa2048");
    const after = await verify(await issuer.issue(statement), statement, createPolicyText("rsa2048", { identity }));
    assert.ok(before !== undefined);
    assert.equal(checkCounters(before.claims, after.claims), "later-run");
    assert.equal(
      (await errorOf(() => checkCounters(after.claims, before?.claims ?? after.claims))).code,
      "refused/reset-count",
    );
  });
});

swtpmTest("activation by another TPM: a challenge is opened by the TPM that it is for and by no other", async () => {
  await using one = await startSwtpm({ bare: true });
  await using other = await startSwtpm({ bare: true });
  await withTpm(one, (first) =>
    withTpm(other, async (second) => {
      for (const ekType of EK_TYPES) {
        const statement = randomBytes(32);
        const evidence = await createTpmIssuer(first, ekType).issue(statement);
        const policy = createPolicyText(ekType, { identity: await identityIn(evidence) });
        const { challenge } = await verify(evidence, statement, policy);
        assert.ok(challenge !== undefined);
        assert.equal(
          (await errorOf(() => createTpmIssuer(second, ekType).activate(challenge.message))).code,
          "refused/tpm-value",
        );
      }
    }));
});

swtpmTest("software AK with a real EK: its evidence is verified, and the TPM does not open its challenge", async () => {
  await using tpm = await startSwtpm({ vmId: "victim" });
  await withTpm(tpm, async (transport) => {
    for (const ekType of certified) {
      const issuer = createTpmIssuer(transport, ekType);
      const statement = randomBytes(32);
      const { endorsementKey, certificate } = decodePayload((await issuer.issue(statement)).payload);
      const machine = await createSoftwareMachine(ekType);
      const pcrs = QUOTED_PCRS.map(() => new Uint8Array(32));
      const evidence = await machine.issue(statement, pcrs, { endorsementKey, certificate });
      const policy = createPolicyText(ekType, { issuerPem: tpm.issuerPem, commonName: "victim" });
      const { challenge } = await verify(evidence, statement, policy);
      assert.ok(challenge !== undefined);
      assert.equal((await errorOf(() => issuer.activate(challenge.message))).code, "refused/tpm-value");
    }
  });
});

/** More power cuts than swtpm accepts before it assumes an attack. */
const POWER_CUTS = 6;

swtpmTest("any number of power cuts in a row does not lock the attestation key", async () => {
  await using tpm = await startSwtpm({ bare: true });
  for (let cuts = 0; cuts <= POWER_CUTS; cuts++) {
    await withTpm(tpm, async (transport) => {
      const issuer = createTpmIssuer(transport, "rsa2048");
      const statement = randomBytes(32);
      const evidence = await issuer.issue(statement);
      const policy = createPolicyText("rsa2048", { identity: await identityIn(evidence) });
      const { challenge } = await verify(evidence, statement, policy);
      assert.ok(challenge !== undefined);
      await issuer.activate(challenge.message);
    });
    await tpm.restart();
  }
});

swtpmTest("unrestricted key, or a key of another hierarchy: its quotes are refused", async () => {
  await using tpm = await startSwtpm({ bare: true });
  await withTpm(tpm, async (transport) => {
    const direct = new Tpm(transport, systemClock);
    const statement = randomBytes(32);
    const genuine = await createTpmIssuer(transport, "rsa2048").issue(statement);
    const policy = createPolicyText("rsa2048", { identity: await identityIn(genuine) });
    const unrestricted = fromHex(hex(ATTESTATION_KEY_PUBLIC).replace("00050472", "00040472"), "template");
    const cases = [
      ["refused/ak-attributes", HANDLE.endorsement, unrestricted],
      ["refused/qualified-signer", HANDLE.owner, ATTESTATION_KEY_PUBLIC],
    ] as const;
    for (const [code, hierarchy, template] of cases) {
      const { handle, publicArea } = await direct.createPrimary(hierarchy, template);
      const quote = await direct.quote(handle, statement, QUOTED_PCRS);
      await direct.flushContext(handle);
      const payload = encodePayload({ ...decodePayload(genuine.payload), attestationKey: publicArea, ...quote });
      assert.equal((await errorOf(() => verify({ variant: "tpm", payload }, statement, policy))).code, code);
    }
  });
});

swtpmTest(
  "issue() quotes again when a PCR changes between reading and quoting, and gives up when it always does",
  async () => {
    await using tpm = await startSwtpm({ bare: true });
    await withTpm(tpm, async (transport) => {
      const direct = new Tpm(transport, systemClock);
      let changes = 0;
      const disturbed = (wanted: number): TpmTransport => ({
        ...transport,
        async transmit(command) {
          const code = new DataView(command.slice().buffer).getUint32(6);
          if (code === COMMAND.quote && changes < wanted) {
            changes++;
            await direct.pcrExtend(8, randomBytes(32));
          }
          return await transport.transmit(command);
        },
      });
      const statement = randomBytes(32);
      const evidence = await createTpmIssuer(disturbed(3), "rsa2048").issue(statement);
      await verify(evidence, statement, createPolicyText("rsa2048", { identity: await identityIn(evidence) }));
      assert.equal(changes, 3);
      changes = 0;
      const error = await errorOf(() => createTpmIssuer(disturbed(100), "rsa2048").issue(statement));
      assert.equal(error.code, "unavailable/tpm-pcrs");
      assert.equal(changes, 8);
    });
  },
);

swtpmTest("no object or session is left in the TPM after failures and many concurrent requests", async () => {
  await using tpm = await startSwtpm({ bare: true });
  await withTpm(tpm, async (transport) => {
    const issuer = createTpmIssuer(transport, "rsa2048");
    const statement = randomBytes(32);
    const { attestationKey, endorsementKey } = decodePayload((await issuer.issue(statement)).payload);
    const { key } = readPublicArea(endorsementKey, "endorsement key");
    const good = await makeCredential(key, EK_PROFILES.rsa2048, await nameOf(attestationKey));
    const bad = await makeCredential(key, EK_PROFILES.rsa2048, new Uint8Array(34));
    // More than the number of slots that the TPM has for sessions (64) or keys (3).
    for (let i = 0; i < 70; i++) {
      assert.equal((await errorOf(() => issuer.activate(bad.message))).code, "refused/tpm-value");
    }
    const trailing = { ...good.message, credentialBlob: new Uint8Array([...good.message.credentialBlob, 0]) };
    assert.equal((await errorOf(() => issuer.activate(trailing))).code, "malformed/tpm");
    assert.equal((await errorOf(() => issuer.issue(new Uint8Array(31)))).code, "internal/statement");
    const [secrets, issued, values] = await Promise.all([
      Promise.all(Array.from({ length: 5 }, () => issuer.activate(good.message))),
      Promise.all(Array.from({ length: 5 }, () => issuer.issue(statement))),
      Promise.all(QUOTED_PCRS.map((index) => issuer.read(index))),
    ]);
    for (const secret of secrets) assert.ok(equalBytes(secret, good.secret));
    assert.equal(issued.length, 5);
    assert.ok(values.every(isZero));
  });
});

swtpmTest("a TPM that falls silent ends the call in time, and is not asked again by the same process", async () => {
  await using tpm = await startSwtpm({ bare: true });
  await withTpm(tpm, async (transport) => {
    const impatient: TpmTransport = { ...transport, transmit: (command) => transport.transmit(command, 500) };
    const issuer = createTpmIssuer(impatient, "rsa2048");
    assert.ok(isZero(await issuer.read(15)));
    tpm.freeze(true);
    const begunMs = systemClock.monotonicMs();
    assert.equal((await errorOf(() => issuer.issue(randomBytes(32)))).code, "system/tpm-silent");
    assert.ok(systemClock.monotonicMs() - begunMs < 20_000);
    tpm.freeze(false);
    assert.equal((await errorOf(() => issuer.read(15))).code, "system/tpm-transport");
  });
});

swtpmTest(
  "one failed call of the operating system, at any command, costs neither evidence nor measurement",
  async () => {
    await using tpm = await startSwtpm({ bare: true });
    await withTpm(tpm, async (transport) => {
      const statement = randomBytes(32);
      const { failing: counted, count } = failingAt(transport, 0, false);
      const identity = await identityIn(await createTpmIssuer(counted, "rsa2048").issue(statement));
      assert.ok(count() > 5);
      for (let at = 1; at <= count(); at++) {
        const { failing } = failingAt(transport, at, false);
        assert.equal(await identityIn(await createTpmIssuer(failing, "rsa2048").issue(statement)), identity);
      }
    });
    // The second command extends. Its answer is lost: once the TPM has run it, once it has not.
    const clusterId = randomBytes(32);
    for (const isRun of [true, false]) {
      await tpm.restart();
      await withTpm(tpm, async (transport) => {
        const { failing } = failingAt(transport, 2, isRun);
        await measureLock(createTpmIssuer(failing, "rsa2048"), clusterId);
        const expected = await extendedOnce(await lockDigest(clusterId));
        assert.deepEqual(await createTpmIssuer(transport, "rsa2048").read(15), expected);
      });
    }
  },
);

/** A connection that fails at one command, which the TPM has run or not, and the number of commands so far. */
function failingAt(transport: TpmTransport, at: number, isRun: boolean) {
  let commands = 0;
  const failing: TpmTransport = {
    ...transport,
    async transmit(command) {
      const isTime = ++commands === at;
      if (isTime && isRun) await transport.transmit(command);
      if (isTime) throw new TpmTransportError("Cannot talk to the TPM at it: Input/output error", true);
      return await transport.transmit(command);
    },
  };
  return { failing, count: () => commands };
}
