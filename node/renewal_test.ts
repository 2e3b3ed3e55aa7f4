import assert from "node:assert/strict";
import { join } from "node:path";
import type { CertificateAuthority } from "../certificate/ca.ts";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { issueNodeCertificates } from "../certificate/testing/node_certificates.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import type { NodeCertificates } from "../kubernetes/kubelet_credentials.ts";
import {
  installNodeCertificates,
  nodeCertificatePath,
  readNodeCertificate,
} from "../kubernetes/kubelet_credentials.ts";
import { takeRenewalLock } from "../nodelock/run_lock.ts";
import { abortable, untilAborted } from "../platform/abortable.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { recordMembership } from "./membership.ts";
import { nodePaths } from "./paths.ts";
import type { RenewalDependencies, RenewalTask } from "./renewal.ts";
import { renewCertificates } from "./renewal.ts";
import { readRenewalRecord, recordIssuedCertificates, writeRenewalRecord } from "./renewal_record.ts";
import { statusRefusal } from "./status.ts";
import { writeResetMarker } from "./reset_marker.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const START = new Date("2026-11-01T00:00:00Z");
const UID = "0f8fad5b-d9cb-469f-a165-70867728950e";
const never = new AbortController().signal;

/** A member with certificates of three hours. Its clock moves only when the test moves it. */
class Member implements AsyncDisposable {
  readonly paths;
  readonly tasks: RenewalTask[] = [];
  hours = 0;
  /** What the worker's way does instead of succeeding. */
  attempt: (task: RenewalTask) => Promise<void> = () => Promise.resolve();
  /** What the API server answers to the kubelet. */
  denial: () => Promise<BootstrapError | undefined> = () => Promise.resolve(undefined);
  /** The other control planes' join services. */
  others: readonly string[] = [];
  bootedAt = START;
  #sleeps: (() => void)[] = [];

  private constructor(readonly root: string, readonly ca: CertificateAuthority) {
    this.paths = nodePaths(root);
  }

  static async create({ isControlPlane = false } = {}): Promise<Member> {
    const member = new Member(await Deno.makeTempDir(), await createCertificateAuthority(START));
    const { paths } = member;
    await Deno.mkdir(paths.state, { recursive: true });
    await Deno.mkdir(join(paths.kubernetes, "pki"), { recursive: true });
    if (isControlPlane) await Deno.writeTextFile(join(paths.kubernetes, "pki/ca.key"), "");
    await recordMembership(paths.state, { now: () => START });
    const certificates = await member.issue();
    const issued = {
      certificates,
      joinEndpoints: ["192.0.2.1:9444"],
      issuedBy: "attestation",
      attested: START,
    } as const;
    await recordIssuedCertificates(paths.state, issued, { now: START, random: 0 });
    return member;
  }

  now(): Date {
    return new Date(START.getTime() + this.hours * HOUR_MS);
  }

  async issue(admission: { readonly admissionUid?: string } = { admissionUid: UID }): Promise<NodeCertificates> {
    const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
    const node = { nodeName: "worker-1", addresses: ["192.0.2.7"], epoch: 1, lifetimeMs: 3 * HOUR_MS };
    const request = { ...node, ...admission, clientKey: keys.client.spki, servingKey: keys.serving.spki };
    const certificates = await issueNodeCertificates(this.ca, request, this.now());
    await installNodeCertificates(this.paths, certificates, keys);
    return certificates;
  }

