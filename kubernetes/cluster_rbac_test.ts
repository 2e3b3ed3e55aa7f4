import assert from "node:assert/strict";
import * as v from "valibot";
import { signerSubject } from "../certificate/subjects.ts";
import { BootstrapError } from "../platform/errors.ts";
import { sleepingClock } from "../platform/testing/sleeping_clock.ts";
import type { AnswerSchema } from "./api.ts";
import { applyClusterRbac, BOOTSTRAPPER_NAMESPACE, clusterRbac } from "./cluster_rbac.ts";
import { POLICY_CONFIG_MAP, POLICY_NAMESPACE } from "./policy_config_map.ts";

const roleSchema = v.looseObject({
  rules: v.array(v.looseObject({ resources: v.array(v.string()), verbs: v.array(v.string()) })),
});
/** What amounts to more than the join service's own work. */
const FORBIDDEN = [
  ...["*", "secrets", "impersonate", "escalate", "bind", "sign", "approve"],
  ...["certificatesigningrequests", "serviceaccounts", "tokenreviews", "clusterroles", "roles", "pods"],
];
const bindingSchema = v.looseObject({ subjects: v.array(v.looseObject({ kind: v.string(), name: v.string() })) });

Deno.test("clusterRbac() gives the join service no wildcard, no Secret, no token, no request for a certificate and no impersonation", () => {
  const roles = clusterRbac().filter(({ kind }) => kind === "ClusterRole" || kind === "Role");
  assert.equal(roles.length, 4);
  for (const { rules } of roles.map((role) => v.parse(roleSchema, role))) {
    for (const { resources, verbs } of rules) {
      for (const word of [...resources, ...verbs]) {
        assert.ok(!FORBIDDEN.some((part) => word.startsWith(part)), word);
      }
    }
  }
});

const ruleSchema = v.looseObject({
  rules: v.array(v.strictObject({
    apiGroups: v.tuple([v.string()]),
    resources: v.tuple([v.string()]),
    resourceNames: v.optional(v.array(v.string()), []),
    verbs: v.array(v.string()),
  })),
});

/**
 * The permissions of a role of the join service, as `verb group/resource` and the resource names to which they are
 * limited.
 */
function rightsOf(kind: "ClusterRole" | "Role", namespace = ""): string[] {
  const role = clusterRbac().find((one) =>
    one.kind === kind && one.metadata.name === "bootstrapper:join-service" && one.metadata.namespace === namespace
  );
  return v.parse(ruleSchema, role).rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    verbs.map((verb) => [`${verb} ${apiGroups[0]}/${resources[0]}`, ...resourceNames].join(" "))
  ).sort();
}

Deno.test("clusterRbac() gives the join service exactly these permissions in the whole cluster", () => {
  assert.deepEqual(rightsOf("ClusterRole"), [
    "create bootstrapper.dev/nodeadmissions",
    "create bootstrapper.dev/nodeevidences",
    "delete bootstrapper.dev/nodeadmissions",
    "get /nodes",
    "get bootstrapper.dev/nodeadmissions",
    "list bootstrapper.dev/nodeadmissions",
    "patch bootstrapper.dev/nodeevidences",
    "update bootstrapper.dev/nodeadmissions",
    "update bootstrapper.dev/nodeadmissions/status",
  ]);
});

Deno.test("clusterRbac() gives the join service exactly these permissions in its own namespace", () => {
  assert.deepEqual(rightsOf("Role", BOOTSTRAPPER_NAMESPACE), [
    "create /configmaps",
    "create coordination.k8s.io/leases",
    "delete /configmaps",
    "get /configmaps",
    "get coordination.k8s.io/leases",
    "list /configmaps",
    "update /configmaps",
    "update coordination.k8s.io/leases",
  ]);
});

Deno.test("clusterRbac() lets the join service read the policy, and nothing else in its namespace", () => {
  assert.deepEqual(rightsOf("Role", POLICY_NAMESPACE), [`get /configmaps ${POLICY_CONFIG_MAP}`]);
});

Deno.test("clusterRbac() binds only the API server and the join services' own group", () => {
  const bindings = clusterRbac().filter(({ kind }) => kind.endsWith("Binding")).map((one) =>
    v.parse(bindingSchema, one)
  );
  const subjects = new Set(bindings.flatMap((one) => one.subjects.map(({ kind, name }) => `${kind} ${name}`)));
  const [organization] = signerSubject("cp-1");
  assert.deepEqual(
    [...subjects].sort(),
    [
      `Group ${organization?.value}`,
      "User kube-apiserver-kubelet-client",
    ].sort(),
  );
});

Deno.test("clusterRbac() creates the namespace before its objects", () => {
  const kinds = clusterRbac().map(({ kind, metadata }) => `${kind} ${metadata.namespace || metadata.name}`);
  assert.ok(kinds.indexOf(`Namespace ${BOOTSTRAPPER_NAMESPACE}`) < kinds.indexOf(`Role ${BOOTSTRAPPER_NAMESPACE}`));
});

Deno.test("clusterRbac() lets the join service write Events on objects without a namespace, and read none", () => {
  assert.deepEqual(rightsOf("Role", "default"), ["create /events"]);
});

const DEFINITIONS = ["nodeadmissions.bootstrapper.dev", "nodeevidences.bootstrapper.dev"];
const wait = { clock: sleepingClock().clock, deadlineMs: 5_000 };

/** An API server that serves a kind after so many looks. */
class SlowApi {
  readonly applied: string[] = [];
  readonly removed: string[] = [];
  looks = 0;

  constructor(readonly looksUntilServed: number) {}

  apply(path: string): Promise<void> {
    this.applied.push(path.split("/").at(-1) ?? "");
    return Promise.resolve();
  }

  remove(path: string): Promise<boolean> {
    this.removed.push(path);
    return Promise.resolve(false);
  }

  async get<T>(_path: string, schema: AnswerSchema<T>): Promise<T> {
    const status = ++this.looks > this.looksUntilServed ? "True" : "False";
    const value = this.looks === 1 ? {} : { status: { conditions: [{ type: "Established", status }] } };
    const result = await schema["~standard"].validate(value);
    assert.ok(result.issues === undefined);
    return result.value;
  }
}

Deno.test("applyClusterRbac() applies the kinds first, deletes what must not be there, and returns when they are served", async () => {
  const api = new SlowApi(3);
  await applyClusterRbac(api, wait);
  assert.deepEqual(api.applied.slice(0, 2), DEFINITIONS);
  assert.equal(api.looks, 5);
  const bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
  assert.deepEqual(api.removed, [`${bindings}/kubeadm:node-autoapprove-certificate-rotation`]);
});

Deno.test("applyClusterRbac() says which kind the API server does not serve", async () => {
  await assert.rejects(applyClusterRbac(new SlowApi(Infinity), wait), (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "timeout/kubernetes-kinds");
    assert.ok(error.message.includes(DEFINITIONS[0] ?? ""), error.message);
    return true;
  });
});
