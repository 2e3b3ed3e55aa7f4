import assert from "node:assert/strict";
import { join } from "node:path";
import type { EvidenceVerifier } from "../attestation/evidence.ts";
import { readPem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import { readPrivateKeyPem } from "../certificate/keys.ts";
import { hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { removeIfExists } from "../platform/files.ts";
import type { ProgressEvent } from "../proto/gen/bootstrapper.ts";
import { abandonCluster } from "./cluster_records.ts";
import type { ClusterRecord } from "./cluster_records.ts";
import { CLUSTER_NAME, InitWorld, TestOperator } from "../tests/exchanges/init_world.ts";
import type { InitWorldOptions } from "../tests/exchanges/init_world.ts";
import { ShownMachine, shownVerifier } from "../tests/exchanges/init_machine.ts";

/** Reads the record from disk, without its holder. */
async function recordOnDisk({ recordsFolder }: TestOperator): Promise<ClusterRecord> {
  return JSON.parse(await Deno.readTextFile(join(recordsFolder, `${CLUSTER_NAME}.json`)));
}

/** Runs an operator's first init, which ends after the founding was sent: before the lock, or after it. */
async function interruptedInit(
  operator: TestOperator,
  when: "before the lock" | "after the lock",
  options: InitWorldOptions = {},
): Promise<ClusterRecord> {
  const caller = new AbortController();
  const never = () => (caller.abort(), new Promise<never>(() => {}));
  const hooks = when === "before the lock" ? { preflight: never } : { onFound: never };
  await using world = await InitWorld.start({ operator, ...hooks, ...options });
  await assert.rejects(world.found({ signal: caller.signal }));
  const record = await operator.record();
  assert.equal(record?.state, "pending");
  return record as ClusterRecord;
}

/** Retries while the node has not noticed yet that the earlier caller is gone: its error is retriable then. */
async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BootstrapError && error.code === "unavailable/init-in-progress")) throw error;
    }
  }
}

/** Asserts that the operator refuses a node: only the hello was signed, and the record stays as it is. */
async function refusesNode(
  operator: TestOperator,
  found: () => Promise<unknown>,
  code: string,
): Promise<BootstrapError> {
  const before = await operator.record();
  const signatures = operator.signatures;
  const error = await found().then(() => assert.fail("it was founded"), (error: unknown) => error);
  assert(error instanceof BootstrapError, String(error));
  assert.equal(error.code, code, error.message);
  assert.equal(error.details["saidBy"], undefined, "the node refused, not the operator");
  assert.equal(operator.signatures, signatures + 1, "more was signed than the hello");
  assert.deepEqual(await operator.record(), before);
  return error;
}

Deno.test("foundOnNode() has its record on disk before the founding leaves, and marks it as founded when the cluster is kept", async () => {
  const seen: ClusterRecord[] = [];
  await using world = await InitWorld.start({
    preflight: async () => void seen.push(await recordOnDisk(world.operator)),
  });
  const verified: string[] = [];
  const cluster = await world.found({
    onVerified: (claims, clusterId, again) => verified.push(`${claims.identity} ${clusterId} ${again}`),
    keep: async () => void seen.push(await recordOnDisk(world.operator)),
  });
  const [sent, kept] = seen;
  assert.deepEqual({ ...sent, heard: kept?.heard }, kept);
  assert.equal(sent?.state, "pending");
  assert.equal(`sha256:${sent.clusterId}`, cluster.clusterId);
  assert.deepEqual(verified, [`${sent.identity} ${cluster.clusterId} false`]);
  assert.deepEqual(await world.operator.record(), { ...sent, state: "founded", adminKeyPem: "", heard: 6 });
});

Deno.test("foundOnNode() returns a certificate for a key that was made here, and a founding for this cluster", async () => {
  await using world = await InitWorld.start();
  const cluster = await world.found();
  const certificate = readCertificate(readPem(cluster.adminCertificatePem, "CERTIFICATE", "admin"), "admin");
  assert.deepEqual(certificate.spki, (await readPrivateKeyPem(cluster.adminKeyPem, "admin key")).spki);
  assert.equal(`sha256:${hex(cluster.founding.clusterId)}`, cluster.clusterId);
  assert.deepEqual([cluster.apiEndpoints, cluster.joinEndpoints, cluster.nodeName], [["a:6443"], ["a:9444"], "n1"]);
  // The hello, the request and the founding.
  assert.equal(world.operator.signatures, 3);
});

Deno.test("foundOnNode() signs no founding for a name that the node is not configured with, whatever its evidence", async () => {
  await using world = await InitWorld.start();
  const believing: Pick<EvidenceVerifier, "verify"> = { verify: () => assert.fail("the evidence was looked at") };
  const verifier = { ...shownVerifier, ...believing };
  const { message, next } = await refusesNode(
    world.operator,
    () => world.found({ clusterName: "dmeo", verifier }),
    "refused/cluster-name",
  );
  assert.match(message, /configured for the cluster demo, and the name given here is dmeo/);
  assert.match(next, /--name demo/);
});

