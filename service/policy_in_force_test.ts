import assert from "node:assert/strict";
import { createInsecureVerifier } from "../attestation/kinds/none/verifier.ts";
import { type Policy, roleOf } from "../attestation/policy/policy.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { PolicyInForce } from "./policy_in_force.ts";

const [ONE, TWO] = ["1".repeat(64), "2".repeat(64)];

/** A policy that trusts these identities. */
function policyOf(...identities: readonly string[]): string {
  return JSON.stringify({
    version: 1,
    variant: "tpm",
    tpm: { ekType: "rsa2048", pcrs: { 4: ["ab".repeat(32)] }, trust: { identities } },
    roles: { controlPlanes: identities },
    names: { default: ["node-*"] },
  });
}

const NONE = "version: 1\nvariant: none\nnames: { default: [node-*] }\n";
const BROKEN = policyOf(TWO).replace("ekType", "ekTyp");
const down = () => new BootstrapError("unavailable/kubernetes-api", "it is down");

/** A file, an API server and a log, around a policy. */
class World {
  /** The content of the file. */
  file: string | Error = policyOf(ONE);
  /** The content of the ConfigMap, or why the API server cannot be asked. */
  configMap: string | undefined | Error = undefined;
  readonly events: Record<string, unknown>[] = [];
  readonly made: Policy[] = [];
  asked = 0;
  nowMs = 0;
  readonly policies: PolicyInForce;
  readonly slept: number[] = [];
  /** Called at each pause. */
  onSleep: () => void = () => {};

  /** What the service has kept, in order. */
  readonly keeping: string[] = [];
  /** Why nothing can be kept. */
  keepFailure: BootstrapError | undefined;

  constructor(document = policyOf(ONE), kept?: string | BootstrapError) {
    this.file = document;
    const take = <T>(value: T | Error) => value instanceof Error ? Promise.reject(value) : Promise.resolve(value);
    this.policies = new PolicyInForce({
      document,
      createVerifier: (policy) => (this.made.push(policy), createInsecureVerifier()),
      readFile: () => take(this.file),
      findConfigMap: () => (this.asked++, take(this.configMap)),
      kept,
      keep: (newest) => {
        if (this.keepFailure !== undefined) return Promise.reject(this.keepFailure);
        this.keeping.push(newest);
        return Promise.resolve();
      },
      clock: { monotonicMs: () => this.nowMs, sleep: (ms) => (this.slept.push(ms), this.onSleep(), Promise.resolve()) },
      log: createLog({ now: () => new Date(0) }, (line) => this.events.push(JSON.parse(line))),
    });
  }

  /** The events since the last time. */
  said(): unknown[] {
    return this.events.splice(0).map(({ event, source, code, key }) =>
      [event, source, code, key].filter((part) => part !== undefined).join(" ")
    );
  }

  get document(): string {
    return this.policies.current().document;
  }
}

Deno.test("PolicyInForce starts with the state's policy, and refuses to start with an unusable one", () => {
  const world = new World();
  const { policy, source, isConfirmed } = world.policies.current();
  assert.deepEqual([roleOf(policy, ONE), roleOf(policy, TWO)], ["control-plane", "worker"]);
  assert.deepEqual([source, isConfirmed], ["file", false]);
  assert.throws(() => new World(BROKEN), { code: "usage/document" });
});

Deno.test("PolicyInForce warns of what each policy that comes into force leaves open", async () => {
  const world = new World();
  assert.deepEqual(world.events, []);
  world.configMap = policyOf(ONE).replace("node-*", "*").replace("{", '{"allowUnmeasuredImage":true,');
  await world.policies.look();
  await world.policies.look();
  const remarks = world.events.filter(({ event }) => event === "policy-remark").map(({ remark }) => String(remark));
  assert.deepEqual(remarks.map((remark) => remark.split(":")[0]), ["UNMEASURED", "UNBOUND NAMES"]);
  const unbound = new World("version: 1\nvariant: none\n").events;
  assert.deepEqual(unbound.map(({ event }) => event), ["policy-remark"]);
});

Deno.test("PolicyInForce takes the ConfigMap's policy if there is one, and logs what changed", async () => {
  const world = new World();
  world.configMap = policyOf(ONE, TWO);
  const before = world.policies.current();
  await world.policies.look();
  const after = world.policies.current();
  assert.deepEqual([after.document, after.source], [policyOf(ONE, TWO), "ConfigMap"]);
  assert.equal(roleOf(after.policy, TWO), "control-plane");
  assert.notEqual(after.verifier, before.verifier);
  assert.equal(roleOf(before.policy, TWO), "worker", "what an exchange began with has changed");
  const [said] = world.events;
  assert.deepEqual([said?.["event"], said?.["level"], said?.["source"]], ["policy-changed", "info", "ConfigMap"]);
  assert.deepEqual(said?.["changes"], ["tpm.trust.identities", "roles.controlPlanes"]);
  assert.match(String(said?.["sha256"]), /^[0-9a-f]{64}$/);
  assert.deepEqual([await before.digest, await after.digest], [said?.["before"], said?.["sha256"]]);
  world.file = policyOf(TWO);
  await world.policies.look();
  assert.equal(world.document, policyOf(ONE, TWO), "the file counts although there is a ConfigMap");
  assert.equal(world.events.length, 1);
  assert.equal(world.made.length, 2);
});

