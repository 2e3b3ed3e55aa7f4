/**
 * Inputs that are texts: documents, files, and the output of programs.
 *
 * @module
 */
import { foundingFileText } from "../../protocol/founding_file.ts";
import { writeEvidenceFile } from "../../attestation/evidence_file.ts";
import { writeLog } from "../../attestation/eventlog/testing/event_logs.ts";
import { decodePayload } from "../../attestation/kinds/tpm/payload.ts";
import { readPublicArea, spkiOf } from "../../attestation/kinds/tpm/public_area.ts";
import { operatorKeyLine } from "../../certificate/operator_key.ts";
import { writePem } from "../../certificate/pem.ts";
import { opensshKeyOf } from "../../certificate/testing/openssh_key.ts";
import { encodeRecord } from "../../founding/_records.ts";
import { INSTANCE_DATA, OPENSTACK } from "../../node/metadata/testing/services.ts";
import { encodePledge, encodeRoster } from "../../founding/_roster_files.ts";
import { authorizationConfiguration } from "../../kubernetes/authorization_configuration.ts";
import { kubeconfig } from "../../kubernetes/kubeconfig.ts";
import { encodeLockRecord } from "../../nodelock/record.ts";
import { base64, hex, sha256, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { createFounding } from "../../protocol/founding.ts";
import { clusterIdOf, clusterIdText } from "../../certificate/cluster_id.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { fileOf, NOW } from "./_corpus_signed.ts";
import type { CorpusFiles } from "./_corpus_signed.ts";
import { fixedKeys, fixedPrivateKeyPem } from "./_keys.ts";

const TIME = NOW.toISOString();
const ID = "1d".repeat(32);
const UID = "2f7cf9a4-5f5e-4f0b-9a68-4fd9f8f2a6b1";
const json = (value: unknown): Bytes => utf8(JSON.stringify(value));

/** All texts of the corpus. */
export async function textFiles(signed: CorpusFiles): Promise<CorpusFiles> {
  const example = (name: string) => Deno.readFile(new URL(`../../deploy/${name}.example.yaml`, import.meta.url));
  const operator = await fixedKeys("ed25519", 1);
  const openssh = await opensshKeyOf(operator);
  const ca = fileOf(signed, "fixtures/ca.der");
  const clusterId = await clusterIdOf(readCertificate(ca, "CA"));
  const payload = fileOf(signed, "tpm-evidence/by-identity.bin");
  const identity = hex(await sha256(spkiOf(readPublicArea(decodePayload(payload).endorsementKey, "key").key)));
  return {
    "policy/example.yaml": await example("policy"),
    "founding-file/demo.json": utf8(foundingFileText(await createFounding(operator, clusterId, "demo"))),
    "node-configuration/worker.yaml": await example("node-worker"),
    "node-configuration/control-plane.yaml": await example("node-control-plane"),
    "node-configuration/founding.yaml": await example("node-founding"),
    "cluster-document/example.yaml": await example("cluster"),
    "cluster-document/etcd.yaml": utf8(
      "kubernetesVersion: v1.36.3\ncontrolPlaneEndpoint: k8s.example.org:6443\nserviceSubnet: 2001:db8::/108\netcd:\n  heartbeatIntervalMs: 100\n  electionTimeoutMs: 1000\n",
    ),
    "cluster-document/leader-election.yaml": utf8(
      "kubernetesVersion: v1.36.3\nleaderElection:\n  leaseDuration: 60s\n  renewDeadline: 45s\n  retryPeriod: 5s\n",
    ),
    "checked-document/node.yaml": await example("node-founding-token"),
    "checked-document/cluster.yaml": await example("cluster"),
    "checked-document/config-map.yaml": utf8(
      "apiVersion: v1\nkind: ConfigMap\ndata:\n  policy.yaml: |\n    version: 1\n    variant: none\n",
    ),
    "checked-document/several.yaml": utf8(
      "kubernetesVersion: v1.36.3\n---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n---\nvariant: none\n",
    ),
    "checked-document/token.txt": utf8("bft1-qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5yd59d8\n"),
    "network-manifest/flannel.yaml": utf8(
      `---\napiVersion: v1\nkind: Namespace\nmetadata: { name: net }\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: { name: conf, namespace: net }\n  data: { net-conf.json: '{"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}' }\n- { apiVersion: apps/v1, kind: DaemonSet, metadata: { name: agent, namespace: net }, spec: { mode: 0400 } }\n`,
    ),
    "network-manifest/cilium.json": json({
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "cilium-config", namespace: "kube-system" } },
      data: { "kube-proxy-replacement": "true", ipam: "cluster-pool", "cluster-pool-ipv4-cidr": "10.0.0.0/8" },
    }),
    "fixtures/tpm-policy.yaml": utf8(
      `version: 1\nvariant: tpm\ntpm:\n  ekType: rsa2048\n  pcrs:\n    "4": ["${
        "05".repeat(32)
      }"]\n  trust: { identities: ["${identity}"] }\n`,
    ),
    "evidence-file/tpm.json": writeEvidenceFile({
      nonce: new Uint8Array(32),
      evidence: [{ variant: "tpm", payload }],
      eventLog: writeLog([]),
    }),
    "founding-token/token.txt": utf8("bft1-qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5yd59d8\n"),
    "founding-token/key.txt": utf8("MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA="),
    "fields/key.txt": utf8(operatorKeyLine(operator.spki, "somebody")),
    "fields/key.pem": utf8(writePem("PUBLIC KEY", operator.spki)),
    "fields/id.txt": utf8(clusterIdText(clusterId)),
    "fields/endpoint.txt": utf8("[2001:db8::1]:9443"),
    "fields/name.txt": utf8("k8s.example.org:6443"),
    "fields/duration.txt": utf8("10m"),
    "fields/version.txt": utf8("v1.36.3"),
    "pem/ca.pem": utf8(writePem("CERTIFICATE", ca)),
    "node-certificate/node.pem": utf8(writePem("CERTIFICATE", ca) + fixedPrivateKeyPem("p-256", 3)),
    "private-key/ed25519.pem": utf8(fixedPrivateKeyPem("ed25519", 1)),
    "private-key/openssh.pem": utf8(writePem("OPENSSH PRIVATE KEY", openssh)),
    "openssh-key/plain.bin": openssh,
    "private-key/p-256.pem": utf8(fixedPrivateKeyPem("p-256", 3)),
    "founding-files/pledge.json": encodePledge([
      { identity: ID, name: "n1", address: "192.0.2.1:9444", certificate: ca },
    ]),
    "founding-files/roster.json": encodeRoster({
      roster: new Uint8Array(32),
      pledges: [{ key: ID, signature: new Uint8Array(64) }],
    }),
    "founding-files/decision.json": json({ version: 1, epoch: 1, revision: "7", clusterId: clusterIdText(clusterId) }),
    "founding-files/complete.json": json({ version: 1, epoch: 1, clusterId: clusterIdText(clusterId), endpoints: [] }),
    "founding-decision/decision.json": encodeRecord({
      ...{ epoch: 1, identity: ID, key: ID, clusterId: clusterIdText(clusterId) },
    }),
    "founding-decision/complete.json": encodeRecord({
      ...{ epoch: 1, clusterId: clusterIdText(clusterId), endpoints: ["n1:6443"] },
    }),
    "founding-decision/leader.json": encodeRecord({ key: ID, instance: "ab".repeat(16) }),
    "founding-decision/resigned.json": encodeRecord({ reason: "preflight failed" }),
    "lock-record/init.json": await encodeLockRecord({ owner: "init", clusterId, time: NOW }),
    "reset-marker/reset.json": json({ version: 1, startedAt: TIME, etcdPeers: ["https://192.0.2.1:2379"] }),
    ...nodeFiles(),
    ...await stateFiles(signed, clusterId),
    ...answerFiles(),
  };
}

