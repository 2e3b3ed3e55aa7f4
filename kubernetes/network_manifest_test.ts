import assert from "node:assert/strict";
import { stringify } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import { readManifest } from "./manifest.ts";
import { checkNetworkManifest } from "./network_manifest.ts";

function configMap(name: string, data: Readonly<Record<string, string>>) {
  return readManifest(stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data }), "x");
}

const flannel = (conf: unknown) => configMap("kube-flannel-cfg", { "net-conf.json": JSON.stringify(conf) });

const refusedWith = (pattern: RegExp) => (error: unknown) =>
  error instanceof BootstrapError && error.code === "usage/manifest" && pattern.test(error.message);

Deno.test("checkNetworkManifest() accepts flannel's network only if it is the podSubnet", () => {
  const both = { Network: "10.244.0.0/16", EnableIPv6: true, IPv6Network: "fd00:0::/56" };
  const settings = { podSubnet: "10.244.0.0/16", kubeProxy: true };
  assert.deepEqual(checkNetworkManifest(flannel({ Network: "10.244.0.0/16" }), settings), []);
  assert.deepEqual(checkNetworkManifest(flannel(both), { ...settings, podSubnet: "fd00::/56,10.244.0.0/16" }), []);
  for (
    const [conf, podSubnet] of [[{ Network: "10.42.0.0/16" }, settings.podSubnet], [both, settings.podSubnet]] as const
  ) {
    assert.throws(() => checkNetworkManifest(flannel(conf), { podSubnet, kubeProxy: true }), refusedWith(/podSubnet/));
  }
  assert.throws(
    () => checkNetworkManifest(flannel({ Network: "10.244.0.0/16" }), { kubeProxy: true }),
    refusedWith(/is not the cluster's podSubnet \(none\)/),
  );
  for (const conf of ["{", { Network: "10.244.0.0" }, {}]) {
    assert.throws(
      () =>
        checkNetworkManifest(
          typeof conf === "string" ? configMap("f", { "net-conf.json": conf }) : flannel(conf),
          settings,
        ),
      refusedWith(/net-conf.json: /),
    );
  }
});

Deno.test("checkNetworkManifest() says what makes no Service reachable, or two programs make it so", () => {
  const podSubnet = "10.244.0.0/16";
  const conf = flannel({ Network: podSubnet });
  assert.match(checkNetworkManifest(conf, { podSubnet, kubeProxy: false })[0] ?? "", /kubeProxy is false/);
  const cilium = (replaces: string, pool = podSubnet) =>
    configMap("cilium-config", {
      "kube-proxy-replacement": replaces,
      ipam: "cluster-pool",
      "cluster-pool-ipv4-cidr": pool,
    });
  const remarks = (replaces: string, kubeProxy: boolean, pool?: string) =>
    checkNetworkManifest(cilium(replaces, pool), { podSubnet, kubeProxy }).join("; ");
  assert.equal(remarks("true", false), "");
  assert.equal(remarks("false", true), "");
  assert.match(remarks("true", true), /kubeProxy is not false/);
  assert.match(remarks("false", false), /kubeProxy is false/);
  assert.match(remarks("true", false, "10.0.0.0/8"), /10\.0\.0\.0\/8 is not the cluster's podSubnet/);
});

Deno.test("checkNetworkManifest() leaves other plug-ins alone", () => {
  assert.deepEqual(checkNetworkManifest(configMap("calico-config", { a: "b" }), { kubeProxy: true }), []);
});
