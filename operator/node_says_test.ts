import assert from "node:assert/strict";
import { addressRemark, checkClusterName } from "./node_says.ts";

Deno.test("checkClusterName() refuses a node of another cluster, and names both", () => {
  checkClusterName("demo", {});
  checkClusterName("demo", { clusterName: "demo" });
  assert.throws(() => checkClusterName("dmeo", { clusterName: "demo" }), {
    code: "refused/cluster-name",
    message: /configured for the cluster demo, and the name given here is dmeo/,
    next: /--name demo/,
  });
});

Deno.test("addressRemark() names an address that differs from the called one", () => {
  const remark = addressRemark("192.168.56.11:9443", { nodeAddress: "10.0.2.15" });
  assert.match(remark ?? "", /by 10\.0\.2\.15, and you called it at 192\.168\.56\.11.*node\.addressFrom/);
  assert.equal(addressRemark("10.0.2.15:9443", { nodeAddress: "10.0.2.15" }), undefined);
  assert.equal(addressRemark("[FD00:0::1]:9443", { nodeAddress: "fd00::1" }), undefined);
  assert.equal(addressRemark("node-1:9443", { nodeAddress: "10.0.2.15" }), undefined);
  assert.equal(addressRemark("10.0.2.15:9443", {}), undefined);
});
