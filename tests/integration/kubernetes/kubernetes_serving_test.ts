import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { readPem } from "../../../certificate/pem.ts";
import { EXT_KEY_USAGE, extKeyUsage, subjectAltName } from "../../../certificate/extensions.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { clusterNetwork } from "../../../service/claims_check.ts";
import { runServingApprover } from "../../../service/serving_approver.ts";
import type { AdmissionRecord } from "../../../kubernetes/admission_records.ts";
import { AdmissionRecords } from "../../../kubernetes/admission_records.ts";
import type { ApiCredentials } from "../../../kubernetes/api.ts";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { joinDocument } from "../../../kubernetes/documents.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { signNodeCertificate } from "../../../kubernetes/node_certificate.ts";
import { DEFAULT_CLUSTER_DOCUMENT, defaultTimeouts } from "../../../kubernetes/settings.ts";
import { base64, fromBase64, fromUtf8, utf8 } from "../../../platform/bytes.ts";
import { type Clock, systemClock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { createLog } from "../../../platform/log.ts";
import { capture } from "../../tools/run.ts";
import type { WorldNode } from "../../world_node.ts";
import { KUBEADM_DEADLINE_MS, kubeadmOn, TestCluster } from "./cluster.ts";

const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SERVER_PEM = "/var/lib/kubelet/pki/kubelet-server-current.pem";
const DEADLINE_MS = 120_000;
const USAGES = ["digital signature", "server auth"];

const csrSchema = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  spec: v.looseObject({ username: v.string(), signerName: v.string() }),
  status: v.looseObject({
    certificate: v.optional(v.string()),
    conditions: v.optional(v.array(v.looseObject({ type: v.string(), reason: v.string() })), []),
  }),
});
const listSchema = v.object({ items: v.array(csrSchema) });

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;

/** The factor by which time passes faster for the approvers. */
const HASTE = 10;
const quickClock: Clock = {
  now: () => systemClock.now(),
  monotonicMs: () => HASTE * systemClock.monotonicMs(),
  sleep: (ms, signal) => systemClock.sleep(ms / HASTE, signal),
};

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + DEADLINE_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < end, `there was no ${what} in ${DEADLINE_MS / 1000} s`);
    await systemClock.sleep(50);
  }
}

function recordOf(nodeName: string, identity: string, addresses: readonly string[]): AdmissionRecord {
  const rest = { role: "worker", nodeKey: "AAAA", evidenceDigest: "00".repeat(32) } as const;
  return { nodeName, identity: identity.repeat(32), addresses, ...rest };
}

interface Asking {
  readonly by: ApiCredentials;
  readonly subject: string;
  readonly names: string;
  readonly usages?: readonly string[];
  readonly signerName?: string;
  readonly algorithm?: readonly string[];
}

/** Makes a request with the given credentials, and returns its name. */
async function ask(folder: string, asking: Asking): Promise<string> {
  const algorithm = asking.algorithm ?? ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
  const keyFile = join(folder, "serving.key");
  await capture(["openssl", "genpkey", "-algorithm", ...algorithm, "-out", keyFile]);
  const extension = asking.names === "" ? [] : ["-addext", `subjectAltName=${asking.names}`];
  const csr = await capture(["openssl", "req", "-new", "-key", keyFile, "-subj", asking.subject, ...extension]);
  using api = new KubernetesApi(asking.by);
  const { metadata } = await api.create(PATH, {
    metadata: { generateName: "serving-" },
    spec: {
      request: base64(utf8(csr)),
      signerName: asking.signerName ?? "kubernetes.io/kubelet-serving",
      usages: asking.usages ?? USAGES,
    },
  }, csrSchema);
  return metadata.name;
}

/** Verifies a chain with openssl: the CA, the purpose, the name, the address. */
async function verifyByOpenssl(cluster: TestCluster, pem: string, node: string, ip: string): Promise<void> {
  const file = join(cluster.ca.folder, "chain.pem");
  await Deno.writeTextFile(file, pem);
  const ca = join(cluster.ca.folder, "ca.crt");
  const checks = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", node, "-verify_ip", ip];
  assert.match(await capture(["openssl", "verify", "-CAfile", ca, ...checks, file]), /: OK/);
}

