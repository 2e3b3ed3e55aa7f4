import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { readPem } from "../../../certificate/pem.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { hex } from "../../../platform/bytes.ts";
import { applyManifest, waitForWorkloads } from "../../../kubernetes/apply_manifest.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { readManifest } from "../../../kubernetes/manifest.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError, sentenceOf } from "../../../platform/errors.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { repositoryRoot } from "../../world.ts";
import { TestCluster } from "./cluster.ts";
import { codeIs } from "./records.ts";

const WAIT = { clock: systemClock, deadlineMs: 60_000 };

/** A new kind, and an object of it before its definition and in a namespace that comes later. */
const MANIFEST = `
apiVersion: example.org/v1
kind: Pool
metadata: { name: pool, namespace: plug-in }
spec: { size: 1 }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: pools.example.org }
spec:
  group: example.org
  scope: Namespaced
  names: { kind: Pool, plural: pools, singular: pool, listKind: PoolList }
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: { spec: { type: object, properties: { size: { type: integer } } } }
---
apiVersion: v1
kind: List
items:
- { apiVersion: v1, kind: Namespace, metadata: { name: plug-in } }
- { apiVersion: v1, kind: ConfigMap, metadata: { name: settings, namespace: plug-in }, data: { a: "1" } }
- { apiVersion: v1, kind: ConfigMap, metadata: { name: without-namespace }, data: {} }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent, namespace: plug-in }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec:
      nodeSelector: { none: has-it }
      containers: [{ name: agent, image: example.org/agent }]
`;

const SETTINGS = "/api/v1/namespaces/plug-in/configmaps/settings";
const listSchema = v.object({ items: v.array(v.object({ metadata: v.object({ name: v.string() }) })) });
const versionSchema = v.object({
  metadata: v.object({ uid: v.string(), resourceVersion: v.string() }),
  data: v.record(v.string(), v.string()),
});

