import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import { PeerError } from "../protocol/refusal.ts";
import { startOverAdvice } from "./start_over.ts";

const pending = { state: "pending", clusterName: "demo" } as const;

Deno.test("startOverAdvice() names commands for an init that failed for good after the node's lock, and for no other", () => {
  const failed = new PeerError("system/kubeadm", "kubeadm init failed", { retriable: false });
  const advice = startOverAdvice(failed, pending) ?? "";
  assert.match(advice, /`bootstrapper reset` on the node, `bootstrapper abandon demo` here, and init again$/);
  assert.equal(startOverAdvice(failed, undefined), undefined);
  assert.equal(startOverAdvice(failed, { ...pending, state: "founded" }), undefined);
  assert.equal(startOverAdvice(new PeerError("precondition/preflight", "no", { isFresh: true }), pending), undefined);
  assert.equal(startOverAdvice(new PeerError("unavailable/etcd", "later", { retriable: true }), pending), undefined);
  assert.equal(startOverAdvice(new BootstrapError("aborted/init", "stopped"), pending), undefined);
});
