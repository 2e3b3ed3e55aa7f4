/**
 * A joiner judges a founder's evidence by a real software TPM, through the prover's own socket. After every attack
 * nothing was signed, and no node has sent a request.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { EvidenceIssuer } from "../../../attestation/evidence.ts";
import { measureLock, measureTrust } from "../../../nodelock/measure.ts";
import { systemClock } from "../../../platform/clock.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { listenOnUnixSocket } from "../../../platform/unix_socket.ts";
import { extendedOnce, lockDigest, trustDigest } from "../../../protocol/transcript.ts";
import { connectProver, serveProofs } from "../../../service/prover.ts";
import { FoundedCluster } from "../../exchanges/founded_world.ts";
import { ask } from "../../exchanges/join_world.ts";
import type { TpmMachine } from "../attacks/attacks.ts";
import { evidenceBySoftware, pcrsWith, startTpmMachine, swtpmTest, verifierFor } from "../attacks/attacks.ts";

/** Lets a machine make the evidence of a cluster's join service. */
async function proving<T>(founded: FoundedCluster, issuer: EvidenceIssuer, use: () => Promise<T>): Promise<T> {
  const path = join(founded.folder, `${crypto.randomUUID()}.sock`);
  const stop = new AbortController();
  const { clusterId } = founded.cluster;
  const listener = await listenOnUnixSocket(path);
  const serving = serveProofs({ listener, issuer, clusterId, clock: systemClock, log: silentLog }, stop.signal);
  Object.assign(founded.cluster.service, { prover: connectProver(path) });
  try {
    return await use();
  } finally {
    stop.abort();
    await serving;
  }
}

/** The code of the refusal by a node whose policy lists a machine as a control plane; `ticket` if there is none. */
async function outcome(founded: FoundedCluster, trusted: TpmMachine, issuer: EvidenceIssuer): Promise<string> {
  const founders = founded.policy({ verifier: verifierFor(trusted) });
  const node = await founded.node({ founders });
  return await proving(
    founded,
    issuer,
    () => ask(founded.port, node).then(() => "ticket", (error) => asBootstrapError(error).code),
  );
}

for (const by of [["policy"], ["token", "policy"]] as const) {
  await swtpmTest(
    `a joiner goes on with a founder's TPM, and with no other machine (${by.join(" and ")})`,
    async () => {
      await using founded = await FoundedCluster.create({ by });
      const { trust, cluster: { clusterId, signed, admissions } } = founded;
      await using founder = await startTpmMachine();
      await using other = await startTpmMachine();
      const { issuer } = founder;
      const untouched = () => assert.deepEqual([signed, admissions.records], [[], []]);

      // Another trust part, and no lock yet.
      await measureTrust(other.issuer, { ...trust, clusterName: "other" });
      assert.equal(await outcome(founded, other, other.issuer), "refused/pcr-12");
      await measureTrust(issuer, trust);
      assert.equal(await outcome(founded, founder, issuer), "refused/pcr-15");
      untouched();

      await measureLock(issuer, clusterId);
      // A machine that the policy does not know.
      assert.equal(await outcome(founded, other, issuer), "refused/ek-identity");
      // Evidence over another statement, of another connection.
      const elsewhere = { ...issuer, issue: () => issuer.issue(new Uint8Array(32).fill(9)) };
      assert.equal(await outcome(founded, founder, elsewhere), "refused/statement");
      // The right registers in a quote by a key in software, beside the founder's own endorsement key.
      const registers = {
        12: await extendedOnce(await trustDigest(trust)),
        15: await extendedOnce(await lockDigest(clusterId)),
      };
      const software: EvidenceIssuer = {
        ...issuer,
        issue: (statement) => evidenceBySoftware(founder.endorsementKey, statement, pcrsWith(registers)),
        activate: () => Promise.resolve(new Uint8Array(32)),
      };
      assert.equal(await outcome(founded, founder, software), "refused/activation");
      // The founder's quote, and an answer by another machine's TPM, which cannot open the challenge.
      const borrowed: EvidenceIssuer = { ...issuer, activate: (challenge) => other.issuer.activate(challenge) };
      assert.equal(await outcome(founded, founder, borrowed), "unavailable/founder-evidence");
      untouched();

      assert.equal(await outcome(founded, founder, issuer), "ticket");
      assert.deepEqual(signed, ["worker-1"]);
    },
  );

  await swtpmTest(`a member of another cluster is no founder of this one (${by.join(" and ")})`, async () => {
    await using founded = await FoundedCluster.create({ by });
    await using member = await startTpmMachine();
    await measureTrust(member.issuer, founded.trust);
    await measureLock(member.issuer, new Uint8Array(32).fill(6));
    assert.equal(await outcome(founded, member, member.issuer), "refused/pcr-15");
    assert.deepEqual(founded.cluster.signed, []);
  });
}
