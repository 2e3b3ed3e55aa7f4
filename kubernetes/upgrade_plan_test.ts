import assert from "node:assert/strict";
import fc from "fast-check";
import type { SurveyedNode } from "./cluster_survey.ts";
import { planUpgrade } from "./upgrade_plan.ts";
import { type UpgradeSurvey, VERSIONED_COMPONENTS, versionOfImage } from "./upgrade_survey.ts";
import type { UpgradeFacts, UpgradePlan } from "./upgrade_types.ts";

/** A machine: its name, the version of its kubelet, and that of its control plane. */
type Machine = readonly [name: string, kubelet: string, controlPlane?: string];

function survey(configured: string, ...machines: readonly Machine[]): UpgradeSurvey {
  return {
    ...{ configured, apiServer: configured, configurationApi: "kubeadm.k8s.io/v1beta4" },
    nodes: machines.map(([name, kubeletVersion, controlPlane]): SurveyedNode => ({
      ...{ name, uid: name, addresses: [], kubeletVersion, isReady: true },
      role: controlPlane === undefined ? "worker" : "control-plane",
    })),
    pods: machines.flatMap(([nodeName, , controlPlane]) =>
      controlPlane === undefined ? [] : [
        { nodeName, component: "etcd", image: "registry.k8s.io/etcd:3.6.8-0" },
        ...VERSIONED_COMPONENTS.map((component) => ({
          ...{ nodeName, component, image: `registry.k8s.io/${component}:${controlPlane}` },
        })),
      ]
    ),
  };
}

function plan(to: string, seen: UpgradeSurvey, more: Partial<UpgradeFacts> = {}): UpgradePlan {
  return planUpgrade({ survey: seen, to, here: {}, ended: [], unknown: [], ...more });
}

const orderOf = ({ steps }: UpgradePlan) => steps.map(({ nodeName, action }) => `${action} ${nodeName}`);
const checksOf = ({ blocks }: UpgradePlan) => blocks.map(({ check, nodeName }) => [check, nodeName]);

Deno.test("planUpgrade() upgrades all API servers before any kubelet, control planes' kubelets first, after a snapshot", () => {
  const seen = survey(
    "v1.36.3",
    ["a-worker", "v1.36.3"],
    ["cp-1", "v1.36.3", "v1.36.3"],
    ["cp-2", "v1.36.3", "v1.36.3"],
  );
  const made = plan("v1.37.2", seen);
  assert.equal(made.state, "ready");
  assert.deepEqual(orderOf(made), [
    ...["snapshot cp-1", "control-plane cp-1", "control-plane cp-2"],
    ...["kubelet cp-1", "kubelet cp-2", "kubelet a-worker"],
  ]);
  const commands = made.steps.filter(({ action }) => action === "control-plane").map(({ commands }) => commands);
  assert.deepEqual(commands, [
    ["kubeadm upgrade apply v1.37.2 --yes --skip-phases=bootstrap-token"],
    ["kubeadm upgrade node"],
  ]);
  assert.ok(made.steps.every(({ wayBack }) => wayBack !== ""));
  assert.match(
    made.steps[0]?.commands[0] ?? "",
    /etcd-cp-1 -- etcdctl .*snapshot save \/var\/lib\/etcd\/before-v1\.37\.2\.db$/,
  );
});

Deno.test("planUpgrade() goes on where an upgrade was interrupted", () => {
  const begun = survey("v1.37.2", ["cp-1", "v1.36.3", "v1.37.2"], ["cp-2", "v1.36.3", "v1.36.3"]);
  const made = plan("v1.37.2", begun);
  assert.deepEqual(orderOf(made), ["control-plane cp-2", "kubelet cp-1", "kubelet cp-2"]);
  assert.deepEqual(made.steps[0]?.commands, ["kubeadm upgrade node"]);
  assert.deepEqual(made.remarks, ["An upgrade is under way: the API servers have v1.36.3 and v1.37.2"]);
  // The manifests are new, and kubeadm was killed before it wrote its configuration.
  const killed = plan("v1.37.2", survey("v1.36.3", ["cp-1", "v1.37.2", "v1.37.2"]));
  assert.deepEqual(orderOf(killed), ["snapshot cp-1", "control-plane cp-1"]);
  const done = plan("v1.37.2", survey("v1.37.2", ["cp-1", "v1.37.2", "v1.37.2"], ["w", "v1.37.2"]));
  assert.deepEqual([done.state, done.steps, done.blocks], ["done", [], []]);
});

