/** Removals, bans and epochs against a real API server, which follows the cut list that a join service writes. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import {
  MOST_CUT,
  readCutState,
  writeAuthorizationConfiguration,
} from "../../../kubernetes/authorization_configuration.ts";
import { CutEntries } from "../../../kubernetes/cut_entries.ts";
import { readEpochs } from "../../../kubernetes/epochs.ts";
import { RAISE_AT } from "../../../service/cut_list.ts";
import { waitUntil } from "../../e2e/wait_until.ts";
import { TestCluster } from "./cluster.ts";
import {
  anything,
  CutListWorld,
  DAY_MS,
  DEADLINE_MS,
  isAllowed,
  isCut,
  type Machine,
  nodePath,
  statusOf,
  untilCut,
  write,
} from "./_cut_list_world.ts";

const CONFIG_MAPS = "/api/v1/namespaces/bootstrapper-system/configmaps";

Deno.test("a removed machine is cut off, and its successor is not", async (t) => {
  await using cluster = await TestCluster.create();
  await using world = await CutListWorld.create(cluster);
  const { admin } = cluster;
  const name = "worker-1";
  const createNode = (api: KubernetesApi) => api.create("/api/v1/nodes", { metadata: { name } }, anything);
  const old = await world.admit(name, "10.9.0.1");
  let next: Machine | undefined;

  await t.step("an admitted machine registers its Node, reads it, and reads the Secrets of its Pods", async () => {
    await createNode(old.api);
    const secret = await world.secretFor(name, "of-the-old");
    await old.api.get(nodePath(name), anything);
    await write(old.api, name);
    await waitUntil(
      { what: "the Secret", deadlineMs: DEADLINE_MS },
      () => isAllowed(old.api.get(secret, anything)),
    );
  });

  await t.step("after node remove it can neither read nor write, and is never admitted again", async () => {
    const outcomes = await world.remove(name);
    assert.match(outcomes["cut"] ?? "", /^until 20/);
    assert.equal(outcomes["node"], "deleted");
    assert.equal(outcomes["pods"], "1 deleted");
    await untilCut(old.api, name);
    assert.ok(await isCut(createNode(old.api)));
    assert.ok(await isCut(old.api.get("/api/v1/namespaces/default/secrets/of-the-old", anything)));
    assert.ok(await isCut(old.api.get("/api/v1/services", anything)));
    await assert.rejects(world.records.admit(old.record), { code: "refused/removed" });
    await assert.rejects(world.records.recordCertificates(old.record.identity, old.uid, []), {
      code: "refused/removed",
    });
    assert.equal(await admin.find(nodePath(name), anything), undefined);
  });

  await t.step(
    "its successor under the same name and address works, and the old machine sees nothing of it",
    async () => {
      next = await world.admit(name, "10.9.0.1");
      const { api } = next;
      await createNode(api);
      const secret = await world.secretFor(name, "of-the-next");
      await waitUntil(
        { what: "the Secret", deadlineMs: DEADLINE_MS },
        () => isAllowed(api.get(secret, anything)),
      );
      await write(api, name);
      for (
        const call of [
          () => old.api.get(secret, anything),
          () => old.api.get(nodePath(name), anything),
          () => write(old.api, name),
          () => old.api.remove(nodePath(name)),
        ]
      ) {
        assert.ok(await isCut(call()), String(call));
      }
    },
  );

  await t.step("a ban in the policy cuts a machine off at once, and its end lets it on", async () => {
    const banned = await world.admit("worker-2", "10.9.0.2");
    await banned.api.create("/api/v1/nodes", { metadata: { name: "worker-2" } }, anything);
    world.banned.add(banned.record.identity);
    await untilCut(banned.api, "worker-2");
    assert.ok(await isCut(write(banned.api, "worker-2")));
    await next?.api.get(nodePath(name), anything);
    world.banned.clear();
    const what = { what: "worker-2 to be let on", deadlineMs: DEADLINE_MS };
    await waitUntil(what, () => isAllowed(banned.api.get(nodePath("worker-2"), anything)));
  });

  await t.step("an entry that would break the list is not written, and the list stays in force", async () => {
    const uid = crypto.randomUUID();
    const data = { version: "1", uid: "x'] || true || g in ['", identity: "", nodeName: "x", epoch: "1" };
    const metadata = { name: `cut-${uid}`, labels: { "bootstrapper-cut": "true" } };
    await admin.create(CONFIG_MAPS, { metadata, data: { ...data, until: new Date().toISOString() } }, anything);
    const isReported = () => world.events.some(({ event }) => event === "cut-entry-unreadable");
    await waitUntil({ what: "the report", deadlineMs: DEADLINE_MS }, () => Promise.resolve(isReported()));
    await assert.rejects(
      writeAuthorizationConfiguration(world.folder, { epochs: [1], cut: Array(MOST_CUT + 1).fill(uid) }),
      { code: "malformed/cut-list" },
    );
    assert.deepEqual((await readCutState(world.folder))?.cut, [old.uid]);
    await next?.api.get(nodePath(name), anything);
    assert.ok(await isCut(old.api.get(nodePath(name), anything)));
    await admin.remove(`${CONFIG_MAPS}/cut-${uid}`);
  });

  await t.step("a machine without an epoch, or with one that has not begun, is refused whatever it asks", async () => {
    for (const groups of [[], ["bootstrapper:epoch:99"], ["bootstrapper:epoch:0"], ["bootstrapper:epoch:11"]]) {
      const stranger = await world.client("worker-3", groups);
      assert.ok(await isCut(stranger.get("/api/v1/services", anything)), String(groups));
    }
  });

  await t.step("the epoch is raised before the list is full; who renews goes on, who does not is cut off", async () => {
    assert.ok(next !== undefined);
    const entries = new CutEntries(admin);
    const until = Date.now() + DAY_MS;
    const ghosts = Array.from({ length: RAISE_AT }, () => crypto.randomUUID());
    for (const uid of ghosts) {
      await entries.create({ uid, identity: "", nodeName: "ghost", epoch: 1, untilMs: until });
    }
    await waitUntil({ what: "epoch 2", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 60_000;
      return (await readEpochs(admin)).current === 2;
    });
    await waitUntil({ what: "the list", deadlineMs: DEADLINE_MS }, async () => {
      return (await readCutState(world.folder))?.epochs.includes(3) === true;
    });
    // Both the old and the new certificate are accepted for as long as one node has not renewed.
    await next.api.get(nodePath(name), anything);
    const renewed = await world.certify(next.record, next.uid, 2);
    await renewed.get(nodePath(name), anything);
    await next.api.get(nodePath(name), anything);
    for (const { record, uid } of await admittedExcept(world, next.record.identity)) {
      await world.certify(record, uid, 2);
    }
    await waitUntil({ what: "the end of epoch 1", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 6 * 60_000;
      return (await readCutState(world.folder))?.epochs.includes(1) === false;
    });
    await untilCut(next.api, name);
    await renewed.get(nodePath(name), anything);
    assert.ok(await isCut(old.api.get(nodePath(name), anything)));
    await waitUntil({ what: "the entries to go", deadlineMs: DEADLINE_MS }, async () => {
      world.aheadMs += 60_000;
      return (await entries.list()).entries.length === 0;
    });
    assert.deepEqual(await readCutState(world.folder), { epochs: [2, 3], cut: [] });
  });
});

/** The machines that are admitted, but for one. */
async function admittedExcept({ cluster, records }: CutListWorld, identity: string) {
  const schema = v.object({
    items: v.array(v.object({
      metadata: v.object({ name: v.string(), uid: v.string() }),
      spec: v.object({ removedAt: v.optional(v.string()) }),
    })),
  });
  const { items } = await cluster.admin.get("/apis/bootstrapper.dev/v1/nodeadmissions", schema);
  const admitted = items.filter(({ metadata, spec }) => spec.removedAt === undefined && metadata.name !== identity);
  return await Promise.all(admitted.map(async ({ metadata }) => {
    const record = await records.find(metadata.name);
    assert.ok(record !== undefined);
    return { record, uid: metadata.uid };
  }));
}

Deno.test("an API server loads a list of as many entries as may be written, and refuses the last of them", async () => {
  await using cluster = await TestCluster.create();
  const folder = cluster.controlPlane.path("/etc/kubernetes/bootstrapper");
  const cut = Array.from({ length: MOST_CUT }, () => crypto.randomUUID()).sort();
  await writeAuthorizationConfiguration(folder, { epochs: [1, 2], cut });
  const clientOf = async (uid: string) => {
    const groups = ["system:nodes", `bootstrapper:admission:${uid}`, "bootstrapper:epoch:1"];
    const subject = `${groups.map((group) => `/O=${group}`).join("")}/CN=system:node:worker-1`;
    return new KubernetesApi(await cluster.credentials(subject));
  };
  using last = await clientOf(cut.at(-1) ?? "");
  using other = await clientOf(crypto.randomUUID());
  const services = "/api/v1/services";
  const what = { what: "the list to be in force", deadlineMs: DEADLINE_MS };
  await waitUntil(what, async () => await statusOf(last.get(services, anything)) === "500");
  await other.get(services, anything);
});
