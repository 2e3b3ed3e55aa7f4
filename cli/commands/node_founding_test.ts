import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority, issueServiceCertificate } from "../../certificate/ca.ts";
import { clusterIdOf, clusterIdText } from "../../certificate/cluster_id.ts";
import { generateKeyPair, privateKeyPem } from "../../certificate/keys.ts";
import { readServiceState, writeServiceState } from "../../service/service_state.ts";
import { TestWorld } from "../testing/command_line.ts";

/** A control plane of a cluster that its machines founded, with one operator in its trust part. */
async function startControlPlane() {
  const now = new Date();
  const world = await TestWorld.create();
  const [ca, keys, operator] = [
    await createCertificateAuthority(now),
    await generateKeyPair("p-256"),
    await generateKeyPair("ed25519"),
  ];
  const clusterId = await clusterIdOf(ca.certificate);
  const founding = { size: 3, policyDigest: new Uint8Array(), tokenKey: new Uint8Array(44).fill(1) };
  const folder = world.context.paths.joinService;
  await writeServiceState(folder, {
    ...{ keys, caCertificate: ca.certificate.der, foundings: [], tokenFounding: new Uint8Array(64).fill(2) },
    certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, now)).der,
    trust: { clusterName: "demo", clusterId, operatorKeys: [operator.spki], founding },
    ...{ policyDocument: "version: 1\nvariant: none\n", clusterDocument: "kubernetesVersion: v1.36.3\n" },
    ...{ listen: "0.0.0.0:9444", apiServer: "https://127.0.0.1:6443" },
    ...{ apiEndpoints: ["192.0.2.1:6443"], joinEndpoints: ["192.0.2.1:9444"] },
  });
  const keyOf = async (name: string, pair: typeof operator) => {
    const path = join(world.root, name);
    await Deno.writeTextFile(path, await privateKeyPem(pair), { mode: 0o600 });
    return path;
  };
  let signed = 0;
  const sign = async (key: string, id: string, name = "demo", records = `records-${++signed}`) => {
    const args = ["--name", name, "--cluster-id", id, "--key", key, "--records", join(world.root, records)];
    const code = await world.run("node", "founding", "sign", ...args);
    const path = join(world.root, "it.founding");
    if (code === 0) await Deno.writeTextFile(path, world.out);
    return { code, path };
  };
  return { world, folder, clusterId, operator, key: await keyOf("operator.key", operator), keyOf, sign };
}

Deno.test("node founding sign and founding add let a join service show what an operator signed later", async () => {
  const { world, folder, clusterId, operator, key, sign } = await startControlPlane();
  await using _world = world;
  const { code, path } = await sign(key, clusterIdText(clusterId));
  assert.equal(code, 0, world.err);
  const before = await readServiceState(folder, new Date());
  for (const added of [true, false]) {
    assert.equal(await world.run("node", "founding", "add", path, "--output", "json"), 0, world.err);
    assert.deepEqual(JSON.parse(world.out), { clusterName: "demo", clusterId: clusterIdText(clusterId), added });
  }
  const { foundings, ...rest } = await readServiceState(folder, new Date());
  assert.deepEqual(foundings.map(({ operatorKey }) => operatorKey), [operator.spki]);
  const { foundings: none, ...unchanged } = before;
  assert.deepEqual(none, []);
  assert.deepEqual({ ...rest, keys: rest.keys.spki }, { ...unchanged, keys: unchanged.keys.spki });
});

Deno.test("node founding add refuses a stranger's founding, that of another cluster or name, and a machine without a service", async () => {
  const { world, folder, clusterId, key, keyOf, sign } = await startControlPlane();
  await using _world = world;
  const other = await keyOf("other.key", await generateKeyPair("ed25519"));
  const id = clusterIdText(clusterId);
  // Each file has the same name, so each is made again before it is given.
  for (
    const [make, code] of [
      [() => sign(other, id), "refused/founding-operator"],
      [() => sign(key, `sha256:${"ab".repeat(32)}`), "refused/founding-cluster-id"],
      [() => sign(key, id, "prod"), "refused/founding-name"],
    ] as const
  ) {
    const { path } = await make();
    assert.equal(await world.run("node", "founding", "add", path), 3);
    assert.match(world.err, new RegExp(code));
  }
  assert.deepEqual((await readServiceState(folder, new Date())).foundings, []);
  const { path } = await sign(key, id);
  await Deno.remove(folder, { recursive: true });
  assert.equal(await world.run("node", "founding", "add", path), 1);
  assert.match(world.err, /precondition\/no-join-service/);
});

Deno.test("node founding sign refuses a second cluster of a name that the operator's records have", async () => {
  const { world, clusterId, key, sign } = await startControlPlane();
  await using _world = world;
  const ID = "cd".repeat(32);
  await Deno.mkdir(join(world.root, "records"), { recursive: true });
  const record = {
    ...{ version: 1, clusterName: "demo", state: "founded", clusterId: ID, identity: ID },
    ...{ operationId: "0".repeat(32), operatorKey: "00", clusterDocument: "", policyDocument: "", adminKeyPem: "" },
    time: "2026-01-01T00:00:00.000Z",
  };
  await Deno.writeTextFile(join(world.root, "records", "demo.json"), JSON.stringify(record), { mode: 0o600 });
  assert.equal((await sign(key, clusterIdText(clusterId), "demo", "records")).code, 1);
  assert.match(world.err, /precondition\/cluster-exists/);
  assert.equal((await sign(key, `sha256:${ID}`, "demo", "records")).code, 0, world.err);
  // What it signs itself is such a record, too.
  for (const code of [0, 0]) assert.equal((await sign(key, clusterIdText(clusterId), "new", "records")).code, code);
  assert.equal((await sign(key, `sha256:${ID}`, "new", "records")).code, 1);
  assert.match(world.err, /precondition\/cluster-exists/);
});
