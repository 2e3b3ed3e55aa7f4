/** A refusal shows every check that failed, both to the refused peer and to the refusing side. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { extendedOnce, trustDigest } from "../../../protocol/transcript.ts";
import { errorText } from "../../../cli/output.ts";
import { TestOperator } from "../../exchanges/init_world.ts";
import { TestCluster } from "../../exchanges/join_world.ts";
import { readStatus, statusRefusal, StatusWriter } from "../../../node/status.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import type { FailedCheck } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { startTpmMachine, swtpmTest, verifierFor } from "./attacks.ts";
import { honestly, refusedByOperator } from "./init_attacks.ts";
import { assertUntouched, firstFailure } from "./join_attacks.ts";

await swtpmTest("an operator sees every register for which a node is refused", async () => {
  await using machine = await startTpmMachine();
  await using operator = await TestOperator.create();
  await machine.issuer.extend(4, randomBytes(32));
  const error = await refusedByOperator(operator, honestly(machine.issuer), "refused/pcr-12", {
    verifier: verifierFor(machine),
  });
  assert.deepEqual(error.checks.map(({ check }) => check), ["pcr-12", "pcr-4"]);
  assert.deepEqual([error.checks[1]?.expected, error.checks[1]?.seen], [
    "0".repeat(64),
    hex(await machine.issuer.read(4)),
  ]);
  assert.match(errorText(error), /check +pcr-4: PCR 4 .*\n +expected +0{64}\n +seen +[0-9a-f]{64}\n/);
});

await swtpmTest(
  "a node that is refused for several registers hears of all of them, and writes them into its status",
  async () => {
    await using machine = await startTpmMachine();
    await using cluster = await TestCluster.create({ verifier: verifierFor(machine) });
    for (const index of [4, 12]) await machine.issuer.extend(index, randomBytes(32));
    const error = await firstFailure(cluster.port, cluster.trust, machine.issuer);
    assert.equal(error.code, "refused/pcr-12");
    const expected = [
      ["pcr-12", (await acceptableTrust(cluster)).join(", "), hex(await machine.issuer.read(12))],
      ["pcr-4", "0".repeat(64), hex(await machine.issuer.read(4))],
    ];
    const shown = (checks: readonly FailedCheck[]) =>
      checks.map(({ check, expected, seen }) => [check, expected, seen]);
    assert.deepEqual(shown(error.checks), expected);
    const said = cluster.events.find(({ event }) => event === "join-refused");
    assert.deepEqual(said?.["checks"], error.checks);
    const folder = await Deno.makeTempDir();
    try {
      const path = join(folder, "status.json");
      const lastRefusal = statusRefusal(error, new Date(), "the service");
      await new StatusWriter({ path, clock: systemClock, log: silentLog }).update({ lastRefusal });
      assert.deepEqual(shown((await readStatus(path))?.lastRefusal?.checks ?? []), expected);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    assertUntouched(cluster);
  },
);

/** The allowed contents of PCR 12: the cluster's name and operators, with no cluster ID or with the cluster's own. */
function acceptableTrust({ trust, clusterId }: TestCluster): Promise<string[]> {
  return Promise.all(
    [trust, { ...trust, clusterId }].map(async (part) => hex(await extendedOnce(await trustDigest(part)))),
  );
}
