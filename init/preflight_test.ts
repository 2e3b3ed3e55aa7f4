import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import type { CommandRunner } from "../platform/command.ts";
import type { InsecureSwitch } from "../protocol/transcript.ts";
import { checkSwitches, kubernetesChecks, preflight, settingsCheck } from "./preflight.ts";
import type { PreflightCheck } from "./preflight.ts";

const check = (name: string, ...reasons: string[]): PreflightCheck => ({ name, run: () => Promise.resolve(reasons) });

Deno.test("checkSwitches() refuses a switch of the node that the policy of the init does not allow, and names it", () => {
  const insecure: readonly InsecureSwitch[] = ["allowInsecure"];
  const unmeasured: readonly InsecureSwitch[] = [...insecure, "allowUnmeasuredImage"];
  const check = (policy: string, switches: readonly InsecureSwitch[]) =>
    checkSwitches(policy, {
      clusterName: "demo",
      clusterId: new Uint8Array(),
      operatorKeys: [],
      variants: [],
      switches,
    });
  const none = "{version: 1, variant: none}";
  check(none, insecure);
  check("{version: 1, variant: none, allowUnmeasuredImage: true}", unmeasured);
  assert.throws(() => check(none, unmeasured), {
    code: "precondition/insecure-switch",
    message: /allowUnmeasuredImage: true/,
    details: { switch: "allowUnmeasuredImage" },
  });
  assert.throws(() => check("version: 2", insecure), { code: "usage/document" });
});

Deno.test("preflight() passes when every check passes, and names each check", async () => {
  const said: string[] = [];
  await preflight([check("disk"), check("images")], (name) => said.push(name));
  assert.deepEqual(said, ["disk", "images"]);
});

Deno.test("preflight() runs all checks, and reports every reason of every failure", async () => {
  const checks = [check("disk", "1 MiB free"), check("clock"), check("images", "etcd is missing", "dns is missing")];
  await assert.rejects(preflight(checks, () => {}), (error: unknown) => {
    assert(error instanceof BootstrapError);
    assert.equal(error.code, "precondition/preflight");
    assert.match(error.message, /disk: 1 MiB free; images: etcd is missing; images: dns is missing/);
    assert.deepEqual(error.details, {
      "1. disk": "1 MiB free",
      "2. images": "etcd is missing",
      "3. images": "dns is missing",
    });
    return error.next.includes("still fresh");
  });
});

Deno.test("preflight() fails with the error of a check that cannot be made", async () => {
  const broken: PreflightCheck = {
    name: "images",
    run: () => Promise.reject(new BootstrapError("system/command", "x")),
  };
  await assert.rejects(preflight([broken], () => {}), { code: "system/command" });
});

Deno.test("preflight() stops before the next check when the caller is gone", async () => {
  const caller = new AbortController();
  const said: string[] = [];
  const gone = new BootstrapError("unavailable/peer-gone", "gone");
  const leaving: PreflightCheck = {
    name: "disk",
    run: () => (caller.abort(gone), Promise.resolve(["full"])),
  };
  await assert.rejects(preflight([leaving, check("images")], (name) => said.push(name), caller.signal), gone);
  assert.deepEqual(said, ["disk"]);
});

Deno.test("kubernetesChecks() names each missing image and each failed check of kubeadm", async () => {
  const caller = new AbortController();
  const signals: unknown[] = [];
  const documents: string[] = [];
  const kubeadm = {
    requiredImages: (text: string, { signal }: { readonly signal?: AbortSignal }) => {
      documents.push(text);
      signals.push(signal);
      return Promise.resolve(["registry.k8s.io/etcd:3.6.4-0", "registry.k8s.io/pause:3.10"]);
    },
    preflight: (command: string, text: string, { signal }: { readonly signal?: AbortSignal }) => {
      documents.push(`${command} ${text}`);
      signals.push(signal);
      return Promise.resolve([{ check: "Port-6443", reason: "Port 6443 is in use" }]);
    },
  };
  const crictl: CommandRunner = {
    run: () =>
      Promise.resolve({
        code: 0,
        stdout: JSON.stringify({ images: [{ repoTags: ["registry.k8s.io/pause:3.10"] }] }),
        stderr: "",
      }),
  };
  const checks = kubernetesChecks(kubeadm, crictl, "documents", caller.signal);
  const [disk, ...others] = checks;
  assert.equal(disk?.name, "disk");
  const failures = await Promise.all(others.map(async ({ name, run }) => [name, await run()]));
  assert.deepEqual(failures, [
    ["images", ["the container image registry.k8s.io/etcd:3.6.4-0 is not on this machine"]],
    ["kubeadm", ["Port-6443: Port 6443 is in use"]],
  ]);
  assert.deepEqual(documents, ["documents", "init documents"]);
  assert(signals.every((signal) => signal === caller.signal));
});