async function joinWorker(cluster: TestCluster, service: KubernetesApi, worker: WorldNode): Promise<void> {
  const { csrPem, keyPem } = await cluster.ca.csr(`/O=system:nodes/CN=system:node:${worker.name}`);
  const wait = { clock: systemClock, deadlineMs: DEADLINE_MS };
  const request = { nodeName: worker.name, csrPem, expirationSeconds: 600 };
  const certificatePem = await signNodeCertificate(service, request, wait);
  const discoveryKubeconfigPath = "/etc/bootstrapper/discovery.conf";
  const parts = { clusterName: "test", userName: "ticket", server: cluster.server };
  const config = kubeconfig({ ...parts, caPem: await cluster.ca.certificate(), certificatePem, keyPem });
  await worker.write(discoveryKubeconfigPath, config);
  worker.startKubeletStandIn();
  const facts = { name: worker.name, address: worker.ip };
  const document = joinDocument({ node: facts, discoveryKubeconfigPath, timeouts: defaultTimeouts });
  await (await kubeadmOn(worker)).join(document, { deadlineMs: KUBEADM_DEADLINE_MS });
}

Deno.test("only kubelets of admitted nodes get serving certificates of the cluster's CA", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());
  const admissions = new AdmissionRecords(service);
  const network = clusterNetwork([cluster.server.slice("https://".length)], DEFAULT_CLUSTER_DOCUMENT);
  const worker = await cluster.world.node("worker-1");
  const events: Record<string, unknown>[] = [];
  const log = createLog(systemClock, (line) => events.push(JSON.parse(line)));
  const stop = new AbortController();
  const approver = () => runServingApprover({ api: service, admissions, network, clock: quickClock, log }, stop.signal);
  // Two approvers, as every control plane runs one.
  const running = Promise.all([approver(), approver()]);
  const { folder } = cluster.ca;
  const nodeCredentials = (name: string) => cluster.credentials(`/O=system:nodes/CN=system:node:${name}`);
  const csrOf = (name: string) => cluster.admin.get(`${PATH}/${name}`, csrSchema);
  const conditionsOf = async (name: string) => (await csrOf(name)).status.conditions.map(({ type }) => type);
  const seen = (event: string, request: string) =>
    events.filter((one) => one.event === event && one.request === request).map(({ code }) => code);

  try {
    await t.step("the first control plane's kubelet gets its certificate once its node has a record", async () => {
      const { items } = await until("request of cp-1", async () => {
        const list = await cluster.admin.get(PATH, listSchema);
        const isThere = list.items.some(({ spec }) =>
          spec.signerName === "kubernetes.io/kubelet-serving" && spec.username === "system:node:cp-1"
        );
        return isThere ? list : undefined;
      });
      assert.ok(
        items.every(({ spec, status }) => !spec.signerName.endsWith("serving") || status.conditions.length === 0),
      );
      const admin = new AdmissionRecords(cluster.admin);
      assert.equal(await admin.byName("cp-1"), undefined);
      await admin.admitFounder({ ...recordOf("cp-1", "c1", [cluster.controlPlane.ip]), role: "control-plane" });
      const pem = await until(
        "certificate of cp-1",
        () => cluster.controlPlane.read(SERVER_PEM).catch(() => undefined),
      );
      await verifyByOpenssl(cluster, pem, "cp-1", cluster.controlPlane.ip);
    });

    await t.step(
      "a worker that joins gets its certificate, for its name and address, under the cluster's CA",
      async () => {
        await admissions.admit(recordOf(worker.name, "a1", [worker.ip]));
        await joinWorker(cluster, service, worker);
        const pem = await until("certificate of worker-1", () => worker.read(SERVER_PEM).catch(() => undefined));
        await verifyByOpenssl(cluster, pem, worker.name, worker.ip);
        const block = /^-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/.exec(pem)?.[0] ?? "";
        const certificate = readCertificate(readPem(block, "CERTIFICATE", "certificate"), "certificate");
        assert.deepEqual(subjectAltName(certificate), [
          { type: "dns", value: worker.name },
          { type: "ip", value: Uint8Array.from(worker.ip.split(".").map(Number)) },
        ]);
        assert.deepEqual(extKeyUsage(certificate), [EXT_KEY_USAGE.serverAuth]);
      },
    );

    const own = await nodeCredentials(worker.name);
    const right = {
      by: own,
      subject: "/O=system:nodes/CN=system:node:worker-1",
      names: `DNS:worker-1,IP:${worker.ip}`,
    };

    await t.step("a request with an RSA key and the matching usage is signed too", async () => {
      const algorithm = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
      const name = await ask(folder, { ...right, algorithm, usages: [...USAGES, "key encipherment"] });
      const text = await until("certificate", async () => (await csrOf(name)).status.certificate);
      const pem = fromUtf8(fromBase64(text, "certificate"), "certificate");
      await verifyByOpenssl(cluster, pem, worker.name, worker.ip);
    });

    await admissions.admit(recordOf("worker-2", "b2", ["10.9.9.2"]));
    const LEFT: readonly [name: string, check: string, asking: Asking][] = [
      ["another node's address", "address", { ...right, names: "DNS:worker-1,IP:10.9.9.2" }],
      ["an address that no node has", "address", { ...right, names: `IP:${worker.ip},IP:10.9.9.9` }],
      ["another node's DNS name", "dns-name", { ...right, names: "DNS:worker-2" }],
      ["the API server's DNS name", "dns-name", { ...right, names: "DNS:worker-1,DNS:kubernetes.default.svc" }],
      ["a URI", "name-kind", { ...right, names: "DNS:worker-1,URI:spiffe://x" }],
      ["an e-mail address", "name-kind", { ...right, names: "DNS:worker-1,email:a@b.c" }],
      ["no name", "no-name", { ...right, names: "" }],
      ["the usage of clients too", "usages", { ...right, usages: [...USAGES, "client auth"] }],
      ["a key that kubelets do not make", "key-type", {
        ...right,
        algorithm: ["EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
      }],
      ["another group", "subject", { ...right, subject: "/O=system:masters/CN=system:node:worker-1" }],
      ["its name, by an administrator", "requester", {
        ...right,
        by: await cluster.credentials("/O=system:masters/CN=admin"),
      }],
      ["its name, by one that is in another group too", "groups", {
        ...right,
        by: await cluster.credentials("/O=system:nodes/O=system:masters/CN=system:node:worker-1"),
      }],
      ["the name of a node without a record", "record", {
        by: await nodeCredentials("worker-9"),
        ...{ subject: "/O=system:nodes/CN=system:node:worker-9", names: "DNS:worker-9" },
      }],
    ];
    for (const [what, check, asking] of LEFT) {
      await t.step(`a request for ${what} stays as it is, and is logged once by each approver`, async () => {
        const name = await ask(folder, asking);
        const logged = await until("log line", () => {
          const codes = seen("serving-certificate-left", name);
          return Promise.resolve(codes.length === 2 ? codes : undefined);
        });
        assert.deepEqual(logged, Array(2).fill(`refused/serving-${check}`));
        assert.deepEqual(await conditionsOf(name), []);
      });
    }

    await t.step("a node cannot even make a request in another node's name", async () => {
      for (const names of [right.names, "DNS:worker-2,IP:10.9.9.2"]) {
        const asked = ask(folder, { ...right, by: await nodeCredentials("worker-2"), names });
        await assert.rejects(asked, codeIs("unauthorized/kubernetes-api"));
      }
    });

    await t.step("a request for another signer is ignored", async () => {
      const usages = ["digital signature", "client auth"];
      const admin = { by: await cluster.credentials("/O=system:masters/CN=admin"), usages, names: "" };
      const signerName = "kubernetes.io/kube-apiserver-client";
      const name = await ask(folder, { ...admin, signerName, subject: "/CN=somebody" });
      const after = await ask(folder, right);
      await until("certificate", async () => (await csrOf(after)).status.certificate);
      assert.deepEqual(await conditionsOf(name), []);
      assert.deepEqual(seen("serving-certificate-left", name), []);
    });

    await t.step("a request that comes after a megabyte of others is still approved", async () => {
      const csr = await capture(["openssl", "req", "-new", "-key", join(folder, "serving.key"), "-subj", "/CN=x"]);
      const request = base64(utf8(`${csr}\n${"#".repeat(1_000_000)}`));
      for (let count = 0; count < 8; count++) {
        await cluster.admin.create(PATH, {
          metadata: { name: `a-large-${count}` },
          spec: { request, signerName: "kubernetes.io/kubelet-serving", usages: USAGES },
        }, v.unknown());
      }
      const name = await ask(folder, right);
      await until("certificate", async () => (await csrOf(name)).status.certificate);
      assert.deepEqual(await conditionsOf("a-large-0"), []);
      for (let count = 0; count < 8; count++) await cluster.admin.remove(`${PATH}/a-large-${count}`);
    });

    await t.step("the approvers go on when the API server comes back", async () => {
      const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
      const text = await cluster.controlPlane.read(manifest);
      await Deno.remove(cluster.controlPlane.path(manifest));
      await until(
        "failure",
        () => Promise.resolve(events.some(({ event }) => event === "serving-approver-failed") || undefined),
      );
      await cluster.controlPlane.write(manifest, text);
      await until("API server", () => cluster.admin.get("/version", v.object({})).catch(() => undefined));
      const name = await until("request", () => ask(folder, right).catch(() => undefined));
      await until("certificate", async () => (await csrOf(name)).status.certificate);
      const codes = events.filter(({ event }) => event === "serving-approver-failed").map(({ code }) => code);
      assert.ok(codes.length <= 2 * new Set(codes).size, codes.join(", "));
    });

    await t.step("the join service cannot approve certificates of other signers", async () => {
      const { items } = await cluster.admin.get(PATH, listSchema);
      const other = items.find(({ spec }) => spec.signerName === "kubernetes.io/kube-apiserver-client");
      assert.ok(other !== undefined);
      const condition = { type: "Approved", status: "True", reason: "x", message: "x" };
      const approval = { ...other, status: { conditions: [condition] } };
      const typed = { ...approval, apiVersion: "certificates.k8s.io/v1", kind: "CertificateSigningRequest" };
      const approved = service.replace(`${PATH}/${other.metadata.name}/approval`, typed, v.unknown());
      await assert.rejects(approved, codeIs("unauthorized/kubernetes-api"));
      assert.deepEqual(await conditionsOf(other.metadata.name), []);
    });

    await t.step("the join service has its rights in its own namespace only", async () => {
      const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`;
      const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
      const lease = { metadata: { name: "turn" }, spec: { holderIdentity: "x", leaseDurationSeconds: 1 } };
      await service.get(maps("bootstrapper-system"), v.unknown());
      const created = await service.create(leases("bootstrapper-system"), lease, v.unknown());
      await service.replace(`${leases("bootstrapper-system")}/turn`, created, v.unknown());
      await service.get(`${leases("bootstrapper-system")}/turn`, v.unknown());
      const refused = [
        () => service.get(maps("kube-system"), v.unknown()),
        () => service.get(leases("bootstrapper-system"), v.unknown()),
        () => service.get(`${leases("kube-node-lease")}/cp-1`, v.unknown()),
        () => service.create(leases("kube-system"), lease, v.unknown()),
      ];
      for (const call of refused) await assert.rejects(call(), codeIs("unauthorized/kubernetes-api"), String(call));
    });

    await t.step("no log line holds a key, and every request was approved by one approver only", () => {
      assert.ok(!JSON.stringify(events).includes("PRIVATE KEY"));
      const approved = events.filter(({ event }) => event === "serving-certificate-approved");
      assert.equal(new Set(approved.map(({ request }) => request)).size, approved.length);
    });
  } finally {
    stop.abort();
    await running;
  }
});