Deno.test("foundOnNode() refuses a name that was founded, before it connects to anything", async () => {
  await using world = await InitWorld.start();
  const { clusterId } = await world.found();
  const signatures = world.operator.signatures;
  await assert.rejects(world.operator.found("192.0.2.1:1"), (error: unknown) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, "precondition/cluster-exists");
    assert.equal(error.details["clusterId"], clusterId);
    return error.next.includes("bootstrapper abandon demo");
  });
  assert.equal(world.operator.signatures, signatures);
});

Deno.test("foundOnNode() refuses another machine for a name that may have been founded, and shows the first machine", async () => {
  await using operator = await TestOperator.create();
  for (const when of ["before the lock", "after the lock"] as const) {
    await removeIfExists(operator.recordsFolder);
    const { identity } = await interruptedInit(operator, when);
    await using world = await InitWorld.start({ operator });
    const error = await refusesNode(operator, () => world.found(), "precondition/cluster-exists");
    assert.equal(error.details["identity"], identity);
    assert.equal(world.lock.state().name, "unlocked");
  }
});

Deno.test("foundOnNode() founds anew on the same machine when it is fresh and shows another cluster ID", async () => {
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  const before = await interruptedInit(operator, "before the lock", { machine });
  machine.reboot();
  await using world = await InitWorld.start({ operator, machine });
  const cluster = await world.found();
  const after = await operator.record();
  assert.equal(`sha256:${after?.clusterId}`, cluster.clusterId);
  assert.equal(after?.identity, before.identity);
  assert.notEqual(after?.clusterId, before.clusterId);
  assert.notEqual(after?.operationId, before.operationId);
  assert.notEqual(after?.adminKeyPem, before.adminKeyPem);
});

Deno.test("foundOnNode() goes on with the locked operation, its key and its documents, and refuses to change them", async () => {
  await using operator = await TestOperator.create();
  const machine = new ShownMachine();
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  const before = await interruptedInit(operator, "after the lock", { machine, folder });
  machine.reboot();
  await using world = await InitWorld.start({ operator, machine, folder });
  const verified: boolean[] = [];
  const changed = { clusterDocument: "kubernetesVersion: v1.99.0\n" };
  await assert.rejects(world.found(changed), { code: "precondition/operation-changed" });
  const cluster = await retry(() => world.found({ onVerified: (_claims, _id, again) => verified.push(again) }));
  assert.ok(verified.every((again) => again) && verified.length > 0);
  assert.equal(cluster.clusterId, `sha256:${before.clusterId}`);
  assert.equal(cluster.adminKeyPem, before.adminKeyPem);
  const record = await operator.record();
  assert.deepEqual({ ...record, heard: 0 }, { ...before, state: "founded", adminKeyPem: "", heard: 0 });
  await Deno.remove(folder, { recursive: true });
});

