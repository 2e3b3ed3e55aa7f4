import assert from "node:assert/strict";
import type * as v from "valibot";
import { BootstrapError } from "../platform/errors.ts";
import type { AnswerSchema } from "./api.ts";
import { applyManifest, type ManifestApi, waitForWorkloads } from "./apply_manifest.ts";
import { objectText, readManifest } from "./manifest.ts";
import { waitForNode } from "./readiness.ts";

/** A clock whose pauses end at once, and count. */
function fastClock() {
  let nowMs = 0;
  return {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: (ms: number) => {
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

const RESOURCES: Readonly<Record<string, readonly unknown[]>> = {
  "/api/v1": [
    { name: "namespaces", kind: "Namespace", namespaced: false },
    { name: "configmaps", kind: "ConfigMap", namespaced: true },
    { name: "secrets", kind: "Secret", namespaced: true },
    { name: "namespaces/status", kind: "Namespace", namespaced: false },
  ],
  "/apis/apps/v1": [
    { name: "daemonsets", kind: "DaemonSet", namespaced: true },
    { name: "deployments", kind: "Deployment", namespaced: true },
  ],
  "/apis/apiextensions.k8s.io/v1": [
    { name: "customresourcedefinitions", kind: "CustomResourceDefinition", namespaced: false },
  ],
};

/** An API server: its objects by path, and what was applied, in order. */
class FakeApi implements ManifestApi {
  readonly applied: string[] = [];
  readonly looks: string[] = [];
  /** Errors for the next applications, first to last. */
  readonly failures: BootstrapError[] = [];
  /** How an object looks, by its path, look after look; the last one stays. */
  readonly states: Record<string, unknown[]> = {};

  async find<T>(path: string, schema: AnswerSchema<T>): Promise<T | undefined> {
    this.looks.push(path);
    const states = this.states[path];
    const resources = RESOURCES[path];
    const value = states === undefined ? resources && { resources } : states.length > 1 ? states.shift() : states[0];
    if (value === undefined) return undefined;
    const result = await schema["~standard"].validate(value);
    return result.issues === undefined ? result.value : assert.fail(result.issues[0]?.message);
  }

  apply(path: string): Promise<void> {
    const failure = this.failures.shift();
    if (failure !== undefined) return Promise.reject(failure);
    this.applied.push(path);
    return Promise.resolve();
  }
}

const objects = (...texts: string[]) =>
  readManifest(texts.map((text) => JSON.stringify(JSON.parse(text))).join("\n---\n"), "net.yml");
const object = (apiVersion: string, kind: string, name: string, more = "") =>
  `{"apiVersion":"${apiVersion}","kind":"${kind}","metadata":{"name":"${name}"}${more}}`;

const MAP = object("v1", "ConfigMap", "m");
const NAMESPACE = object("v1", "Namespace", "n");
const CRD = object(
  "apiextensions.k8s.io/v1",
  "CustomResourceDefinition",
  "things.example.org",
  ',"spec":{"group":"example.org","names":{"kind":"Thing"}}',
);
const THING = object("example.org/v1", "Thing", "t");
const CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.example.org";
const condition = (type: string, status = "True") => ({ status: { conditions: [{ type, status, message: "why" }] } });

const codeIs = (code: string, pattern = /./) => (error: unknown) =>
  error instanceof BootstrapError && error.code === code && pattern.test(error.message) || assert.fail(String(error));

const unavailable = () => new BootstrapError("unavailable/kubernetes-api", "refused with 500");

Deno.test("applyManifest() applies namespaces and definitions first, and waits until their objects can be created", async () => {
  const api = new FakeApi();
  api.states[CRD_PATH] = [{}, condition("Established", "False"), condition("Established")];
  // The new kind appears a look after its definition is established.
  api.states["/apis/example.org/v1"] = [
    { resources: [] },
    { resources: [{ name: "things", kind: "Thing", namespaced: true }] },
  ];
  const seen: string[] = [];
  await applyManifest(api, objects(THING, MAP, CRD, NAMESPACE), { clock: fastClock(), deadlineMs: 60_000 }, {
    onApplied: ({ object, number, of }) => seen.push(`${objectText(object)} ${number}/${of}`),
  });
  assert.deepEqual(api.applied, [
    CRD_PATH,
    "/api/v1/namespaces/n",
    "/apis/example.org/v1/namespaces/default/things/t",
    "/api/v1/namespaces/default/configmaps/m",
  ]);
  assert.equal(seen[3], "ConfigMap m 4/4");
  assert.equal(api.looks.filter((path) => path === CRD_PATH).length, 3);
});

Deno.test("applyManifest() applies nothing if the cluster lacks a kind that no file defines", async () => {
  const api = new FakeApi();
  await assert.rejects(
    applyManifest(api, objects(NAMESPACE, THING), { clock: fastClock(), deadlineMs: 60_000 }),
    codeIs("usage/manifest", /the cluster has no kind Thing of example.org\/v1/),
  );
  assert.deepEqual(api.applied, []);
});

Deno.test("applyManifest() goes on when the API server answers with 500, until the deadline of all objects", async () => {
  const api = new FakeApi();
  api.failures.push(unavailable(), unavailable());
  const tries: string[] = [];
  const wait = { clock: fastClock(), deadlineMs: 60_000, onFailedTry: ({ code }: BootstrapError) => tries.push(code) };
  await applyManifest(api, objects(MAP), wait);
  assert.equal(api.applied.length, 1);
  assert.deepEqual(tries, ["unavailable/kubernetes-api", "unavailable/kubernetes-api"]);
  api.failures.push(...Array.from({ length: 100 }, unavailable));
  await assert.rejects(
    applyManifest(api, objects(MAP), wait),
    codeIs("timeout/network", /ConfigMap m was not applied/),
  );
});

Deno.test("applyManifest() names the object that is refused, or whose field has another owner", async () => {
  const api = new FakeApi();
  const refusals = [
    ["conflict/changed", "conflict/field-manager"],
    ["malformed/kubernetes-api", "usage/manifest"],
    ["unauthorized/kubernetes-api", "unauthorized/kubernetes-api"],
  ] as const;
  for (const [code, seen] of refusals) {
    api.failures.push(new BootstrapError(code, "of the server"));
    await assert.rejects(
      applyManifest(api, objects(MAP), { clock: fastClock(), deadlineMs: 60_000 }),
      codeIs(seen, /^Cannot apply ConfigMap m \(net.yml, line 1\): of the server$/),
    );
  }
});

Deno.test("applyManifest() repeats nothing that the API server says of a Secret", async () => {
  const api = new FakeApi();
  const details = { status: "422", reason: "hunter2" };
  api.failures.push(new BootstrapError("malformed/kubernetes-api", "invalid value hunter2", { details }));
  await assert.rejects(
    applyManifest(api, objects(object("v1", "Secret", "s")), { clock: fastClock(), deadlineMs: 60_000 }),
    (error) =>
      error instanceof BootstrapError && /Cannot apply Secret s .*: it was refused$/.test(error.message) &&
      !JSON.stringify([error.message, error.details, error.next, String(error.cause)]).includes("hunter2"),
  );
});

Deno.test("waitForWorkloads() waits for DaemonSets and Deployments, and names the one that is not ready", async () => {
  const api = new FakeApi();
  const set = "/apis/apps/v1/namespaces/default/daemonsets/d";
  const deployment = "/apis/apps/v1/namespaces/default/deployments/o";
  const pods = { observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2 };
  const metadata = { generation: 2 };
  api.states[set] = [
    { metadata, status: { ...pods, observedGeneration: 1, numberReady: 2 } },
    { metadata, status: { ...pods, numberReady: 1 } },
    { metadata, status: { ...pods, numberReady: 2 } },
  ];
  api.states[deployment] = [{ metadata: { generation: 1 }, status: { observedGeneration: 1 } }, {
    metadata: { generation: 1 },
    status: { observedGeneration: 1, ...condition("Available").status },
  }];
  const workloads = objects(MAP, object("apps/v1", "DaemonSet", "d"), object("apps/v1", "Deployment", "o"));
  await waitForWorkloads(api, workloads, { clock: fastClock(), deadlineMs: 60_000 });
  api.states[set] = [{ metadata, status: { ...pods, numberReady: 1 } }];
  await assert.rejects(
    waitForWorkloads(api, workloads, { clock: fastClock(), deadlineMs: 60_000 }),
    codeIs("timeout/network", /DaemonSet d was not ready within 60 s: 1 of 2 Pods are ready/),
  );
});

Deno.test("waitForNode() names a missing network plug-in as the reason, and how to install one", async () => {
  const message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:" +
    "Network plugin returns error: cni plugin not initialized";
  const node = (text: string): v.InferOutput<v.UnknownSchema> => ({
    status: { conditions: [{ type: "Ready", status: "False", reason: "KubeletNotReady", message: text }] },
  });
  const api = new FakeApi();
  api.states["/api/v1/nodes/a"] = [node("starting"), node(message)];
  const reasons: boolean[] = [];
  await assert.rejects(
    waitForNode(api, "a", "ready", { clock: fastClock(), deadlineMs: 5_000 }, (why) => reasons.push(why.lacksNetwork)),
    (error) =>
      error instanceof BootstrapError && error.code === "timeout/node" &&
      /it has no network plug-in \(.*cni plugin not initialized\)/.test(error.message) && /--network/.test(error.next),
  );
  assert.deepEqual(reasons, [false, true]);
  api.states["/api/v1/nodes/a"] = [node("disk is full")];
  await assert.rejects(
    waitForNode(api, "a", "ready", { clock: fastClock(), deadlineMs: 5_000 }),
    (error) =>
      error instanceof BootstrapError && /: disk is full$/.test(error.message) && /journalctl/.test(error.next),
  );
});
