import assert from "node:assert/strict";
import { join } from "node:path";
import { TPM_SETTINGS } from "../../../attestation/testing/trust.ts";
import { generateKeyPair } from "../../../certificate/keys.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import { waitForNode } from "../../../kubernetes/readiness.ts";
import { systemClock } from "../../../platform/clock.ts";
import { writeServiceState } from "../../../service/service_state.ts";
import { swtpmTest } from "../attacks/attacks.ts";
import { TestCluster } from "../kubernetes/cluster.ts";
import { CLUSTER_NAME, freePort, policyFor, serviceState, startService, WAIT, Worker } from "./_join_worker.ts";

await swtpmTest(
  "workers join a real cluster: with a ticket from a service that starts late, and again after they were killed",
  async (t) => {
    await using cluster = await TestCluster.create();
    const operator = await generateKeyPair("ed25519");
    const address = cluster.world.operatorAddress;
    const port = freePort(address);
    const trust = {
      clusterName: CLUSTER_NAME,
      clusterId: new Uint8Array(0),
      operatorKeys: [operator.spki],
      ...TPM_SETTINGS,
    };
    const setting = { trust, port, address };
    await using first = await Worker.create(cluster, "worker-1", setting);
    await using second = await Worker.create(cluster, "worker-2", setting);
    await using altered = await Worker.create(cluster, "worker-3", setting);
    await using twin = await Worker.create(cluster, "worker-4", setting);
    await altered.machine.issuer.extend(4, new Uint8Array(32).fill(1));
    const policy = policyFor(first.machine, second.machine, altered.machine, twin.machine);
    const folder = cluster.controlPlane.path("/var/lib/bootstrapper/join-service");
    await writeServiceState(folder, await serviceState(cluster, operator, policy, `${address}:${port}`));
    const events: Record<string, unknown>[] = [];
    const records = new AdmissionRecords(cluster.admin);
    const runFolders = await Deno.makeTempDir();
    const patience = AbortSignal.timeout(240_000);
    let service: AsyncDisposable | undefined;

    await t.step("the first waits until the service is there, then joins", async () => {
      const joining = first.join(patience, join(runFolders, "1"));
      while (first.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
      assert.equal(first.failures[0]?.error.code, "unavailable/connection");
      service = await startService(folder, cluster.ca.folder, events);
      assert.equal(await joining, "joined");
      await waitForNode(cluster.admin, "worker-1", "ready", WAIT);
      const record = await records.find(first.machine.identity);
      assert.ok(record?.nodeName === "worker-1" && record.role === "worker");
      assert.deepEqual(record.addresses, [first.node.ip]);
      const lock = (await first.openLock()).state();
      assert.ok(lock.name === "locked" && lock.lock.owner === "join");
      assert.deepEqual([...Deno.readDirSync(join(runFolders, "1"))], []);
      const issued = events.find(({ event }) => event === "join-ticket-issued");
      assert.equal(issued?.["identity"], first.machine.identity);
    });

    await t.step("the second is killed after the lock, loses its keys in a reboot, and goes on by itself", async () => {
      const kill = new AbortController();
      const onPhase = (phase: string) => phase === "kubeadm-join" && kill.abort();
      await assert.rejects(second.join(kill.signal, join(runFolders, "2"), { onPhase }), { code: "aborted/join" });
      assert.equal((await second.openLock()).state().name, "locked");
      const before = await records.find(second.machine.identity);
      assert.equal(await second.join(patience, join(runFolders, "2-after-reboot")), "joined");
      await waitForNode(cluster.admin, "worker-2", "ready", WAIT);
      const after = await records.find(second.machine.identity);
      assert.equal(after?.nodeName, "worker-2");
      assert.notEqual(after?.nodeKey, before?.nodeKey);
      assert.deepEqual(second.phases.filter((phase) => phase === "join-lock"), ["join-lock"]);
    });

    await t.step("a machine with another PCR is refused, stays fresh, and is not on record", async () => {
      const stop = new AbortController();
      const joining = altered.join(stop.signal, join(runFolders, "3"));
      while (altered.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
      stop.abort();
      await assert.rejects(joining, { code: "aborted/join" });
      assert.equal(altered.failures[0]?.error.code, "refused/pcr-4");
      assert.equal((await altered.openLock()).state().name, "unlocked");
      assert.equal(await records.find(altered.machine.identity), undefined);
      const refused = events.find(({ event, code }) => event === "join-refused" && code === "refused/pcr-4");
      assert.equal(refused?.["node"], "worker-3");
    });

    await t.step("another machine cannot have the name of a member, nor of the control plane", async () => {
      for (const name of ["worker-1", "cp-1"]) {
        const stop = new AbortController();
        twin.failures.length = 0;
        const joining = twin.join(stop.signal, join(runFolders, `4-${name}`), { name });
        while (twin.failures.length === 0) await Promise.race([joining, systemClock.sleep(20)]);
        stop.abort();
        await assert.rejects(joining, { code: "aborted/join" });
        const expected = name === "cp-1" ? "conflict/node-without-record" : "conflict/node-name";
        assert.equal(twin.failures[0]?.error.code, expected);
        assert.equal(await records.find(twin.machine.identity), undefined);
      }
    });

    await service?.[Symbol.asyncDispose]();
    for (const stopped of ["join-service-stopped", "join-signer-stopped"]) {
      assert.equal(events.slice(-2).filter(({ event }) => event === stopped).length, 1);
    }
    await Deno.remove(runFolders, { recursive: true });
  },
);
