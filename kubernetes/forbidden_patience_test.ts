import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { FORBIDDEN_PATIENCE_MS, ForbiddenPatience } from "./forbidden_patience.ts";

const refusal = new BootstrapError("unauthorized/kubernetes-api", "GET /version was refused with 403: no");
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/bootstrapper-system/leases";

function watched() {
  let nowMs = 0;
  const patience = new ForbiddenPatience({ monotonicMs: () => nowMs });
  return { patience, pass: (ms: number) => void (nowMs += ms) };
}

Deno.test("ForbiddenPatience makes a 403 retriable for minutes, and then passes it on as it is", () => {
  const { patience, pass } = watched();
  const first = patience.refused("GET", "/version", refusal);
  assert.deepEqual([first.code, first.retriable, first.cause], ["unavailable/kubernetes-rights", true, refusal]);
  assert.match(first.message, /GET \/version was refused with 403/);
  assert.notEqual(first.next, "");
  pass(FORBIDDEN_PATIENCE_MS - 1);
  assert.equal(patience.refused("GET", "/version", refusal).retriable, true);
  pass(1);
  assert.equal(patience.refused("GET", "/version", refusal), refusal);
});

Deno.test("ForbiddenPatience begins anew after a request of the kind was allowed, and knows each kind by itself", () => {
  const { patience, pass } = watched();
  patience.refused("GET", `${LEASE}/a`, refusal);
  patience.refused("GET", "/api/v1/nodes/a", refusal);
  pass(FORBIDDEN_PATIENCE_MS);
  patience.allowed("GET", "/api/v1/nodes/b");
  assert.equal(patience.refused("GET", "/api/v1/nodes/c", refusal).retriable, true);
  assert.equal(patience.refused("GET", `${LEASE}/b?x=y`, refusal), refusal);
  assert.equal(patience.refused("POST", LEASE, refusal).retriable, true);
});

Deno.test("ForbiddenPatience tells a resource from its subresource, and each resource of a namespace from the others", () => {
  const admissions = "/apis/bootstrapper.dev/v1/nodeadmissions";
  const pairs = [
    [`${admissions}/a`, `${admissions}/a/status`],
    ["/api/v1/namespaces/kube-system/secrets/a", "/api/v1/namespaces/kube-system/configmaps/a"],
    ["/api/v1/namespaces/kube-system/pods/a", "/api/v1/namespaces/kube-system/pods/a/eviction"],
    ["/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-system/secrets"],
    ["/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-system/status"],
    ["/api/v1/nodes/a", "/api/v1/nodes"],
    [LEASE, "/apis/coordination.k8s.io/v1/namespaces/other/leases"],
  ] as const;
  for (const [granted, refused] of pairs) {
    const { patience, pass } = watched();
    patience.refused("PUT", refused, refusal);
    pass(FORBIDDEN_PATIENCE_MS);
    patience.allowed("PUT", granted);
    assert.equal(patience.refused("PUT", refused, refusal), refusal, refused);
    patience.allowed("PUT", refused.replace(/\/a(?=\/|$)/, "/b"));
    assert.equal(patience.refused("PUT", refused, refusal).retriable, true, refused);
  }
});

Deno.test("ForbiddenPatience forgets a refusal that was not repeated, so that the next one is not final at once", () => {
  const { patience, pass } = watched();
  patience.refused("GET", `${LEASE}/a`, refusal);
  pass(24 * 60 * FORBIDDEN_PATIENCE_MS);
  assert.equal(patience.refused("GET", `${LEASE}/a`, refusal).retriable, true);
  // One that lasts does not become new.
  for (let tries = 0; tries < 6; tries++) {
    pass(FORBIDDEN_PATIENCE_MS);
    assert.equal(patience.refused("GET", `${LEASE}/a`, refusal), refusal);
  }
});