Deno.test("manifests of a network against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  const { admin } = cluster;
  const objects = readManifest(MANIFEST, "net.yml");

  await t.step("a new kind, its objects and their namespace are applied in one go, from any order", async () => {
    const applied: string[] = [];
    await applyManifest(admin, objects, WAIT, { onApplied: ({ object }) => applied.push(object.kind) });
    assert.deepEqual(applied.slice(0, 2), ["CustomResourceDefinition", "Namespace"]);
    const pool = v.object({ spec: v.object({ size: v.literal(1) }) });
    await admin.get("/apis/example.org/v1/namespaces/plug-in/pools/pool", pool);
    await admin.get("/api/v1/namespaces/default/configmaps/without-namespace", v.unknown());
    await waitForWorkloads(admin, objects, WAIT);
  });

  await t.step("to apply it again changes nothing", async () => {
    const before = await admin.get(SETTINGS, versionSchema);
    await applyManifest(admin, objects, WAIT);
    assert.deepEqual(await admin.get(SETTINGS, versionSchema), before);
  });

  await t.step("a field that another program set is left to it, and the error names the program", async () => {
    const changed = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { a: "2" } };
    await admin.apply(SETTINGS, changed, { name: "other-program", force: true });
    await assert.rejects(applyManifest(admin, objects, WAIT), (error) => {
      return codeIs("conflict/field-manager")(error) &&
        /ConfigMap plug-in\/settings .*other-program/.test(String(error));
    });
    assert.equal((await admin.get(SETTINGS, versionSchema)).data.a, "2");
    await admin.remove(SETTINGS);
    await applyManifest(admin, objects, WAIT);
    assert.equal((await admin.get(SETTINGS, versionSchema)).data.a, "1");
  });

  await t.step("an object that the API server refuses is named, and a Secret's content is not", async () => {
    const broken = (kind: string, more: string) =>
      readManifest(`apiVersion: v1\nkind: ${kind}\nmetadata: {name: broken, namespace: plug-in}\n${more}`, "x.yml");
    const service = broken("Service", "spec: {ports: [{port: 99999}]}");
    await assert.rejects(applyManifest(admin, service, WAIT), (error) => {
      return codeIs("usage/manifest")(error) &&
        /Cannot apply Service plug-in\/broken \(x.yml, line 1\): .*99999/.test(String(error));
    });
    const secret = broken("Secret", "data: {key: hunter2!}");
    // The API server answers with 500, and quotes the value.
    const tries: string[] = [];
    const wait = { ...WAIT, deadlineMs: 1_000, onFailedTry: (error: BootstrapError) => tries.push(sentenceOf(error)) };
    await assert.rejects(
      applyManifest(admin, secret, wait),
      (error) => error instanceof BootstrapError && !sentenceOf(error).includes("hunter2"),
    );
    assert.doesNotMatch(tries.join(), /hunter2/);
    const missing = readManifest("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}", "y.yml");
    await assert.rejects(applyManifest(admin, missing, WAIT), codeIs("precondition/not-found"));
    const unknown = readManifest("apiVersion: example.org/v2\nkind: Pool\nmetadata: {name: a}", "z.yml");
    await assert.rejects(applyManifest(admin, unknown, WAIT), codeIs("usage/manifest"));
  });

  await t.step("network apply goes on when it was killed in the middle", async () => {
    const folder = await Deno.makeTempDir();
    try {
      const many = Array.from(
        { length: 60 },
        (_, number) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map-${number}, namespace: killed}\n`,
      );
      const namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: killed}\n";
      await Deno.mkdir(join(folder, "net"));
      await Deno.writeTextFile(join(folder, "net/1.yaml"), many.join("---\n"));
      await Deno.writeTextFile(join(folder, "net/2.yml"), namespace);
      await Deno.writeTextFile(join(folder, "net/README"), "no manifest");
      const admins = { clusterName: "test", userName: "admin", ...await cluster.credentials("/O=system:masters/CN=a") };
      await Deno.writeTextFile(join(folder, "kubeconfig"), kubeconfig(admins), { mode: 0o600 });
      const args = ["network", "apply", join(folder, "net"), "--kubeconfig", join(folder, "kubeconfig")];
      const more = ["--wait", "--output", "json"];
      const [program, ...rest] = [...DENO_RUN, join(repositoryRoot, "main.ts"), ...args, ...more];
      const command = new Deno.Command(program, { args: rest, stdin: "null", stdout: "piped", stderr: "inherit" });
      const killed = command.spawn();
      let seen = "";
      for await (const text of killed.stdout.pipeThrough(new TextDecoderStream())) {
        seen += text;
        if (/"number":20,/.test(seen)) killed.kill("SIGKILL");
      }
      assert.equal((await killed.status).signal, "SIGKILL", seen);
      const again = await command.output();
      assert.equal(again.code, 0);
      assert.match(new TextDecoder().decode(again.stdout), /"event":"network","objects":61,"ready":true/);
      const { items } = await admin.get("/api/v1/namespaces/killed/configmaps", listSchema);
      assert.equal(items.filter(({ metadata }) => metadata.name.startsWith("map-")).length, many.length);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });

  await t.step("init goes on with the network of a cluster that it has founded before", async () => {
    const folder = await Deno.makeTempDir();
    try {
      const path = (name: string) => join(folder, name);
      const caPem = await cluster.ca.certificate();
      const clusterId = hex(await clusterIdOf(readCertificate(readPem(caPem, "CERTIFICATE", "ca.crt"), "ca.crt")));
      const admins = { clusterName: "test", userName: "admin", ...await cluster.credentials("/O=system:masters/CN=a") };
      await Deno.writeTextFile(path("kubeconfig"), kubeconfig(admins), { mode: 0o600 });
      await Deno.writeTextFile(path("net.yml"), MANIFEST.replaceAll("plug-in", "founded"));
      const record = {
        ...{ version: 1, clusterName: "test", state: "founded", clusterId, identity: "0".repeat(64) },
        ...{ operationId: "0".repeat(32), operatorKey: "", clusterDocument: "", policyDocument: "", adminKeyPem: "" },
        time: "2026-01-01T00:00:00.000Z",
      };
      await Deno.mkdir(path("records"));
      await Deno.writeTextFile(path("records/test.json"), JSON.stringify(record));
      const run = async (...args: readonly string[]) => {
        const [program, ...rest] = [...DENO_RUN, join(repositoryRoot, "main.ts"), ...args];
        const { code, stdout, stderr } = await new Deno.Command(program, { args: rest, stdin: "null" }).output();
        return { code, text: [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n") };
      };
      assert.equal((await run("keygen", "--no-passphrase", "--out", path("operator.key"))).code, 0);
      const call = [
        ...["init", "127.0.0.1:1", "--name", "test", "--key", path("operator.key"), "--records", path("records")],
        ...["--policy", join(repositoryRoot, "deploy/policy.example.yaml"), "--kubeconfig", path("kubeconfig")],
        ...["--cluster-file", path("cluster.yaml"), "--output", "json"],
      ];
      const again = await run(...call, "--network", path("net.yml"), "--wait");
      assert.equal(again.code, 0, again.text);
      assert.match(again.text, /"event":"founded-earlier"/);
      assert.match(
        again.text,
        /"event":"founded","clusterName":"test".*"nodeName":"cp-1","ready":true,"hasNetwork":true/,
      );
      await admin.get("/apis/example.org/v1/namespaces/founded/pools/pool", v.unknown());
      // Without a network there is nothing to go on with.
      const without = await run(...call);
      assert.equal(without.code, 1, without.text);
      assert.match(without.text, /was founded on/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
