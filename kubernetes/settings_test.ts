import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { readNewClusterSettings } from "./new_cluster.ts";
import { defaultTimeouts, nodeCertificateLifetimeMs, readClusterSettings } from "./settings.ts";

const keyOf = (key: string) => (error: unknown) => error instanceof BootstrapError && error.details.key === key;

Deno.test("readClusterSettings() fills in the documented defaults when only the version is given", () => {
  assert.deepEqual(readClusterSettings("kubernetesVersion: v1.36.3"), {
    kubernetesVersion: "v1.36.3",
    kubeProxy: true,
    coreDns: true,
    timeouts: defaultTimeouts,
    nodeCertificateLifetime: "168h",
  });
});

Deno.test("readClusterSettings() accepts lifetimes of nodes' certificates from an hour to a year", () => {
  const read = (lifetime: string) =>
    nodeCertificateLifetimeMs(
      readClusterSettings(`kubernetesVersion: v1.36.3\nnodeCertificateLifetime: ${lifetime}\n`),
    );
  assert.equal(nodeCertificateLifetimeMs(readClusterSettings("kubernetesVersion: v1.36.3")), 7 * 24 * 3_600_000);
  assert.equal(read("1h"), 3_600_000);
  assert.equal(read("90m"), 5_400_000);
  assert.equal(read("8760h"), 365 * 24 * 3_600_000);
  for (const wrong of ["59m", "3599s", "8761h", "7d", "0h", "1.5h", "168"]) {
    assert.throws(() => read(wrong), keyOf("nodeCertificateLifetime"), wrong);
  }
});