Deno.test("PolicyInForce takes the file's policy when there is no ConfigMap or the API server cannot be asked", async () => {
  const world = new World();
  for (const configMap of [down(), undefined]) {
    world.configMap = configMap;
    for (const document of [policyOf(TWO), policyOf(ONE)]) {
      world.file = document;
      await world.policies.look();
      assert.equal(world.document, document);
    }
  }
  assert.deepEqual(world.said().filter((event) => String(event).startsWith("policy-changed")), [
    ...Array.from({ length: 4 }, () => "policy-changed file"),
  ]);
});

Deno.test("PolicyInForce keeps its policy when the ConfigMap is deleted or cannot be asked, and logs that once", async () => {
  const world = new World();
  world.configMap = policyOf(TWO);
  await world.policies.look();
  world.configMap = down();
  await world.policies.look();
  await world.policies.look();
  assert.equal(world.document, policyOf(TWO));
  world.configMap = undefined;
  for (let look = 0; look < 3; look++) await world.policies.look();
  assert.equal(world.document, policyOf(TWO));
  const said = world.said();
  assert.deepEqual(said.slice(0, 2), ["policy-changed ConfigMap", "policy-not-asked unavailable/kubernetes-api"]);
  assert.equal(said.length, 3);
  assert.match(String(said[2]), /^policy-refused ConfigMap precondition\/policy-config-map/);
});

Deno.test("PolicyInForce issues nothing by what the API server said long ago, and asks it again first", async () => {
  const world = new World();
  world.configMap = policyOf(TWO);
  await world.policies.look();
  const begun = world.policies.current();
  world.configMap = down();
  world.nowMs = 9_000;
  await world.policies.confirm(begun);
  world.nowMs = 11_000;
  await assert.rejects(world.policies.confirm(begun), { code: "unavailable/policy" });
  world.configMap = policyOf(TWO);
  await world.policies.confirm(begun);
  world.nowMs = 22_000;
  world.configMap = policyOf(ONE);
  await assert.rejects(world.policies.confirm(begun), { code: "unavailable/policy" }, "a ban could be in it");
});

Deno.test("PolicyInForce refuses an unusable version, logs that once, and keeps the earlier one", async () => {
  const world = new World();
  world.configMap = policyOf(TWO);
  await world.policies.look();
  world.said();
  world.configMap = BROKEN;
  for (let look = 0; look < 3; look++) await world.policies.look();
  assert.equal(world.document, policyOf(TWO));
  const [said] = world.events;
  assert.deepEqual([said?.["level"], said?.["event"]], ["error", "policy-refused"]);
  assert.match(String(said?.["message"]), /kube-system\/bootstrapper-policy.*tpm\.ekTyp is.*"ekType"/);
  assert.deepEqual(world.said(), ["policy-refused ConfigMap usage/document tpm.ekType"]);
  world.configMap = `${BROKEN}\n`;
  await world.policies.look();
  assert.deepEqual(world.said(), ["policy-refused ConfigMap usage/document tpm.ekType"], "another version");
  world.configMap = policyOf(TWO);
  await world.policies.look();
  world.configMap = `${BROKEN}\n`;
  await world.policies.look();
  assert.equal(world.said().length, 1, "again, after a good one");
  world.configMap = new BootstrapError("usage/policy-config-map", "no key", { details: { key: "policy.yaml" } });
  for (let look = 0; look < 3; look++) await world.policies.look();
  assert.deepEqual(world.said(), ["policy-refused ConfigMap usage/policy-config-map policy.yaml"]);
  assert.equal(world.document, policyOf(TWO));
});

Deno.test("PolicyInForce keeps its policy when the file is torn, gone or broken", async () => {
  const world = new World();
  const torn = new BootstrapError("malformed/service-state", "torn", { details: { key: "" } });
  for (const [file, code] of [[torn, torn.code], [BROKEN, "usage/document"]] as const) {
    world.file = file;
    for (let look = 0; look < 2; look++) await world.policies.look();
    assert.equal(world.document, policyOf(ONE));
    assert.equal(world.said().filter((event) => String(event).startsWith(`policy-refused file ${code}`)).length, 1);
  }
  await world.policies.confirm(world.policies.current());
});

Deno.test("PolicyInForce never becomes insecure, nor secure, while it runs", async () => {
  for (const [before, after] of [[policyOf(ONE), NONE], [NONE, policyOf(ONE)]] as const) {
    const world = new World(before);
    world.configMap = before;
    await world.policies.look();
    world.configMap = after;
    await world.policies.look();
    assert.equal(world.document, before);
    assert.match(String(world.events[0]?.["message"]), /insecure/);
    assert.deepEqual(world.said(), ["policy-refused ConfigMap refused/policy-variant variant"]);
    const without = new World(before);
    without.file = after;
    await without.policies.look();
    assert.equal(without.document, before);
    assert.deepEqual(without.said(), ["policy-refused file refused/policy-variant variant"]);
  }
});

