import assert from "node:assert/strict";
import { join } from "node:path";
import { type CertificateAuthority, createCertificateAuthority, issueClientCertificate } from "../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { kubeconfig } from "../kubernetes/kubeconfig.ts";
import { certificateEnds, CONTROL_PLANE_CERTIFICATES } from "../kubernetes/control_plane_certificates.ts";
import { STATIC_PODS } from "../kubernetes/static_pods.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { keepCertificates } from "./_kept_certificates.ts";
import { type ControlPlaneRenewalDependencies, renewControlPlane } from "./control_plane_renewal.ts";
import { readControlPlaneRenewal, writeControlPlaneRenewal } from "./control_plane_renewal_record.ts";
import { nodePaths } from "./paths.ts";

const DAY_MS = 86_400_000;
const START = new Date("2026-11-01T00:00:00Z");
const never = new AbortController().signal;
const commonName = (value: string) => [{ oid: "2.5.4.3", value }];

/** A control plane whose certificates live a year. Its clock moves only when the test moves it. */
class ControlPlane implements AsyncDisposable {
  readonly paths;
  readonly did: string[] = [];
  days = 0;
  isKubeletActive = true;
  serviceEnd: Date | undefined = new Date(START.getTime() + 365 * DAY_MS);
  /** Where the next renewal fails: before this action. */
  failAt: string | undefined;
  /** What the API server says to who wants a turn. */
  refuses: BootstrapError | undefined;

  private constructor(readonly root: string, readonly ca: CertificateAuthority) {
    this.paths = nodePaths(root);
  }

  static async create(): Promise<ControlPlane> {
    const made = new ControlPlane(await Deno.makeTempDir(), await createCertificateAuthority(START));
    const { kubernetes, state } = made.paths;
    await Deno.mkdir(state, { recursive: true });
    await Deno.mkdir(join(kubernetes, "pki/etcd"), { recursive: true });
    await Deno.mkdir(join(kubernetes, "manifests"));
    for (const pod of STATIC_PODS) {
      const manifest = `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${pod}\nspec:\n  hostNetwork: true\n`;
      await Deno.writeTextFile(join(kubernetes, "manifests", `${pod}.yaml`), manifest);
    }
    await made.writeCertificates();
    made.did.length = 0;
    return made;
  }

  now(): Date {
    return new Date(START.getTime() + this.days * DAY_MS);
  }

  /** Does what kubeadm does: each file in place, the key first. */
  async writeCertificates(): Promise<void> {
    for (const { path, keyPath } of CONTROL_PLANE_CERTIFICATES) {
      const keys = await generateKeyPair("p-256");
      const request = { spki: keys.spki, subject: commonName(path), lifetimeMs: 365 * DAY_MS };
      const pem = writePem("CERTIFICATE", (await issueClientCertificate(this.ca, request, this.now())).der);
      const key = await privateKeyPem(keys);
      const file = join(this.paths.kubernetes, path);
      if (keyPath === undefined) {
        const server = "https://192.0.2.1:6443";
        await Deno.writeTextFile(file, kubeconfig({ server, caPem: pem, certificatePem: pem, keyPem: key, ...NAMES }));
      } else {
        await Deno.writeTextFile(join(this.paths.kubernetes, keyPath), key);
        this.#step(`key of ${path}`);
        await Deno.writeTextFile(file, pem);
      }
    }
  }