function nodeFiles(): CorpusFiles {
  const refusal = {
    time: TIME,
    peer: "192.0.2.1:1",
    code: "refused/pcr-4",
    message: "PCR 4",
    retriable: true,
    next: "Look",
    details: { pcr: "4" },
  };
  return {
    "journal/init.json": json({
      head: {
        owner: "init",
        role: "control-plane",
        clusterId: ID,
        nodeName: "cp-1",
        operation: { id: "ab".repeat(16), operatorKey: "k", request: ID },
      },
      steps: [{ name: "kubeadm", attempts: 1, begun: TIME, done: TIME }],
      events: [{ number: 1, phase: "kubeadm", state: "started", detail: "", timeMs: 1, durationMs: 0 }],
    }),
    "control-plane-renewal-record/record.json": json({
      ...{ version: 1, seen: "2026-11-01T00:00:00.000Z", until: "2027-11-01T00:00:00.000Z" },
      ...{ renewedAt: "2026-11-01T00:00:00.000Z", pending: ["etcd", "kube-scheduler"] },
    }),
    "setup-record/changes.json": json({
      version: 1,
      changes: [
        { kind: "file", path: "/etc/fstab", written: "ab".repeat(32), before: "eA==", mode: 0o644 },
        { kind: "packages", names: ["kubeadm"] },
        { kind: "sysctl", name: "net.ipv4.ip_forward", value: "1", before: "0" },
        { kind: "run", undo: ["swapon", "/dev/sda3"] },
      ],
    }),
    "cluster-document/kubeadm.yaml": utf8(
      "kubernetesVersion: v1.36.3\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking: {podSubnet: 10.244.0.0/16}\napiServer: {certSANs: [a.example], extraArgs: [{name: v, value: '4'}]}\n",
    ),
    "renewal-record/renewal.json": json({
      ...{ version: 1, joinEndpoints: ["192.0.2.1:9444"], issuedBy: "attestation", attested: TIME },
      ...{ client: { notBefore: TIME, notAfter: TIME }, serving: { notBefore: TIME, notAfter: TIME }, refusal },
    }),
    "membership/line.txt": utf8(`${TIME}\n`),
    "membership/member.json": json({
      ...{ version: 2, since: TIME, nodeName: "cp-1", role: "control-plane", identity: ID },
      machineId: "00112233-4455-6677-8899-aabbccddeeff",
    }),
    "machine-metadata/instance-data.json": utf8(INSTANCE_DATA),
    "machine-metadata/meta-data.json": utf8(OPENSTACK["/openstack/latest/meta_data.json"] ?? ""),
    "machine-metadata/network-data.json": utf8(OPENSTACK["/openstack/latest/network_data.json"] ?? ""),
    "machine-metadata/kept.json": json({
      ...{ version: 1, source: "ec2" },
      texts: { name: "w-1", address: "192.0.2.1", role: "worker", endpoints: "dns:join.example.org:9444" },
    }),
    "measurement-record/measured.json": json({ version: 2, time: TIME, tries: 2, bootId: ID, error: refusal }),
    "status/status.json": json({
      ...{
        version: 1,
        updated: TIME,
        phase: "failed",
        clusterName: "fuzz",
        nodeName: "cp-1",
        owner: "init",
        clusterId: ID,
      },
      ...{ step: "kubeadm", waitsFor: "nobody", lastRefusal: refusal, error: refusal, warnings: ["w"] },
    }),
    "status/timeline.json": json({
      version: 1,
      phases: [{ name: "detect", startMs: NOW.getTime(), durationMs: 5, outcome: "succeeded" }, {
        name: "race",
        startMs: NOW.getTime(),
        outcome: "failed",
        code: "x/y",
      }],
    }),
    "etcd-manifest/etcd.yaml": utf8(
      "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n    - --initial-advertise-peer-urls=https://192.0.2.1:2380\n" +
        "    - --advertise-client-urls=https://192.0.2.1:2379\n    - --initial-cluster=a=https://192.0.2.1:2380,b=https://192.0.2.2:2380\n",
    ),
  };
}

