import assert from "node:assert/strict";
import { createNodeCsr } from "../certificate/csr.ts";
import { element, resigned } from "../certificate/testing/certificates.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import type { AdmissionRecord } from "../kubernetes/admission_records.ts";
import type { AnswerSchema } from "../kubernetes/api.ts";
import { base64, concat, fromHex, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { clusterNetwork } from "./claims_check.ts";
import { runServingApprover } from "./serving_approver.ts";

const record: AdmissionRecord = {
  ...{ identity: "a1".repeat(32), nodeName: "worker-1", role: "worker", nodeKey: "AAAA" },
  ...{ addresses: ["192.0.2.7"], evidenceDigest: "00".repeat(32) },
};

const network = clusterNetwork(["198.51.100.1:6443"], "kubernetesVersion: v1.36.3\n");

async function validate<T>(schema: AnswerSchema<T>, answer: unknown): Promise<T> {
  const result = await schema["~standard"].validate(answer);
  assert.equal(result.issues, undefined);
  return (result as { readonly value: T }).value;
}

/** A request for "DNS:NAME, IP:192.0.2.7", PEM in base64. */
async function requestOf(nodeName: string): Promise<string> {
  const keys = await generateKeyPair("p-256");
  const names = element(0x30, element(0x82, utf8(nodeName)), element(0x87, Uint8Array.of(192, 0, 2, 7)));
  const extension = element(0x30, fromHex("0603551d11", "OID"), element(0x04, names));
  const list = element(0x31, element(0x30, extension));
  const attribute = element(0x30, concat(fromHex("06092a864886f70d01090e", "OID"), list));
  const der = await resigned(await createNodeCsr(keys, nodeName), keys, (fields) => [
    ...fields.slice(0, 3),
    element(0xa0, attribute),
  ]);
  const lines = base64(der).match(/.{1,64}/g)?.join("\n");
  return base64(utf8(`-----BEGIN CERTIFICATE REQUEST-----\n${lines}\n-----END CERTIFICATE REQUEST-----\n`));
}

async function csrOf(name: string, nodeName = "worker-1"): Promise<Record<string, unknown>> {
  return {
    metadata: { name, uid: `uid-${name}`, resourceVersion: "1" },
    spec: {
      ...{ signerName: "kubernetes.io/kubelet-serving", username: `system:node:${nodeName}` },
      ...{ groups: ["system:nodes", "system:authenticated"], usages: ["digital signature", "server auth"] },
      request: await requestOf(nodeName),
    },
    status: {},
  };
}

/** An API server with scripted answers, and time that passes only while the approver pauses. */
class Scene {
  readonly events: Record<string, unknown>[] = [];
  readonly approved: string[] = [];
  readonly pauses: number[] = [];
  readonly looked: string[] = [];
  items: Record<string, unknown>[] = [];
  records: readonly AdmissionRecord[] = [record];
  failure: BootstrapError | undefined;
  approvalFailures: Record<string, BootstrapError> = {};
  #ms = 0;
  readonly #stop = new AbortController();
  readonly #clock: Clock = {
    now: () => new Date(0),
    monotonicMs: () => this.#ms,
    sleep: (ms) => {
      this.pauses.push(ms);
      this.#ms += ms;
      const next = this.#script.shift();
      if (next === undefined) this.#stop.abort();
      else next();
      return this.#stop.signal.aborted ? Promise.reject(this.#stop.signal.reason) : Promise.resolve();
    },
  };
  #script: (() => void)[] = [];

  /** Runs the approver: one look, then one after each step. */
  async run(...script: (() => void)[]): Promise<void> {
    this.#script = script;
    const log = createLog(systemClock, (line) => this.events.push(JSON.parse(line)));
    const get = <T>(_path: string, schema: AnswerSchema<T>): Promise<T> => {
      if (this.failure !== undefined) return Promise.reject(this.failure);
      return validate(schema, { metadata: {}, items: this.items });
    };
    const replace = <T>(path: string, _object: unknown, schema: AnswerSchema<T>): Promise<T> => {
      const name = path.split("/").at(-2) ?? "";
      const failure = this.approvalFailures[name];
      if (failure !== undefined) return Promise.reject(failure);
      this.approved.push(name);
      this.items = this.items.map((item) => {
        const { name: of } = item.metadata as { readonly name: string };
        return of === name ? { ...item, status: { conditions: [{ type: "Approved" }] } } : item;
      });
      return validate(schema, {});
    };
    const byName = (name: string) => {
      this.looked.push(name);
      return Promise.resolve(this.records.find(({ nodeName }) => nodeName === name));
    };
    const parts = { api: { get, replace }, admissions: { byName }, network, clock: this.#clock, log };
    await runServingApprover(parts, this.#stop.signal);
  }

  /** Events as `event code request`. */
  get lines(): string[] {
    return this.events.map(({ event, code, request }) =>
      [event, code, request].filter((part) => part !== undefined).join(" ")
    );
  }
}

const nothing = () => {};
const codes = (scene: Scene, event: string) =>
  scene.events.filter((one) => one.event === event).map(({ code }) => code);

Deno.test("runServingApprover() approves a request once when an admitted node made it", async () => {
  const scene = new Scene();
  scene.items = [await csrOf("one")];
  await scene.run(nothing, nothing);
  assert.deepEqual(scene.approved, ["one"]);
  assert.deepEqual(scene.lines, ["serving-certificate-approved one"]);
});

Deno.test("runServingApprover() does nothing when its signal has already aborted", async () => {
  const parts = {
    api: { get: () => assert.fail(), replace: () => assert.fail() },
    ...{ admissions: { byName: () => assert.fail() }, network },
    ...{ clock: systemClock, log: createLog(systemClock, () => assert.fail()) },
  };
  await runServingApprover(parts, AbortSignal.abort());
});

Deno.test("runServingApprover() leaves a request alone, logs it once, and approves it when its node has a record", async () => {
  const scene = new Scene();
  scene.records = [];
  scene.items = [await csrOf("one")];
  const looks = Array.from({ length: 20 }, () => nothing);
  await scene.run(...looks, () => scene.records = [record], ...looks);
  assert.deepEqual(scene.lines, [
    "serving-certificate-left refused/serving-record one",
    "serving-certificate-approved one",
  ]);
  assert.ok(scene.looked.length < 15, `${scene.looked.length} looks at records`);
});

Deno.test("runServingApprover() approves a valid request when the requests before it are invalid", async () => {
  const scene = new Scene();
  const odd = await csrOf("odd");
  const large = await csrOf("large");
  scene.items = [
    { ...odd, spec: { ...odd.spec as object, request: "%" } },
    { ...large, spec: { ...large.spec as object, request: "A".repeat(1 << 20) } },
    {
      ...await csrOf("by-nobody"),
      spec: { signerName: "kubernetes.io/kubelet-serving", request: await requestOf("x") },
    },
    await csrOf("stranger", "worker-2"),
    await csrOf("one"),
  ];
  for (const [index, uid] of ["odd", "large", "by-nobody", "stranger"].entries()) {
    scene.items[index] = { ...scene.items[index], metadata: { name: uid, uid, resourceVersion: "1" } };
  }
  await scene.run(nothing, nothing, nothing);
  assert.deepEqual(scene.approved, ["one"]);
  assert.deepEqual(scene.lines, [
    "serving-certificate-left malformed/base64 odd",
    "serving-certificate-left malformed/base64 large",
    "serving-certificate-left refused/serving-requester by-nobody",
    "serving-certificate-left refused/serving-record stranger",
    "serving-certificate-approved one",
  ]);
});

Deno.test("runServingApprover() reads each record once in a look when a node makes many requests", async () => {
  const scene = new Scene();
  scene.records = [];
  const one = await csrOf("one");
  scene.items = Array.from(
    { length: 50 },
    (_, index) => ({ ...one, metadata: { name: `n${index}`, uid: `n${index}` } }),
  );
  await scene.run();
  assert.deepEqual(scene.looked, ["worker-1"]);
  assert.equal(scene.events.length, 50);
});

for (const code of ["conflict/changed", "precondition/not-found"] as const) {
  Deno.test(`runServingApprover() logs nothing when an approval fails with ${code}`, async () => {
    const scene = new Scene();
    scene.items = [await csrOf("one"), await csrOf("two")];
    scene.approvalFailures = { one: new BootstrapError(code, "x") };
    await scene.run();
    assert.deepEqual(scene.lines, ["serving-certificate-approved two"]);
  });
}

Deno.test("runServingApprover() logs a failure once for each code, looks less often, and goes on when the failure is over", async () => {
  const scene = new Scene();
  const one = await csrOf("one");
  const failWith = (failure: BootstrapError | undefined) => () => scene.failure = failure;
  const unreachable = new BootstrapError("unavailable/kubernetes-api", "x");
  const slow = new BootstrapError("timeout/kubernetes-api", "x");
  scene.failure = unreachable;
  await scene.run(...[slow, unreachable, slow, unreachable, slow].map(failWith), () => {
    scene.failure = undefined;
    scene.items = [one];
  }, failWith(unreachable));
  assert.deepEqual(codes(scene, "serving-approver-failed"), [unreachable.code, slow.code, unreachable.code]);
  assert.deepEqual(scene.approved, ["one"]);
  const [first = 0, second = 0, ...rest] = scene.pauses;
  assert.ok(first >= 4_800 && first <= 7_200 && second >= 9_600 && second <= 14_400, scene.pauses.join());
  assert.ok(rest.every((ms) => ms <= 36_000));
  assert.ok((rest.at(-2) ?? 0) <= 3_600, "the pause is short again after a success");
});

Deno.test("runServingApprover() gets to the requests after one whose approval keeps failing", async () => {
  const scene = new Scene();
  scene.items = [await csrOf("one"), await csrOf("two")];
  scene.approvalFailures = { one: new BootstrapError("timeout/kubernetes-api", "x") };
  await scene.run(nothing);
  assert.deepEqual(scene.lines, ["serving-approver-failed timeout/kubernetes-api", "serving-certificate-approved two"]);
});

Deno.test("runServingApprover() logs once that it has no right to approve", async () => {
  const scene = new Scene();
  scene.items = [await csrOf("one")];
  scene.approvalFailures = { one: new BootstrapError("unauthorized/kubernetes-api", "x") };
  await scene.run(nothing, nothing);
  assert.deepEqual(scene.lines, ["serving-certificate-left unauthorized/kubernetes-api one"]);
});

Deno.test("runServingApprover() logs again what it left alone when another request has the same name", async () => {
  const scene = new Scene();
  scene.records = [];
  const one = await csrOf("one");
  scene.items = [one];
  await scene.run(() => scene.items = [], () => scene.items = [{ ...one, metadata: { name: "one", uid: "2" } }]);
  assert.equal(codes(scene, "serving-certificate-left").length, 2);
});
