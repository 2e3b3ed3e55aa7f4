import assert from "node:assert/strict";
import { checkKubeletVersion } from "./kubelet_version.ts";

Deno.test("checkKubeletVersion() accepts the same minor version and the three before it, and no other", () => {
  for (const kubelet of ["v1.36.3", "v1.36.9", "v1.35.0", "v1.33.11"]) checkKubeletVersion(kubelet, "v1.36.3");
  for (const kubelet of ["v1.37.0", "v1.32.9", "v1.3.6"]) {
    assert.throws(() => checkKubeletVersion(kubelet, "v1.36.3"), {
      code: "precondition/version-skew",
      retriable: false,
    });
  }
  assert.throws(() => checkKubeletVersion("v1.36.3", "36"), { code: "malformed/kubernetes-version" });
});