async function stateFiles(signed: CorpusFiles, clusterId: Bytes): Promise<CorpusFiles> {
  const operator = await fixedKeys("ed25519", 1);
  const pem = (name: string) => writePem("CERTIFICATE", fileOf(signed, `fixtures/${name}.der`));
  const { signature } = await createFounding(operator, clusterId, "fuzz");
  return {
    "cluster-record/fuzz.json": json({
      ...{
        version: 1,
        clusterName: "fuzz",
        state: "founded",
        clusterId: ID,
        identity: ID,
        operationId: "ab".repeat(16),
        operatorKey: "k",
      },
      ...{ clusterDocument: "a: 1\n", policyDocument: "b: 1\n", adminKeyPem: "", resetCount: 1, heard: 2, time: TIME },
    }),
    "service-state/state.json": json({
      ...{
        version: 1,
        certificate: pem("service"),
        caCertificate: pem("ca"),
        clusterName: "fuzz",
        operatorKeys: [base64(operator.spki)],
      },
      ...{
        foundings: [{ operatorKey: base64(operator.spki), signature: base64(signature) }],
        policyDocument: "a: 1\n",
        clusterDocument: "b: 1\n",
      },
      ...{
        listen: "0.0.0.0:9444",
        apiServer: "https://192.0.2.1:6443",
        apiEndpoints: ["192.0.2.1:6443"],
        joinEndpoints: [],
      },
    }),
    "kubeconfig/admin.conf": utf8(kubeconfig({
      ...{ clusterName: "fuzz", userName: "admin", server: "https://192.0.2.1:6443", caPem: pem("ca") },
      ...{ certificatePem: pem("admin"), keyPem: fixedPrivateKeyPem("p-256", 4) },
    })),
  };
}