  /** The time that a renewal may take is over. */
  runOut(): void {
    for (const end of this.#sleeps.splice(0)) end();
  }

  get deps(): RenewalDependencies {
    const way = (name: string) => async (task: RenewalTask) => {
      this.tasks.push(task);
      this.ways.push(name);
      await this.attempt(task);
      return { certificates: await this.issue(), joinEndpoints: ["192.0.2.2:9444"] };
    };
    return {
      paths: this.paths,
      clock: {
        now: () => this.now(),
        monotonicMs: () => 0,
        sleep: (_ms, signal) => {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#sleeps.push(resolve);
          return signal === undefined ? promise : abortable(promise, signal);
        },
      },
      random: () => 0,
      log: silentLog,
      denial: () => this.denial(),
      otherServices: () => Promise.resolve(this.others),
      bootedAt: this.bootedAt,
      attest: way("attest"),
      issue: way("issue"),
    };
  }

  readonly ways: string[] = [];

  serial(): Promise<string | undefined> {
    return readNodeCertificate(this.paths, "client").then((found) => found?.serialNumber.toHex());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

Deno.test("renewCertificates() does nothing in the first third, and says when it will", async () => {
  await using member = await Member.create();
  const before = await member.serial();
  member.hours = 0.9;
  const outcome = await renewCertificates(member.deps, never);
  assert.equal(outcome.state, "early");
  assert.equal(outcome.renewableFrom.toISOString(), "2026-11-01T00:56:40.000Z");
  assert.deepEqual(member.ways, []);
  assert.equal(await member.serial(), before);
});

const dueOf = async ({ paths }: Member) => (await Deno.stat(join(paths.state, "renewal.due"))).mtime;

Deno.test("renewCertificates() renews at once what the API server denies, in the first third too", async () => {
  for (const isControlPlane of [false, true]) {
    await using member = await Member.create({ isControlPlane });
    const before = await member.serial();
    member.hours = 0.1;
    member.denial = () => Promise.resolve(new BootstrapError("unavailable/kubernetes-authorizer", "Denied"));
    assert.equal((await renewCertificates(member.deps, never)).state, "renewed");
    assert.deepEqual(member.ways, [isControlPlane ? "issue" : "attest"]);
    assert.equal(member.tasks[0]?.urgency, "late");
    assert.notEqual(await member.serial(), before);
  }
});

Deno.test("renewCertificates() takes no answer of the API server as no denial, and asks again within an hour", async () => {
  await using member = await Member.create();
  member.hours = 0.1;
  member.denial = () => Promise.reject(new BootstrapError("timeout/kubernetes-api", "No answer"));
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
  assert.deepEqual(member.ways, []);
  const due = await dueOf(member);
  assert.ok(due && due > member.now() && due.getTime() <= member.now().getTime() + HOUR_MS);
});

Deno.test("renewCertificates() renews in the first third when a person says so, without asking", async () => {
  await using member = await Member.create();
  member.denial = () => Promise.reject(new Error("asked"));
  assert.equal((await renewCertificates(member.deps, never, { isNow: true })).state, "renewed");
  assert.equal(member.tasks[0]?.urgency, "due");
});

Deno.test("renewCertificates() replaces a certificate without an admission, with which a kubelet only starts", async () => {
  await using member = await Member.create({ isControlPlane: true });
  await member.issue({});
  assert.equal((await renewCertificates(member.deps, never)).state, "renewed");
  assert.equal(member.tasks[0]?.urgency, "due");
});

Deno.test("renewCertificates() has a worker attested from a third on, and long after the end", async () => {
  for (const [hours, urgency] of [[1.1, "due"], [2.5, "late"], [9_600, "late"]] as const) {
    await using member = await Member.create();
    const before = await member.serial();
    member.hours = hours;
    const outcome = await renewCertificates(member.deps, never);
    assert.equal(outcome.state, "renewed");
    assert.deepEqual(member.ways, ["attest"]);
    assert.equal(member.tasks[0]?.urgency, urgency);
    assert.deepEqual(member.tasks[0]?.joinEndpoints, ["192.0.2.1:9444"]);
    assert.notEqual(await member.serial(), before);
    const record = await readRenewalRecord(member.paths.state);
    assert.equal(record?.attested, member.now().toISOString());
    assert.deepEqual(record?.joinEndpoints, ["192.0.2.2:9444"]);
    const latest = Math.min(outcome.renewableFrom.getTime(), member.now().getTime() + HOUR_MS);
    assert.equal((await dueOf(member))?.getTime(), latest);
  }
});

Deno.test("renewCertificates() has a control plane issue its own, and does not call that an attestation", async () => {
  await using member = await Member.create({ isControlPlane: true });
  member.hours = 2;
  await renewCertificates(member.deps, never);
  assert.deepEqual(member.ways, ["issue"]);
  const record = await readRenewalRecord(member.paths.state);
  assert.deepEqual([record?.issuedBy, record?.attested], ["own-ca", START.toISOString()]);
});

Deno.test("renewCertificates() attests a control plane to the others after a boot and each day, early as it is", async () => {
  await using member = await Member.create({ isControlPlane: true });
  member.others = ["192.0.2.2:9444"];
  member.hours = 0.1;
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
  member.bootedAt = member.now();
  member.hours = 0.2;
  assert.equal((await renewCertificates(member.deps, never)).state, "renewed");
  assert.deepEqual(member.ways, ["attest"]);
  assert.deepEqual([member.tasks[0]?.role, member.tasks[0]?.joinEndpoints], ["control-plane", member.others]);
  const record = await readRenewalRecord(member.paths.state);
  assert.deepEqual([record?.issuedBy, record?.attested], ["attestation", member.now().toISOString()]);
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
});

Deno.test("renewCertificates() leaves a control plane that others refuse, or that has no others, as it is", async () => {
  await using member = await Member.create({ isControlPlane: true });
  member.hours = 0.1;
  member.bootedAt = member.now();
  const before = await member.serial();
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
  assert.deepEqual(member.ways, []);
  member.others = ["192.0.2.2:9444"];
  member.attempt = ({ onFailure }) => {
    onFailure(new BootstrapError("refused/pcr-4", "PCR 4 is wrong"), "192.0.2.2:9444");
    return Promise.reject(new BootstrapError("timeout/renewal", "No service"));
  };
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
  assert.deepEqual(member.ways, ["attest"]);
  assert.equal(await member.serial(), before);
  assert.equal((await readRenewalRecord(member.paths.state))?.attested, START.toISOString());
});

Deno.test("renewCertificates() records why a node was refused, keeps its certificates, and forgets it when renewed", async () => {
  await using member = await Member.create();
  const before = await member.serial();
  member.hours = 2;
  member.attempt = (task) => {
    task.onFailure(new BootstrapError("unavailable/connection", "Nothing listens at 192.0.2.1:9444"));
    task.onFailure(new BootstrapError("refused/pcr-4", "PCR 4 is wrong"), "192.0.2.2:9444");
    task.onFailure(new BootstrapError("unavailable/connection", "Nothing listens at 192.0.2.1:9444"));
    member.runOut();
    return untilAborted(task.signal);
  };
  await assert.rejects(renewCertificates(member.deps, never), { code: "refused/pcr-4" });
  assert.equal(await member.serial(), before);
  const refused = await readRenewalRecord(member.paths.state);
  assert.deepEqual([refused?.refusal?.code, refused?.refusal?.peer], ["refused/pcr-4", "192.0.2.2:9444"]);
  assert.equal(refused?.attested, START.toISOString());
  member.attempt = () => Promise.resolve();
  await renewCertificates(member.deps, never);
  assert.equal((await readRenewalRecord(member.paths.state))?.refusal, undefined);
});

Deno.test("renewCertificates() gives up in time where no service answers, and says so", async () => {
  await using member = await Member.create();
  member.hours = 2;
  member.attempt = ({ signal }) => {
    member.runOut();
    return untilAborted(signal).catch(() => {
      throw new BootstrapError("aborted/ticket-search", "Stopped");
    });
  };
  await assert.rejects(renewCertificates(member.deps, never), { code: "timeout/renewal", retriable: true });
  assert.equal((await readRenewalRecord(member.paths.state))?.refusal?.code, "timeout/renewal");
});

Deno.test("renewCertificates() replaces a certificate that is torn or gone, also in the first third", async () => {
  for (const usage of ["client", "serving"] as const) {
    await using member = await Member.create();
    await Deno.truncate(nodeCertificatePath(member.paths.kubelet, usage), 100);
    assert.equal((await renewCertificates(member.deps, never)).state, "renewed");
    await Deno.remove(nodeCertificatePath(member.paths.kubelet, usage));
    assert.equal((await renewCertificates(member.deps, never)).state, "renewed");
    assert.equal(member.tasks[1]?.installed[usage], undefined);
    assert.equal((await renewCertificates(member.deps, never)).state, "early");
  }
});

Deno.test("renewCertificates() works without a record that can be read", async () => {
  await using member = await Member.create();
  await Deno.writeTextFile(join(member.paths.state, "renewal.json"), "{");
  member.hours = 2;
  await renewCertificates(member.deps, never);
  assert.deepEqual(member.tasks[0]?.joinEndpoints, []);
  assert.equal((await readRenewalRecord(member.paths.state))?.issuedBy, "attestation");
});

Deno.test("renewCertificates() writes the record that a killed renewal has not written, and drops its old refusal", async () => {
  for (const isControlPlane of [false, true]) {
    await using member = await Member.create({ isControlPlane });
    const { state } = member.paths;
    const old = await readRenewalRecord(state);
    assert.ok(old !== undefined);
    const refusal = statusRefusal(new BootstrapError("refused/pcr-4", "PCR 4 is wrong"), START);
    await writeRenewalRecord(state, { ...old, refusal });
    member.hours = 0.5;
    const { client } = await member.issue();
    assert.equal((await renewCertificates(member.deps, never)).state, "early");
    const record = await readRenewalRecord(state);
    assert.equal(record?.client.notAfter, client.notAfter.toISOString());
    assert.equal(record.refusal, undefined);
    assert.deepEqual(record.joinEndpoints, old.joinEndpoints);
    assert.equal(record.attested, isControlPlane ? old.attested : client.notBefore.toISOString());
  }
});

Deno.test("renewCertificates() records a refusal also where there was no record", async () => {
  await using member = await Member.create();
  await Deno.remove(join(member.paths.state, "renewal.json"));
  member.hours = 2;
  member.attempt = ({ onFailure }) => {
    const error = new BootstrapError("refused/pcr-4", "PCR 4 is wrong");
    onFailure(error, "192.0.2.2:9444");
    return Promise.reject(error);
  };
  await assert.rejects(renewCertificates(member.deps, never), { code: "refused/pcr-4" });
  assert.equal((await readRenewalRecord(member.paths.state))?.refusal?.code, "refused/pcr-4");
});

Deno.test("renewCertificates() removes the key that a killed renewal left in a temporary file", async () => {
  await using member = await Member.create();
  const folder = join(member.paths.kubelet, "pki");
  await Deno.writeTextFile(join(folder, `.bootstrapper-client.pem.${"ab".repeat(8)}.tmp`), "a key");
  assert.equal((await renewCertificates(member.deps, never)).state, "early");
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
    "bootstrapper-client.pem",
    "bootstrapper-serving.pem",
  ]);
});

Deno.test("renewCertificates() refuses a node that is no member, is being reset, or renews already", async () => {
  await using member = await Member.create();
  await Deno.remove(join(member.paths.state, "member"));
  await assert.rejects(renewCertificates(member.deps, never), { code: "precondition/not-a-member" });
  await recordMembership(member.paths.state, member);
  {
    using _other = await takeRenewalLock(member.paths.state);
    const sleep = () => Promise.resolve();
    const impatient = { ...member.deps, clock: { ...member.deps.clock, sleep } };
    await assert.rejects(renewCertificates(impatient, never), { code: "conflict/renewal" });
  }
  await writeResetMarker(member.paths.state, { startedAt: START.toISOString(), etcdPeers: [] });
  await assert.rejects(renewCertificates(member.deps, never), { code: "precondition/reset-under-way" });
  assert.deepEqual(member.ways, []);
});

Deno.test("renewCertificates() leaves a node alone that was reset while it waited for another renewal", async () => {
  await using member = await Member.create();
  member.hours = 2;
  const other = await takeRenewalLock(member.paths.state);
  const sleep = async () => {
    await Deno.remove(join(member.paths.state, "member"));
    other[Symbol.dispose]();
  };
  const waiting = { ...member.deps, clock: { ...member.deps.clock, sleep } };
  await assert.rejects(renewCertificates(waiting, never), { code: "precondition/not-a-member" });
  assert.deepEqual(member.ways, []);
});

Deno.test("renewCertificates() looks again in 10 to 20 minutes after a failure while there is time, and else at once", async () => {
  for (const [hours, isTime] of [[1.1, true], [2.5, false]] as const) {
    await using member = await Member.create();
    member.hours = hours;
    const attest = () => Promise.reject(new BootstrapError("unavailable/policy", "Not now"));
    await assert.rejects(renewCertificates({ ...member.deps, attest }, never), { code: "unavailable/policy" });
    const next = await dueOf(member).catch(() => undefined);
    const pauseMs = (next?.getTime() ?? 0) - member.now().getTime();
    assert.equal(pauseMs >= 10 * MINUTE_MS && pauseMs <= 20 * MINUTE_MS, isTime, String(pauseMs));
    if (!isTime) assert.ok(pauseMs <= 0);
  }
});

Deno.test("renewCertificates() ends with the reason of its signal, which is no refusal", async () => {
  await using member = await Member.create();
  member.hours = 2;
  const stop = new AbortController();
  member.attempt = ({ signal }) => {
    stop.abort(new BootstrapError("aborted/run", "Stopped"));
    signal.throwIfAborted();
    return Promise.resolve();
  };
  await assert.rejects(renewCertificates(member.deps, stop.signal), { code: "aborted/run" });
  assert.equal((await readRenewalRecord(member.paths.state))?.refusal, undefined);
});