Deno.test("readClusterSettings() accepts the example, whose values are the defaults", async () => {
  const example = await Deno.readTextFile(new URL("../deploy/cluster.example.yaml", import.meta.url));
  const { podSubnet, serviceSubnet, ...rest } = readClusterSettings(example);
  assert.deepEqual(rest, readClusterSettings("kubernetesVersion: v1.36.3"));
  assert.deepEqual([podSubnet, serviceSubnet], ["10.244.0.0/16", "10.96.0.0/12"]);
  const everything = readClusterSettings(
    example.replaceAll(/^# (controlPlaneEndpoint|etcd|leaderElection| {2}\w+):/gm, "$1:"),
  );
  assert.equal(everything.controlPlaneEndpoint, "k8s.example.org:6443");
  assert.deepEqual(everything.etcd, { heartbeatIntervalMs: 100, electionTimeoutMs: 1000 });
  const election = { leaseDuration: "15s", renewDeadline: "10s", retryPeriod: "2s" };
  assert.deepEqual(everything.leaderElection, election);
});

Deno.test("readClusterSettings() names the key when a value or a key is wrong", () => {
  const wrong: readonly (readonly [string, string])[] = [
    ["{}", "kubernetesVersion"],
    ["kubernetesVersion: stable-1", "kubernetesVersion"],
    ["kubernetesVersion: v1.36.3-rc.1", "kubernetesVersion"],
    ["{kubernetesVersion: v1.36.3, controlPlaneEndpoint: example.org}", "controlPlaneEndpoint"],
    ["{kubernetesVersion: v1.36.3, controlPlaneEndpoint: 'example.org:66000'}", "controlPlaneEndpoint"],
    ["{kubernetesVersion: v1.36.3, controlPlaneEndpoint: 'a b:6443'}", "controlPlaneEndpoint"],
    ["{kubernetesVersion: v1.36.3, controlPlaneEndpoint: '::1:6443'}", "controlPlaneEndpoint"],
    ["{kubernetesVersion: v1.36.3, podSubnet: 10.0.0.0/33}", "podSubnet"],
    ["{kubernetesVersion: v1.36.3, podSubnet: 10.0.0.0}", "podSubnet"],
    ["{kubernetesVersion: v1.36.3, serviceSubnet: 10.0.0.0/8/8}", "serviceSubnet"],
    ["{kubernetesVersion: v1.36.3, kubeProxy: 'no'}", "kubeProxy"],
    ["{kubernetesVersion: v1.36.3, timeouts: {discovery: 5}}", "timeouts.discovery"],
    ["{kubernetesVersion: v1.36.3, timeouts: {discovery: 0m}}", "timeouts.discovery"],
    ["{kubernetesVersion: v1.36.3, kubeproxy: true}", "kubeproxy"],
    ["{kubernetesVersion: v1.36.3, etcd: {heartbeatIntervalMs: 500}}", "etcd.electionTimeoutMs"],
    [
      "{kubernetesVersion: v1.36.3, etcd: {heartbeatIntervalMs: 0, electionTimeoutMs: 1000}}",
      "etcd.heartbeatIntervalMs",
    ],
    [
      "{kubernetesVersion: v1.36.3, etcd: {heartbeatIntervalMs: 500, electionTimeoutMs: 2499}}",
      "etcd.electionTimeoutMs",
    ],
    [
      "{kubernetesVersion: v1.36.3, etcd: {heartbeatIntervalMs: 500, electionTimeoutMs: 50001}}",
      "etcd.electionTimeoutMs",
    ],
    [elections("15s", "15s", "2s"), "leaderElection.leaseDuration"],
    [elections("2m", "120s", "2s"), "leaderElection.leaseDuration"],
    [elections("15s", "12s", "10s"), "leaderElection.renewDeadline"],
    [elections("15s", "10s", "2"), "leaderElection.retryPeriod"],
    ["{kubernetesVersion: v1.36.3, leaderElection: {leaseDuration: 15s}}", "leaderElection.renewDeadline"],
  ];
  for (const [text, key] of wrong) assert.throws(() => readClusterSettings(text), keyOf(key), text);
});

function elections(leaseDuration: string, renewDeadline: string, retryPeriod: string): string {
  return JSON.stringify({
    kubernetesVersion: "v1.36.3",
    leaderElection: { leaseDuration, renewDeadline, retryPeriod },
  });
}

Deno.test("readClusterSettings() compares durations of different units", () => {
  const { leaderElection } = readClusterSettings(elections("2m", "90s", "1m"));
  assert.deepEqual(leaderElection, { leaseDuration: "2m", renewDeadline: "90s", retryPeriod: "1m" });
});

Deno.test("readClusterSettings() accepts addresses and names with a port when they are an endpoint", () => {
  for (const endpoint of ["10.0.0.1:6443", "[fd00::1]:6443", "a.b-c.example:443", "k:1"]) {
    const text = JSON.stringify({ kubernetesVersion: "v1.36.3", controlPlaneEndpoint: endpoint });
    assert.equal(readClusterSettings(text).controlPlaneEndpoint, endpoint);
  }
});

Deno.test("readClusterSettings() accepts or refuses any text", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
    try {
      readClusterSettings(text);
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code.startsWith("usage/"));
    }
  }));
});

Deno.test("readNewClusterSettings() refuses networks of Pods and Services that overlap, and names the file", () => {
  const refusal = (text: string) => {
    try {
      readNewClusterSettings(`kubernetesVersion: v1.36.3\n${text}`, "my.yaml");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "usage/document");
      assert.equal(error.details["key"], "podSubnet");
      return error.message;
    }
    return undefined;
  };
  assert.equal(refusal("podSubnet: 10.244.0.0/16"), undefined);
  assert.equal(refusal("serviceSubnet: 10.244.0.0/16"), undefined);
  assert.equal(
    refusal("podSubnet: 10.100.0.0/16"),
    "Cannot use my.yaml: line 2: podSubnet 10.100.0.0/16 overlaps the default serviceSubnet 10.96.0.0/12: choose two networks that share no address",
  );
  assert.equal(
    refusal("podSubnet: 10.0.0.0/16\nserviceSubnet: 10.0.0.0/16"),
    "Cannot use my.yaml: line 2: podSubnet 10.0.0.0/16 overlaps serviceSubnet 10.0.0.0/16: choose two networks that share no address",
  );
});