Deno.test("foundOnNode() does not go on with a node that only claims to be the recorded one", async (t) => {
  await using operator = await TestOperator.create();
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  const machine = new ShownMachine(randomBytes(32), 5);
  const record = await interruptedInit(operator, "after the lock", { machine, folder });
  await using world = await InitWorld.start({ operator, machine, folder });
  /** Verifies as usual, and changes the claims about the machine. */
  const claiming = (changes: { identity?: string; resetCount?: number }): EvidenceVerifier => ({
    variant: "tpm",
    async verify(...evidence) {
      const { claims, ...rest } = await shownVerifier.verify(...evidence);
      return { claims: { ...claims, ...changes }, ...rest };
    },
  });
  await t.step("the recorded cluster on another machine", async () => {
    const verifier = claiming({ identity: "ff".repeat(32) });
    await refusesNode(operator, () => world.found({ verifier }), "precondition/cluster-exists");
  });
  await t.step("the recorded machine, whose TPM was rolled back", async () => {
    await refusesNode(
      operator,
      () => world.found({ verifier: claiming({ resetCount: 4 }) }),
      "precondition/cluster-exists",
    );
  });
  await t.step("the recorded cluster and machine, without the lock in PCR 15", async () => {
    const unlocked: EvidenceVerifier = {
      variant: "tpm",
      verify: (evidence, statement, registers) => {
        const payload = evidence.payload.slice();
        payload.fill(0, 96, 128);
        return shownVerifier.verify({ ...evidence, payload }, statement, registers);
      },
    };
    await refusesNode(operator, () => world.found({ verifier: unlocked }), "refused/pcr-15");
  });
  await t.step("the recorded machine, locked to another cluster", async () => {
    const other = { ...record, clusterId: "ee".repeat(32) };
    await Deno.writeTextFile(join(operator.recordsFolder, `${CLUSTER_NAME}.json`), JSON.stringify(other));
    await refusesNode(operator, () => world.found(), "refused/pcr-15");
  });
  await world[Symbol.asyncDispose]();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("foundOnNode() founds an abandoned name anew, on any machine", async () => {
  await using operator = await TestOperator.create();
  {
    await using first = await InitWorld.start({ operator });
    await first.found();
  }
  const { clusterId } = await abandonCluster(operator.recordsFolder, CLUSTER_NAME);
  await using second = await InitWorld.start({ operator });
  const cluster = await second.found();
  assert.notEqual(cluster.clusterId, `sha256:${clusterId}`);
  assert.equal((await operator.record())?.state, "founded");
});

Deno.test("foundOnNode() does not take up an abandoned cluster again", async () => {
  await using operator = await TestOperator.create();
  const folder = await Deno.makeTempDir({ prefix: "init-world-" });
  const machine = new ShownMachine();
  await interruptedInit(operator, "after the lock", { machine, folder });
  await abandonCluster(operator.recordsFolder, CLUSTER_NAME);
  {
    await using world = await InitWorld.start({ operator, machine, folder });
    await refusesNode(operator, () => world.found(), "refused/pcr-15");
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("foundOnNode() refuses another identity than the expected one, and shows both", async () => {
  const machine = new ShownMachine();
  await using world = await InitWorld.start({ machine });
  const expectIdentity = "ff".repeat(32);
  const error = await refusesNode(world.operator, () => world.found({ expectIdentity }), "refused/identity");
  assert.deepEqual([error.details["expected"], error.details["seen"]], [expectIdentity, hex(machine.identity)]);
  await world.found({ expectIdentity: hex(machine.identity) });
});

Deno.test("foundOnNode() refuses a node that also obeys another operator", async () => {
  await using colleague = await TestOperator.create();
  await using world = await InitWorld.start({ colleagues: [colleague] });
  const { keys } = world.operator;
  const found = () => world.found({ operatorKeys: [keys.spki] });
  await refusesNode(world.operator, found, "refused/pcr-12");
  await world.found({ operatorKeys: [colleague.keys.spki, keys.spki] });
});

Deno.test("foundOnNode() goes on until its result is kept, and gets a certificate for the same key again", async () => {
  await using world = await InitWorld.start();
  const full = new BootstrapError("system/file", "the disk is full");
  await assert.rejects(world.found({ keep: () => Promise.reject(full) }), full);
  const record = await world.operator.record();
  assert.equal(record?.state, "pending");
  const cluster = await world.found();
  assert.equal(cluster.adminKeyPem, record.adminKeyPem);
  assert.equal(world.foundings, 1);
});

Deno.test("foundOnNode() reports every event once, in order, over all its runs", async () => {
  const goOn = Promise.withResolvers<void>();
  await using world = await InitWorld.start({ onFound: () => goOn.promise });
  const caller = new AbortController();
  const first: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent) => {
    first.push(event);
    if (event.phase === "kubeadm-init") caller.abort();
  };
  await assert.rejects(world.found({ signal: caller.signal, onProgress }));
  goOn.resolve();
  const again: ProgressEvent[] = [];
  await world.found({ onProgress: (event) => void again.push(event) });
  assert.deepEqual(first.map(({ number }) => number), [1, 2, 3, 4, 5]);
  assert.deepEqual(again.map(({ number }) => number), [6]);
});

Deno.test("foundOnNode() says what to do when no InitServer answers, and ends when its signal aborts", async () => {
  await using operator = await TestOperator.create();
  const world = await InitWorld.start({ operator });
  await assert.rejects(world.found({ signal: AbortSignal.abort() }), { code: "aborted/init" });
  await world[Symbol.asyncDispose]();
  await assert.rejects(operator.found(world.endpoint), (error: unknown) => {
    assert(error instanceof BootstrapError);
    return error.code === "unavailable/init-server" && error.retriable && error.next.includes("bootstrapper status");
  });
  assert.deepEqual([operator.signatures, await operator.record()], [0, undefined]);
});

Deno.test("foundOnNode() keeps the admin key out of everything that it reports", async () => {
  const said: unknown[] = [];
  await using world = await InitWorld.start();
  const cluster = await world.found({
    onVerified: (...all) => said.push(all),
    onProgress: ({ phase, detail }) => said.push(phase, detail),
  });
  const [, secret = ""] = /-----\n([^-]+)\n-----/.exec(cluster.adminKeyPem) ?? [];
  assert(secret.length > 100 && !JSON.stringify(said).includes(secret.slice(0, 32)));
});

Deno.test("foundOnNode() forgets a founding that the node refused before its lock, and keeps an earlier one", async () => {
  await using operator = await TestOperator.create();
  const refused = new BootstrapError("precondition/preflight", "disk: full");
  await using world = await InitWorld.start({ operator, preflight: () => Promise.reject(refused) });
  await assert.rejects(world.found(), { code: "precondition/preflight" });
  assert.equal(await operator.record(), undefined);
});

Deno.test("foundOnNode() keeps a founding when the node could not report its lock", async () => {
  await using operator = await TestOperator.create();
  await using world = await InitWorld.start({
    operator,
    withLock: (lock) => ({
      state: () => lock.state(),
      async take(claim) {
        await lock.take(claim);
        throw new BootstrapError("system/tpm", "the TPM failed after the link");
      },
    }),
  });
  await assert.rejects(world.found(), { code: "system/tpm" });
  assert.equal((await operator.record())?.state, "pending");
});