  #step(name: string): void {
    if (this.failAt === name) throw new BootstrapError("system/kubeadm", name);
    this.did.push(name);
  }

  get deps(): ControlPlaneRenewalDependencies {
    const clock = { now: () => this.now(), monotonicMs: () => 0, sleep: () => Promise.resolve() };
    return {
      ...{ paths: this.paths, clock, random: () => 0, log: silentLog },
      readCa: () => Promise.resolve(this.ca),
      clusterConfiguration: () => Promise.resolve("certificateValidityPeriod: 8760h0m0s\n"),
      kubeadmRenew: async () => {
        this.#step("kubeadm");
        await this.writeCertificates();
        this.#step("kubeadm ended");
      },
      isKubeletActive: () => Promise.resolve(this.isKubeletActive),
      inTurn: (signal, work) => {
        if (this.refuses !== undefined) throw this.refuses;
        return work(signal);
      },
      awaitPod: (pod) => {
        this.#step(pod);
        return Promise.resolve();
      },
      serviceEnd: () => Promise.resolve(this.serviceEnd),
      renewService: () => {
        this.#step("service");
        this.serviceEnd = new Date(this.now().getTime() + 365 * DAY_MS);
        return Promise.resolve();
      },
      restartService: () => {
        this.#step("service restarted");
        return Promise.resolve();
      },
    };
  }

  /** Names the certificates whose key is another's. */
  async mismatched(): Promise<string[]> {
    const wrong = [];
    for (const { path, keyPath } of CONTROL_PLANE_CERTIFICATES) {
      if (keyPath === undefined) continue;
      const read = (name: string) => Deno.readTextFile(join(this.paths.kubernetes, name));
      const check = new Deno.Command("sh", { args: ["-c", MATCH, "sh", await read(path), await read(keyPath)] });
      if ((await check.output()).code !== 0) wrong.push(path);
    }
    return wrong;
  }

  async annotated(): Promise<string[]> {
    const pods = await Promise.all(STATIC_PODS.map(async (pod) => {
      const text = await Deno.readTextFile(join(this.paths.kubernetes, "manifests", `${pod}.yaml`));
      return text.includes("bootstrapper.dev/restarted-at") ? [pod] : [];
    }));
    return pods.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

const NAMES = { clusterName: "demo", userName: "somebody" };
const MATCH = '[ "$(echo "$1" | openssl x509 -pubkey -noout)" = "$(echo "$2" | openssl pkey -pubout)" ]';
const POD_NAMES = [...STATIC_PODS];

const ends = async ({ paths }: ControlPlane) =>
  new Set((await certificateEnds(paths.kubernetes)).map(({ notAfter }) => notAfter.toISOString().slice(0, 10)));

Deno.test("renewControlPlane() does nothing in the first two thirds, and says when it will", async () => {
  await using node = await ControlPlane.create();
  node.days = 240;
  const outcome = await renewControlPlane(node.deps, never);
  assert.deepEqual(outcome, { state: "early", until: new Date("2027-11-01T00:00:00.000Z") });
  assert.deepEqual(node.did, []);
  const { mtime } = await Deno.stat(join(node.paths.state, "control-plane-renewal.due"));
  assert.equal(mtime?.toISOString(), "2027-07-02T08:00:00.000Z");
});

Deno.test("renewControlPlane() renews all, and starts one Pod after the other", async () => {
  await using node = await ControlPlane.create();
  node.days = 250;
  const outcome = await renewControlPlane(node.deps, never);
  assert.equal(outcome.state, "renewed");
  assert.deepEqual(node.did.filter((step) => !step.startsWith("key of")), [
    ...["service", "kubeadm", "kubeadm ended"],
    ...POD_NAMES,
    "service restarted",
  ]);
  assert.deepEqual(await ends(node), new Set(["2028-07-08"]));
  assert.deepEqual(await node.annotated(), POD_NAMES);
  assert.deepEqual((await readControlPlaneRenewal(node.paths.state))?.pending, []);
  node.did.length = 0;
  await renewControlPlane(node.deps, never);
  assert.deepEqual(node.did, []);
});

Deno.test("at boot, after years, nobody is asked: the Pods start with the new certificates", async () => {
  await using node = await ControlPlane.create();
  [node.days, node.isKubeletActive] = [400, false];
  node.refuses = new BootstrapError("unavailable/kubernetes-api", "no API server runs");
  assert.equal((await renewControlPlane(node.deps, never)).state, "renewed");
  assert.deepEqual(await ends(node), new Set(["2028-12-05"]));
  assert.deepEqual(node.did.filter((step) => POD_NAMES.some((pod) => pod === step)), []);
  assert.deepEqual(await node.annotated(), POD_NAMES);
});

Deno.test("without an API server it waits while there is time, and goes on alone when there is little", async () => {
  await using node = await ControlPlane.create();
  node.refuses = new BootstrapError("unavailable/kubernetes-api", "it does not answer");
  node.days = 250;
  await assert.rejects(renewControlPlane(node.deps, never), { code: "unavailable/kubernetes-api" });
  assert.deepEqual(node.did, []);
  node.days = 320;
  assert.equal((await renewControlPlane(node.deps, never)).state, "renewed");
  assert.deepEqual(await node.annotated(), POD_NAMES);
});

Deno.test("another control plane's turn is awaited, however late it is", async () => {
  await using node = await ControlPlane.create();
  node.days = 400;
  node.refuses = new BootstrapError("conflict/turn", "cp-2 is at the same work");
  await assert.rejects(renewControlPlane(node.deps, never), { code: "conflict/turn" });
  assert.deepEqual(node.did, []);
});

const FAILURES = [
  ...["service", "kubeadm", "key of pki/apiserver.crt", "key of pki/etcd/peer.crt", "kubeadm ended"],
  ...POD_NAMES,
  "service restarted",
];
for (const failAt of FAILURES) {
  Deno.test(`a renewal that fails before "${failAt}" is done by the next one`, async () => {
    await using node = await ControlPlane.create();
    node.days = 250;
    node.failAt = failAt;
    await assert.rejects(renewControlPlane(node.deps, never));
    assert.deepEqual(await node.mismatched(), [], "a failure leaves no half certificate");
    node.failAt = undefined;
    node.did.length = 0;
    await renewControlPlane(node.deps, never);
    assert.deepEqual(await node.mismatched(), []);
    assert.deepEqual(await ends(node), new Set(["2028-07-08"]));
    assert.deepEqual(await node.annotated(), POD_NAMES);
    assert.deepEqual((await readControlPlaneRenewal(node.paths.state))?.pending, []);
  });
}

Deno.test("what a kill leaves half written is put back first, and then renewed", async () => {
  await using node = await ControlPlane.create();
  node.days = 250;
  const before = await ends(node);
  await keepCertificates(node.paths);
  // kubeadm died between a key and its certificate, and within a kubeconfig.
  const { kubernetes, state } = node.paths;
  await Deno.writeTextFile(join(kubernetes, "pki/apiserver.key"), await privateKeyPem(await generateKeyPair("p-256")));
  await Deno.truncate(join(kubernetes, "admin.conf"), 100);
  assert.deepEqual(await node.mismatched(), ["pki/apiserver.crt"]);
  node.refuses = new BootstrapError("unavailable/kubernetes-api", "no API server runs");
  await assert.rejects(renewControlPlane(node.deps, never), { code: "unavailable/kubernetes-api" });
  assert.deepEqual(await node.mismatched(), []);
  assert.deepEqual(await ends(node), before);
  // A copy that was never finished, or that is being forgotten, is not put back.
  await Deno.mkdir(join(state, "certificates.kept.staged"));
  node.refuses = undefined;
  await renewControlPlane(node.deps, never);
  assert.deepEqual(await ends(node), new Set(["2028-07-08"]));
  assert.deepEqual((await Array.fromAsync(Deno.readDir(state))).map(({ name }) => name).sort(), [
    ...["control-plane-renewal.due", "control-plane-renewal.json", "renewal.lock"],
  ]);
});

Deno.test("the copies of the keys are root's alone", async () => {
  await using node = await ControlPlane.create();
  await keepCertificates(node.paths);
  const folder = join(node.paths.state, "certificates.kept");
  assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
  for await (const { name } of Deno.readDir(folder)) {
    assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o777, 0o600, name);
  }
});