Deno.test("PolicyInForce confirms no version of the file before the API server has said what the ConfigMap is", async () => {
  const world = new World();
  const begun = world.policies.current();
  const refused = { code: "unavailable/policy", retriable: true };
  world.configMap = down();
  await assert.rejects(world.policies.confirm(begun), refused);
  for (const broken of [BROKEN, NONE]) {
    world.configMap = broken;
    await assert.rejects(world.policies.confirm(begun), refused);
  }
  world.configMap = policyOf(TWO);
  await assert.rejects(world.policies.confirm(begun), refused, "the policy is another one now");
  await world.policies.confirm(world.policies.current());

  const other = new World();
  const old = other.policies.current();
  await other.policies.confirm(old);
  other.configMap = policyOf(TWO);
  await other.policies.look();
  const { asked } = other;
  await assert.rejects(other.policies.confirm(old), refused, "the policy is another one now");
  other.configMap = undefined;
  await other.policies.look();
  await assert.rejects(other.policies.confirm(other.policies.current()), refused, "the ConfigMap is gone");
  other.configMap = policyOf(TWO);
  await other.policies.confirm(other.policies.current());
  await other.policies.confirm(other.policies.current());
  assert.equal(other.asked, asked + 3, "the API server is asked again about a confirmed version");
});

Deno.test("PolicyInForce asks once for all callers that look at the same time", async () => {
  const world = new World();
  await Promise.all(Array.from({ length: 20 }, () => world.policies.confirm(world.policies.current())));
  assert.equal(world.asked, 1);
});

Deno.test("PolicyInForce looks every five seconds until its signal", async () => {
  const world = new World();
  const stop = new AbortController();
  world.onSleep = () => {
    if (world.slept.length === 2) world.configMap = policyOf(TWO);
    if (world.slept.length === 3) stop.abort();
  };
  await world.policies.run(stop.signal);
  assert.deepEqual(world.slept, [5000, 5000, 5000]);
  assert.equal(world.document, policyOf(TWO));
});

Deno.test("PolicyInForce keeps each version of the ConfigMap before it is in force", async () => {
  const world = new World();
  await world.policies.look();
  assert.deepEqual(world.keeping, [], "the file's version is kept");
  for (const configMap of [policyOf(ONE), policyOf(TWO), policyOf(TWO), BROKEN, NONE]) {
    world.configMap = configMap;
    await world.policies.look();
  }
  assert.deepEqual(world.keeping, [policyOf(ONE), policyOf(TWO)]);
  world.said();
  world.keepFailure = new BootstrapError("system/file", "the disk is full");
  world.configMap = policyOf(ONE, TWO);
  for (let look = 0; look < 2; look++) await world.policies.look();
  assert.deepEqual(world.said(), ["policy-refused ConfigMap system/file"]);
  assert.equal(world.document, policyOf(TWO));
  await assert.rejects(world.policies.confirm(world.policies.current()), { code: "unavailable/policy" });
  world.keepFailure = undefined;
  await world.policies.look();
  assert.deepEqual([world.document, world.said()], [policyOf(ONE, TWO), ["policy-changed ConfigMap"]]);
  await world.policies.confirm(world.policies.current());
});

Deno.test("PolicyInForce never goes back to the file when it once saw a ConfigMap", async () => {
  const refused = { code: "unavailable/policy", retriable: true };
  const world = new World(policyOf(ONE), policyOf(TWO));
  assert.deepEqual([world.document, world.policies.current().isConfirmed], [policyOf(TWO), false]);
  for (let look = 0; look < 2; look++) await assert.rejects(world.policies.confirm(world.policies.current()), refused);
  const [event, ...more] = world.events;
  assert.deepEqual([event?.["level"], event?.["code"], more], ["error", "precondition/policy-config-map", []]);
  assert.equal(world.document, policyOf(TWO));
  world.configMap = down();
  await assert.rejects(world.policies.confirm(world.policies.current()), refused);
  world.configMap = policyOf(TWO);
  await world.policies.confirm(world.policies.current());
  assert.deepEqual(world.keeping, [], "the same version is not written again");
});

Deno.test("PolicyInForce issues nothing without a ConfigMap when it cannot read what it kept", async () => {
  const unreadable = new BootstrapError("malformed/kept-policy", "torn");
  for (
    const [kept, code] of [[unreadable, unreadable.code], [BROKEN, "usage/document"], [NONE, "refused/policy-variant"]]
  ) {
    const world = new World(policyOf(ONE), kept);
    assert.deepEqual(world.said().map(String).map((said) => said.split(" ").slice(0, 3)), [
      ["policy-refused", "kept", code],
    ]);
    await assert.rejects(world.policies.confirm(world.policies.current()), { code: "unavailable/policy" });
    world.configMap = policyOf(TWO);
    await world.policies.look();
    await world.policies.confirm(world.policies.current());
  }
});
