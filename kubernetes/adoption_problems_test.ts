import assert from "node:assert/strict";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { BootstrapError } from "../platform/errors.ts";
import { adoptionProblems } from "./adoption_problems.ts";
import { readClusterConfiguration } from "./cluster_configuration.ts";
import type { ClusterSurvey, ComponentFlags, SurveyedNode } from "./cluster_survey.ts";

const { certificate: ca } = await createCertificateAuthority(new Date());

const node = (name: string, role: SurveyedNode["role"], address: string): SurveyedNode => ({
  ...{ name, role, uid: name, addresses: [address], kubeletVersion: "v1.36.3", isReady: true },
});
const apiServer: ComponentFlags = {
  nodeName: "cp-1",
  flags: { "authorization-mode": "Node,RBAC", "secure-port": "6443", "client-ca-file": "/etc/kubernetes/pki/ca.crt" },
};
const manager: ComponentFlags = {
  nodeName: "cp-1",
  flags: { "cluster-signing-key-file": "/etc/kubernetes/pki/ca.key" },
};
const CONFIGURATION = {
  ...{ apiVersion: "kubeadm.k8s.io/v1beta4", kind: "ClusterConfiguration", kubernetesVersion: "v1.36.3" },
  ...{ certificatesDir: "/etc/kubernetes/pki", networking: { podSubnet: "10.244.0.0/16" } },
};
const configured = (changes: object = {}) => readClusterConfiguration(JSON.stringify({ ...CONFIGURATION, ...changes }));

const survey: ClusterSurvey = {
  ...{ version: "v1.36.3", ca, caKeyType: "rsa", clusterId: await clusterIdOf(ca), configuration: configured() },
  apiEndpoint: "10.0.0.1:6443",
  nodes: [node("cp-1", "control-plane", "10.0.0.1"), node("worker-1", "worker", "10.0.0.2")],
  ...{ apiServers: [apiServer], controllerManagers: [manager], admissions: [] },
};

const checksOf = (changes: Partial<ClusterSurvey>, isUnderWay = false) =>
  adoptionProblems({ ...survey, ...changes }, isUnderWay, () => {}).map(({ check }) => check);

Deno.test("adoptionProblems() finds none in a cluster as kubeadm makes it", () => {
  assert.deepEqual(checksOf({}), []);
});

const withFlags = (component: ComponentFlags, flags: Readonly<Record<string, string>>) => ({
  ...component,
  flags: { ...component.flags, ...flags },
});

const CASES: readonly (readonly [check: string, changes: Partial<ClusterSurvey>])[] = [
  ["kubernetes-version", { version: "v1.30.9" }],
  ["kubeadm-version", { configuration: configured({ apiVersion: "kubeadm.k8s.io/v1beta3" }) }],
  ["certificates-dir", { configuration: configured({ certificatesDir: "/srv/pki" }) }],
  ["etcd", { configuration: configured({ etcd: { external: { endpoints: [] } } }) }],
  ["settings", { configuration: configured({ kubernetesVersion: "v1.36.3-vendor" }) }],
  ["api-endpoint", { apiEndpoint: "" }],
  ["authorization", { apiServers: [withFlags(apiServer, { "authorization-mode": "RBAC" })] }],
  ["authorization", { apiServers: [withFlags(apiServer, { "authorization-config": "/etc/own.yaml" })] }],
  ["api-port", { apiServers: [withFlags(apiServer, { "secure-port": "8443" })] }],
  ["client-ca", { apiServers: [withFlags(apiServer, { "client-ca-file": "/srv/ca.crt" })] }],
  ["external-ca", { controllerManagers: [{ nodeName: "cp-1", flags: {} }] }],
  ["control-planes", { nodes: [node("worker-1", "worker", "10.0.0.2")] }],
  ["control-planes", { apiServers: [] }],
  ["control-planes", { controllerManagers: [] }],
  ["node-address", { nodes: [...survey.nodes, { ...node("worker-2", "worker", ""), addresses: [] }] }],
  ["node-address", { nodes: [...survey.nodes, node("worker-2", "worker", "10.0.0.2")] }],
  ["signers", {
    admissions: [{
      ...{ name: "a", uid: "u", resourceVersion: "1", status: {} },
      record: {
        ...{ identity: "a", nodeName: "worker-1", role: "worker", nodeKey: "", addresses: [], evidenceDigest: "" },
      },
    }],
  }],
];

for (const [check, changes] of CASES) {
  Deno.test(`adoptionProblems() names the check ${check} for ${JSON.stringify(Object.keys(changes))}`, () => {
    assert.deepEqual(checksOf(changes), [check]);
  });
}

Deno.test("adoptionProblems() takes records for what an adoption under way has made", () => {
  const [, changes] = CASES.at(-1) ?? assert.fail();
  assert.deepEqual(checksOf(changes, true), []);
});

Deno.test("adoptionProblems() takes an API server that an adoption has changed already", () => {
  const file = "/etc/kubernetes/bootstrapper/authorization.yaml";
  const { "authorization-mode": _, ...flags } = apiServer.flags;
  assert.deepEqual(checksOf({ apiServers: [{ ...apiServer, flags: { ...flags, "authorization-config": file } }] }), []);
});

Deno.test("adoptionProblems() says which node may not have its name or address, and why", () => {
  const problems = adoptionProblems(survey, false, ({ name }) => {
    if (name !== "worker-1") return;
    throw new BootstrapError("refused/node-address", "The address of worker-1 is the API server's endpoint", {
      details: { expected: "an address of its own", seen: "10.0.0.2" },
    });
  });
  assert.deepEqual(problems, [{
    ...{ check: "node-address", message: "The address of worker-1 is the API server's endpoint" },
    ...{ expected: "an address of its own", seen: "10.0.0.2" },
  }]);
});
