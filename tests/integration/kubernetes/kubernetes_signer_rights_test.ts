/**
 * What whoever takes a join service's API credential can do with it alone, against a real API server: nothing that
 * leads to a certificate, a Secret, a token, or more rights.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { clusterRbac } from "../../../kubernetes/cluster_rbac.ts";
import { POLICY_CONFIG_MAP } from "../../../kubernetes/policy_config_map.ts";
import { base64, utf8 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { retry } from "../../../platform/retry.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { TestCluster } from "./cluster.ts";

const anything = v.unknown();
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const CORE = "/api/v1/namespaces";
const OWN = "bootstrapper-system";

const codeIs = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;
const named = v.looseObject({ metadata: v.looseObject({ name: v.string() }) });
const rulesSchema = v.object({
  status: v.object({
    resourceRules: v.array(v.object({
      verbs: v.array(v.string()),
      apiGroups: v.optional(v.array(v.string()), []),
      resources: v.optional(v.array(v.string()), []),
      resourceNames: v.optional(v.array(v.string()), []),
    })),
  }),
});

Deno.test("a join service's credential alone gets no certificate, no Secret, no token and no more rights", async (t) => {
  await using cluster = await TestCluster.create();
  using signer = new KubernetesApi(await cluster.joinService());
  const { admin } = cluster;
  const refused = async (calls: Readonly<Record<string, () => Promise<unknown>>>) => {
    for (const [what, call] of Object.entries(calls)) {
      await t.step(what, () => assert.rejects(call(), codeIs("unauthorized/kubernetes-api")));
    }
  };
  const { csrPem } = await cluster.ca.csr("/O=kubeadm:cluster-admins/CN=admin");
  const request = (signerName: string, usage: string) => ({
    metadata: { generateName: "mine-" },
    spec: { request: base64(utf8(csrPem)), signerName, usages: ["digital signature", usage] },
  });
  // Requests of others that wait for an approval.
  const waiting = await admin.create(CSRS, request("kubernetes.io/kube-apiserver-client", "client auth"), named);
  await admin.create(`${CORE}/${OWN}/secrets`, { metadata: { name: "s" }, stringData: { a: "b" } }, anything);
  await admin.create(`${CORE}/kube-system/configmaps`, { metadata: { name: POLICY_CONFIG_MAP }, data: {} }, anything);

  await t.step("it does its own work: without this step the others would prove nothing", async () => {
    // The API server has just begun to serve the kind.
    await retry(() => signer.get("/apis/bootstrapper.dev/v1/nodeadmissions", anything), {
      ...{ clock: systemClock, random: Math.random, maximumTries: 20 },
    });
    await signer.create(`${CORE}/${OWN}/configmaps`, { metadata: { name: "own" }, data: {} }, anything);
    await signer.get(`${CORE}/kube-system/configmaps/${POLICY_CONFIG_MAP}`, anything);
  });

  const signers = ["kube-apiserver-client-kubelet", "kubelet-serving", "kube-apiserver-client"];
  await refused({
    ...Object.fromEntries(signers.map((name) => [
      `a request for a certificate, ${name}`,
      () => signer.create(CSRS, request(`kubernetes.io/${name}`, "client auth"), anything),
    ])),
    "the list of requests": () => signer.get(CSRS, anything),
    "a request of another": () => signer.get(`${CSRS}/${waiting.metadata.name}`, anything),
    "an approval": () =>
      signer.replace(`${CSRS}/${waiting.metadata.name}/approval`, {
        ...waiting,
        status: { conditions: [{ type: "Approved", status: "True", reason: "x", message: "x" }] },
      }, anything),
    "a signature": () =>
      signer.replace(`${CSRS}/${waiting.metadata.name}/status`, {
        ...waiting,
        status: { certificate: base64(utf8("x")) },
      }, anything),
    "the deletion of a request": () => signer.remove(`${CSRS}/${waiting.metadata.name}`),

    "all Secrets": () => signer.get("/api/v1/secrets", anything),
    "the Secrets of its own namespace": () => signer.get(`${CORE}/${OWN}/secrets`, anything),
    "a Secret by its name": () => signer.get(`${CORE}/${OWN}/secrets/s`, anything),
    "a Secret that it makes": () =>
      signer.create(`${CORE}/${OWN}/secrets`, {
        metadata: { name: "token", annotations: { "kubernetes.io/service-account.name": "default" } },
        type: "kubernetes.io/service-account-token",
      }, anything),

    "a token of a service account": () =>
      signer.create(`${CORE}/kube-system/serviceaccounts/default/token`, { spec: {} }, anything),
    "a token of a service account in its own namespace": () =>
      signer.create(`${CORE}/${OWN}/serviceaccounts/default/token`, { spec: {} }, anything),
    "a service account": () =>
      signer.create(`${CORE}/${OWN}/serviceaccounts`, { metadata: { name: "mine" } }, anything),
    "a bootstrap token": () =>
      signer.create(`${CORE}/kube-system/secrets`, {
        metadata: { name: "bootstrap-token-abcdef" },
        type: "bootstrap.kubernetes.io/token",
      }, anything),

    "a Pod, which would have a token": () =>
      signer.create(`${CORE}/${OWN}/pods`, {
        metadata: { name: "p" },
        spec: { containers: [{ name: "c", image: "x" }] },
      }, anything),
    "a command in a Pod": () => signer.create(`${CORE}/kube-system/pods/etcd-cp-1/exec`, {}, anything),
    "a node's proxy": () => signer.get("/api/v1/nodes/cp-1/proxy/pods", anything),
    "another Node": () => signer.create("/api/v1/nodes", { metadata: { name: "mine" } }, anything),
    "a Node's labels": () => signer.merge("/api/v1/nodes/cp-1", { metadata: { labels: { a: "b" } } }, anything),

    "the policy": () =>
      signer.merge(`${CORE}/kube-system/configmaps/${POLICY_CONFIG_MAP}`, { data: { a: "b" } }, anything),
    "the policy's deletion": () => signer.remove(`${CORE}/kube-system/configmaps/${POLICY_CONFIG_MAP}`),
    "another ConfigMap of kube-system": () =>
      signer.get(`${CORE}/kube-system/configmaps/extension-apiserver-authentication`, anything),
    "a ConfigMap in kube-system": () =>
      signer.create(`${CORE}/kube-system/configmaps`, { metadata: { name: "mine" } }, anything),
    "kubeadm's configuration": () =>
      signer.merge(`${CORE}/kube-system/configmaps/kubeadm-config`, { data: { a: "b" } }, anything),

    "its own role": () =>
      signer.merge(`${RBAC}/clusterroles/bootstrapper:join-service`, {
        rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }],
      }, anything),
    "a binding to cluster-admin": () =>
      signer.create(`${RBAC}/clusterrolebindings`, {
        metadata: { name: "mine" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
        subjects: [{ kind: "Group", apiGroup: "rbac.authorization.k8s.io", name: "bootstrapper:signers" }],
      }, anything),
    "a role of its own namespace": () =>
      signer.create(`${RBAC}/namespaces/${OWN}/roles`, { metadata: { name: "mine" }, rules: [] }, anything),
    "the schema of its records": () =>
      signer.merge("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodeadmissions.bootstrapper.dev", {
        metadata: { labels: { a: "b" } },
      }, anything),
    "a webhook": () =>
      signer.create("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {
        metadata: { name: "mine" },
        webhooks: [],
      }, anything),
  });

  for (const [header, value] of [["impersonate-user", "admin"], ["impersonate-group", "system:masters"]] as const) {
    await t.step(`impersonation by ${header}`, async () => {
      const { server, caPem, certificatePem, keyPem } = await cluster.joinService();
      using client = Deno.createHttpClient({ caCerts: [caPem], cert: certificatePem, key: keyPem });
      const request: RequestInit & { readonly client: Deno.HttpClient } = {
        client,
        headers: { "impersonate-user": "system:node:cp-1", [header]: value },
      };
      const response = await fetch(`${server}/api/v1/secrets`, request);
      await response.body?.cancel();
      assert.equal(response.status, 403);
    });
  }

  await t.step("the API server names no right beyond the manifest's and what every user has", async () => {
    for (const namespace of ["kube-system", OWN, "default"]) {
      const review = { apiVersion: "authorization.k8s.io/v1", spec: { namespace } };
      const path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
      const { status } = await signer.create(path, review, rulesSchema);
      const resources = status.resourceRules.flatMap((rule) =>
        rule.resources.map((resource) => `${rule.apiGroups.join()}/${resource}`)
      );
      const known = [
        "authorization.k8s.io/selfsubjectaccessreviews",
        "authorization.k8s.io/selfsubjectrulesreviews",
        "authentication.k8s.io/selfsubjectreviews",
        ...["/nodes", "/configmaps", "/events", "coordination.k8s.io/leases"],
        ...["bootstrapper.dev/nodeadmissions", "bootstrapper.dev/nodeadmissions/status"],
        "bootstrapper.dev/nodeevidences",
      ];
      assert.deepEqual(resources.filter((resource) => !known.includes(resource)), [], namespace);
    }
  });

  await t.step(
    "another cluster's leftovers give nothing: the group and the user of earlier versions have no rights",
    async () => {
      const old = await cluster.credentials("/O=bootstrapper:join-services/CN=bootstrapper:join-service");
      using former = new KubernetesApi(old);
      await assert.rejects(former.get(`${CORE}/${OWN}/configmaps`, anything), codeIs("unauthorized/kubernetes-api"));
      const subjects = clusterRbac().flatMap((manifest) =>
        JSON.stringify(manifest).match(/bootstrapper:join-services/g) ?? []
      );
      assert.deepEqual(subjects, []);
    },
  );
});