function answerFiles(): CorpusFiles {
  const metadata = { name: "removal-worker-1", uid: "u", resourceVersion: "1" };
  const record = {
    identity: ID,
    nodeName: "worker-1",
    role: "worker",
    nodeKey: "k",
    addresses: '["192.0.2.7"]',
    evidenceDigest: ID,
    resetCount: "3",
  };
  const removal = { version: "1", state: "requested", nodeUid: "u", requestedAt: TIME };
  const object = { metadata, data: { ...record, ...removal } };
  return {
    "kubernetes-objects/config-map.json": json(object),
    "kubernetes-objects/list.json": json({ metadata: { continue: "" }, items: [object, object] }),
    "kubernetes-objects/node.json": json({
      metadata: { ...metadata, labels: { "node-role.kubernetes.io/control-plane": "" } },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: "192.0.2.7" }],
      },
    }),
    "authorization-configuration/two.yaml": utf8(authorizationConfiguration({ epochs: [1, 2], cut: [UID] })),
    "kubernetes-objects/admission.json": json({
      metadata: { ...metadata, name: ID },
      spec: {
        ...{ identity: ID, nodeName: "worker-1", role: "worker", nodeKey: "AAAA", addresses: ["192.0.2.7"] },
        ...{ evidenceDigest: "00", resetCount: 1, registers: { pcr4: "ab" }, attestedAt: TIME, removedAt: TIME },
      },
      status: { until: TIME, client: { serial: "01", digest: "ab", notAfter: TIME } },
    }),
    "kubernetes-objects/cut.json": json({
      metadata: { continue: "" },
      items: [{
        metadata: { ...metadata, name: `cut-${UID}` },
        data: { version: "1", uid: UID, identity: ID, nodeName: "worker-1", epoch: "1", until: TIME },
      }],
    }),
    "kubernetes-objects/epochs.json": json({
      metadata,
      data: { current: "2", ending: JSON.stringify([{ epoch: 1, until: TIME }]) },
    }),
    "kubernetes-objects/lease.json": json({
      metadata: { ...metadata, annotations: { a: "b" } },
      spec: { holderIdentity: ID, acquireTime: TIME, renewTime: TIME, leaseDurationSeconds: 900, leaseTransitions: 1 },
    }),
    "kubernetes-status/conflict.json": json({
      kind: "Status",
      reason: "AlreadyExists",
      message: "configmaps x already exists",
      code: 409,
    }),
    "program-output/images.json": json({ images: [{ repoTags: ["a", "b"] }, {}] }),
    "program-output/kubeadm.txt": utf8(
      "[init] Using Kubernetes version: v1.36.3\n[preflight] Running pre-flight checks\n\t[WARNING Swap]: on\n\t[ERROR Port-6443]: Port 6443 is in use\nmore\n" +
        "error: error execution phase preflight: failed\nTo see the stack trace of this error execute with --v=5\n",
    ),
  };
}