Deno.test("the check of the disk reports nothing, or the free and the needed space", async () => {
  const nothing = { requiredImages: () => Promise.resolve([]), preflight: () => Promise.resolve([]) };
  const unused: CommandRunner = { run: () => Promise.reject(new Error("unused")) };
  const [disk] = kubernetesChecks(nothing, unused, "");
  for (const reason of await disk?.run() ?? []) assert.match(reason, /^\/var\/lib has \d+ MiB free, and 2048 MiB are/);
});

Deno.test("settingsCheck() refuses networks of the cluster that contain the nodes', or are of another family", async () => {
  const reasons = (document: string, address: string, ...networks: string[]) =>
    settingsCheck(`kubernetesVersion: v1.36.3\n${document}`, { address, networks }).run();
  assert.deepEqual(await reasons("podSubnet: 10.244.0.0/16", "10.77.0.11", "10.77.0.11/24"), []);
  assert.deepEqual(await reasons("podSubnet: 10.244.0.0/16", "10.1.2.3", "10.1.2.3/8"), []);
  assert.deepEqual(await reasons("", "10.64.0.1", "10.64.0.1/10"), []);
  const wrong: readonly (readonly [RegExp, ...Parameters<typeof reasons>])[] = [
    [/10\.100\.0\.11 is in serviceSubnet 10\.96\.0\.0\/12/, "", "10.100.0.11", "10.100.0.11/16"],
    [/10\.244\.0\.11 is in podSubnet 10\.244\.0\.0\/16/, "podSubnet: 10.244.0.0/16", "10.244.0.11"],
    [
      /serviceSubnet 10\.96\.0\.0\/12 contains the nodes' network 10\.100\.0\.1\/16/,
      "",
      "10.77.0.11",
      "10.77.0.11/24",
      "10.100.0.1/16",
    ],
    [/fd00:77::11 is IPv6, and serviceSubnet 10\.96\.0\.0\/12 is IPv4/, "", "fd00:77::11"],
  ];
  for (const [expected, ...given] of wrong) assert.match((await reasons(...given)).join("; "), expected);
});

Deno.test("settingsCheck() compares the families of the node's addresses with those of the cluster", async () => {
  const dual = "podSubnet: 10.244.0.0/16,fd00:244::/56\nserviceSubnet: 10.96.0.0/16,fd00:96::/112";
  const reasons = async (document: string, address: string, secondAddress?: string) => {
    const node = { address, networks: [], ...(secondAddress === undefined ? {} : { secondAddress }) };
    return (await settingsCheck(`kubernetesVersion: v1.36.3\n${document}`, node).run()).join("; ");
  };
  assert.equal(await reasons(dual, "10.77.0.11", "fd00:77::11"), "");
  assert.match(await reasons(dual, "10.77.0.11"), /of both families, and the node has the address 10\.77\.0\.11 alone/);
  assert.match(
    await reasons(dual, "fd00:77::11", "10.77.0.11"),
    /is IPv6, and serviceSubnet 10\.96\.0\.0\/16 is IPv4: write the IPv4 address first in node\.address/,
  );
  assert.match(await reasons(dual, "10.77.0.11", "fd00:244::11"), /fd00:244::11 is in podSubnet/);
  assert.match(await reasons("", "10.77.0.11", "fd00:77::11"), /is IPv6, .* is IPv4: choose networks of both families/);
});

Deno.test("settingsCheck() refuses settings that no new cluster can have, whatever the operator's program accepted", () => {
  const check = settingsCheck("kubernetesVersion: v1.36.3\ncontrolPlaneEndpoint: localhost:6443\n", {
    address: "10.77.0.11",
    networks: [],
  });
  assert.throws(() => check.run(), { code: "usage/document", message: /localhost:6443 is each node itself/ });
});