Deno.test("planUpgrade() names what blocks it: each check, its node and what to do", () => {
  const control = (kubelet = "v1.36.3", own = "v1.36.3"): Machine => ["cp-1", kubelet, own];
  const cases: readonly (readonly [what: string, plan: UpgradePlan, checks: unknown])[] = [
    ["a minor is skipped", plan("v1.38.0", survey("v1.36.3", control())), [["minor-skipped", null]]],
    ["back", plan("v1.36.2", survey("v1.36.3", control())), [["downgrade", null]]],
    ["no version", plan("v1.37.2", survey("latest", control())), [["version-unknown", null]]],
    [
      "too old",
      plan("v1.37.2", survey("v1.36.3", control(), ["w", "v1.33.9"])),
      [["kubelet-too-old", "w"]],
    ],
    ["old enough", plan("v1.37.2", survey("v1.36.3", control(), ["w", "v1.34.0"])), []],
    ["too new", plan("v1.37.2", survey("v1.36.3", control(), ["w", "v1.37.0"])), [["kubelet-too-new", "w"]]],
    ["no kubelet of Kubernetes", plan("v1.37.2", survey("v1.36.3", control(), ["w", "x"])), [["version-unknown", "w"]]],
    [
      "apart",
      plan("v1.37.2", survey("v1.37.1", control("v1.35.0", "v1.35.0"), ["cp-2", "v1.35.0", "v1.37.1"])),
      [["api-servers-apart", null]],
    ],
    [
      "an image without a tag",
      plan("v1.37.2", {
        ...survey("v1.36.3", control()),
        pods: [{
          nodeName: "cp-1",
          component: "kube-apiserver",
          image: `example.org/kube-apiserver@sha256:${"a".repeat(64)}`,
        }],
      }),
      [["api-server-unknown", "cp-1"]],
    ],
    [
      "not Ready",
      plan("v1.37.2", {
        ...survey("v1.36.3", control()),
        nodes: survey("v1.36.3", control()).nodes.map((node) => ({ ...node, isReady: false })),
      }),
      [["not-ready", "cp-1"]],
    ],
    [
      "the policy",
      plan("v1.37.2", survey("v1.36.3", control()), { ended: [{ nodeName: "cp-1", registers: ["pcr11"] }] }),
      [["policy", "cp-1"]],
    ],
  ];
  for (const [what, { state, blocks }, checks] of cases) {
    assert.deepEqual(checksOf(plan("v1.37.2", survey("v1.36.3", control()))), []);
    assert.deepEqual(blocks.map(({ check, nodeName }) => [check, nodeName]), checks, what);
    assert.equal(state === "blocked", blocks.length > 0, what);
    assert.ok(blocks.every(({ message, next }) => message !== "" && next !== ""), what);
  }
});

Deno.test("planUpgrade() says which programs of this machine are not those of the target, and which workers are silent", () => {
  const seen = survey("v1.36.3", ["cp-1", "v1.36.3", "v1.36.3"], ["w", "v1.36.3"]);
  const silent = { ...seen, nodes: seen.nodes.map((node) => ({ ...node, isReady: node.name === "cp-1" })) };
  const { remarks, state } = plan("v1.37.2", silent, {
    here: { kubeadm: "v1.37.2", kubelet: "v1.36.3" },
    unknown: ["cp-1"],
  });
  assert.deepEqual(remarks, [
    "kubelet on this machine is v1.36.3, and the target is v1.37.2",
    "Not Ready, and so not drained: w",
    "Nothing on record to compare the policy with: cp-1",
  ]);
  assert.equal(state, "ready");
});

Deno.test("planUpgrade() makes a plan of whatever texts a cluster has for versions, and never throws", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("v1.36.3", "v1.37.2", "v1.1.1"));
  fc.assert(fc.property(text, text, text, text, (configured, kubelet, own, to) => {
    const { state, blocks } = plan(to, survey(configured, ["cp-1", kubelet, own], ["w", own]));
    assert.equal(state === "blocked", blocks.length > 0);
  }));
});

Deno.test("versionOfImage() reads the tag, with and without a digest, of any registry", () => {
  const digest = `@sha256:${"a".repeat(64)}`;
  assert.equal(versionOfImage("registry.k8s.io/kube-apiserver:v1.36.3"), "v1.36.3");
  assert.equal(versionOfImage(`localhost:5000/a/kube-apiserver:v1.36.3${digest}`), "v1.36.3");
  for (const image of ["", "kube-apiserver", `kube-apiserver${digest}`, "registry.k8s.io/etcd:3.6.8-0", "a:v1.36"]) {
    assert.equal(versionOfImage(image), undefined, image);
  }
  fc.assert(fc.property(fc.string(), (image) => {
    const found = versionOfImage(image);
    assert.ok(found === undefined || image.includes(`:${found}`));
  }));
});
