import assert from "node:assert/strict";
import * as v from "valibot";
import { KubernetesApi } from "../../../kubernetes/api.ts";
import { applyClusterRbac } from "../../../kubernetes/cluster_rbac.ts";
import { systemClock } from "../../../platform/clock.ts";
import { TestCluster } from "./cluster.ts";
import { anything, codeIs, CONFIG_MAPS } from "./records.ts";

Deno.test("the join service's rights and the errors of calls, against a real API server", async (t) => {
  await using cluster = await TestCluster.create();
  using service = new KubernetesApi(await cluster.joinService());

  await t.step("the join service cannot read Secrets, act as another user, or change anything else", async () => {
    const refused: readonly (() => Promise<unknown>)[] = [
      () => service.get("/api/v1/secrets", anything),
      () => service.get("/api/v1/namespaces/kube-system/secrets", anything),
      () => service.get("/api/v1/namespaces/bootstrapper-system/secrets", anything),
      () => service.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config", anything),
      () => service.get("/api/v1/namespaces/kube-system/configmaps", anything),
      () => service.get("/api/v1/nodes", anything),
      () => service.merge("/api/v1/nodes/cp-1", { metadata: { labels: { a: "b" } } }, anything),
      () => service.remove("/api/v1/nodes/cp-1"),
      () => service.create("/api/v1/namespaces/bootstrapper-system/pods", { metadata: { name: "p" } }, anything),
      () => service.create("/api/v1/namespaces/kube-system/serviceaccounts/default/token", { spec: {} }, anything),
      () => applyClusterRbac(service, { clock: systemClock, deadlineMs: 1_000 }),
    ];
    for (const call of refused) await assert.rejects(call(), codeIs("unauthorized/kubernetes-api"), String(call));
  });

  await t.step("the join service cannot impersonate", async () => {
    const { server, caPem, certificatePem, keyPem } = await cluster.joinService();
    using client = Deno.createHttpClient({ caCerts: [caPem], cert: certificatePem, key: keyPem });
    const request: RequestInit & { readonly client: Deno.HttpClient } = {
      client,
      headers: { "impersonate-user": "admin" },
    };
    const response = await fetch(`${server}/api/v1/secrets`, request);
    await response.body?.cancel();
    assert.equal(response.status, 403);
  });

  await t.step(
    "errors have stable codes when the caller is unknown, the CA is a different one, or no server answers",
    async () => {
      const stranger = await cluster.credentials("/CN=stranger");
      using unknown = new KubernetesApi(stranger);
      await assert.rejects(unknown.get("/api/v1/nodes", anything), codeIs("unauthorized/kubernetes-api"));
      using other = new KubernetesApi({ ...stranger, caPem: stranger.certificatePem });
      await assert.rejects(other.get("/api/v1/nodes", anything), codeIs("unavailable/kubernetes-api-tls"));
      using closed = new KubernetesApi({ ...stranger, server: `https://${cluster.controlPlane.ip}:1` });
      await assert.rejects(closed.get("/api/v1/nodes", anything), codeIs("unavailable/kubernetes-api"));
      await assert.rejects(cluster.admin.get(`${CONFIG_MAPS}/none`, anything), codeIs("precondition/not-found"));
      await assert.rejects(cluster.admin.get("/api/v1/nodes", v.string()), codeIs("malformed/kubernetes-api"));
      assert.throws(
        () => new KubernetesApi({ ...stranger, server: "http://x" }),
        codeIs("usage/kubernetes-credentials"),
      );
      assert.throws(() => new KubernetesApi({ ...stranger, keyPem: "no key" }), codeIs("usage/kubernetes-credentials"));
    },
  );
});
