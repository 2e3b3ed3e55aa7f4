import assert from "node:assert/strict";
import { createCertificateAuthority, issueAdminCertificate, issueServiceCertificate } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { BootstrapError } from "../platform/errors.ts";
import { copyOf } from "../platform/bytes.ts";
import { sign } from "../protocol/signature.ts";
import { answerStatement } from "../protocol/transcript.ts";
import { InitResult } from "../proto/gen/bootstrapper.ts";
import type { SignedInitResult } from "../proto/gen/bootstrapper.ts";
import { checkInitResult } from "./result.ts";

const now = new Date("2030-01-02T03:04:05Z");
const DAY_MS = 24 * 3600 * 1000;
const ca = await createCertificateAuthority(now);
const otherCa = await createCertificateAuthority(now);
const { spki: adminKey } = await generateKeyPair("p-256");
const { spki: otherKey } = await generateKeyPair("p-256");
const a2 = new Uint8Array(32).fill(2);
const expected = { clusterId: await clusterIdOf(ca.certificate), adminKey, a2, now };
const good: InitResult = {
  adminCertificate: (await issueAdminCertificate(ca, adminKey, now)).der,
  caCertificate: ca.certificate.der,
  apiEndpoints: ["192.0.2.1:6443", "[2001:DB8::1]:6443"],
  joinEndpoints: ["k8s.example.org:9444"],
  nodeName: "n1",
};

/** The result as the CA signs it. */
async function signed(result: InitResult, keys = ca.keys, of = a2): Promise<SignedInitResult> {
  const bytes = copyOf(InitResult.encode(result).finish());
  return { result: bytes, signature: await sign(keys, "init-answer", await answerStatement(of, bytes)) };
}

Deno.test("checkInitResult() accepts certificates for exactly this cluster and key, and the endpoints", async () => {
  const { adminCertificate, apiEndpoints, joinEndpoints, nodeName } = await checkInitResult(
    await signed(good),
    expected,
  );
  assert.deepEqual(adminCertificate.der, good.adminCertificate);
  assert.deepEqual([apiEndpoints, joinEndpoints, nodeName], [
    ["192.0.2.1:6443", "[2001:db8::1]:6443"],
    ["k8s.example.org:9444"],
    "n1",
  ]);
  assert.deepEqual((await checkInitResult(await signed({ ...good, joinEndpoints: [] }), expected)).joinEndpoints, []);
});

Deno.test("checkInitResult() refuses every certificate that is not the operator's own", async () => {
  const cases: readonly (readonly [changes: Partial<InitResult>, code: string])[] = [
    [{ caCertificate: otherCa.certificate.der }, "refused/ca-cluster-id"],
    [{ caCertificate: new Uint8Array() }, "malformed/der"],
    [{ adminCertificate: new Uint8Array() }, "malformed/der"],
    [{ adminCertificate: (await issueAdminCertificate(ca, otherKey, now)).der }, "refused/certificate-key"],
    [{ adminCertificate: (await issueAdminCertificate(otherCa, adminKey, now)).der }, "refused/certificate-signature"],
    [{ adminCertificate: (await issueServiceCertificate(ca, "n1", adminKey, now)).der }, "refused/certificate-subject"],
    [
      { adminCertificate: (await issueAdminCertificate(ca, adminKey, new Date(now.getTime() - 2 * 365 * DAY_MS))).der },
      "refused/certificate-validity",
    ],
  ];
  for (const [changes, code] of cases) {
    await assert.rejects(checkInitResult(await signed({ ...good, ...changes }), expected), { code });
  }
});

Deno.test("checkInitResult() refuses a result that the CA did not sign, or signed for another exchange", async () => {
  const changed = { ...await signed(good), result: (await signed({ ...good, nodeName: "n2" })).result };
  for (
    const message of [
      changed,
      await signed(good, otherCa.keys),
      await signed(good, ca.keys, new Uint8Array(32)),
      { ...await signed(good), signature: new Uint8Array() },
    ]
  ) await assert.rejects(checkInitResult(message, expected), { code: "refused/signature" });
  await assert.rejects(checkInitResult({ result: Uint8Array.of(0xff), signature: new Uint8Array(64) }, expected), {
    code: "malformed/init-result",
  });
});

Deno.test("checkInitResult() refuses endpoints and names that do not belong in a kubeconfig, and names the field", async () => {
  const cases: readonly (readonly [changes: Partial<InitResult>, field: string])[] = [
    [{ apiEndpoints: [] }, "api_endpoints"],
    [{ apiEndpoints: ["192.0.2.1"] }, "api_endpoints"],
    [{ apiEndpoints: ["a:6443", "b:6443\nusers: []"] }, "api_endpoints"],
    [{ apiEndpoints: ["user@a:6443"] }, "api_endpoints"],
    [{ apiEndpoints: ["a:6443/path"] }, "api_endpoints"],
    [{ joinEndpoints: Array(65).fill("a:9444") }, "join_endpoints"],
    [{ joinEndpoints: ["a:0"] }, "join_endpoints"],
    [{ nodeName: "" }, "node_name"],
    [{ nodeName: "../../secrets" }, "node_name"],
  ];
  for (const [changes, field] of cases) {
    await assert.rejects(checkInitResult(await signed({ ...good, ...changes }), expected), (error: unknown) => {
      assert(error instanceof BootstrapError);
      return error.code === "malformed/init-result" && error.details["field"] === field;
    }, JSON.stringify(changes));
  }
});