Deno.test("a clock that is behind is refused with both times, and believed when asked to", async () => {
  await using node = await ControlPlane.create();
  node.days = 100;
  await renewControlPlane(node.deps, never);
  node.days = 99;
  await assert.rejects(renewControlPlane(node.deps, never), (error: unknown) => {
    assert.ok(error instanceof BootstrapError);
    assert.equal(error.code, "precondition/clock-behind");
    assert.match(error.message, /2027-02-08T00:00:00.000Z.*2027-02-09T00:00:00.000Z/);
    return true;
  });
  await renewControlPlane(node.deps, never, { acceptsClock: true });
  await renewControlPlane(node.deps, never);
  node.days = -2;
  await Deno.remove(join(node.paths.state, "control-plane-renewal.json"));
  await assert.rejects(renewControlPlane(node.deps, never), { code: "precondition/clock-behind" });
});

Deno.test("a machine without certificates of a control plane is told so", async () => {
  await using node = await ControlPlane.create();
  await Deno.remove(node.paths.kubernetes, { recursive: true });
  await assert.rejects(renewControlPlane(node.deps, never), { code: "precondition/not-a-control-plane" });
});

Deno.test("a record of another form is refused by its key", async () => {
  await using node = await ControlPlane.create();
  const record = { version: 1, seen: START.toISOString(), until: START.toISOString(), pending: ["etcd"] } as const;
  await writeControlPlaneRenewal(node.paths.state, record);
  assert.deepEqual(await readControlPlaneRenewal(node.paths.state), record);
  for (const wrong of [{ ...record, version: 2 }, { ...record, pending: ["etc"] }, { ...record, seen: "now" }]) {
    await Deno.writeTextFile(join(node.paths.state, "control-plane-renewal.json"), JSON.stringify(wrong));
    await assert.rejects(readControlPlaneRenewal(node.paths.state), { code: "malformed/renewal-record" });
  }
});
