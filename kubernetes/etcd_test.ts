import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import fc from "fast-check";
import { createCertificateAuthority, issueAdminCertificate } from "../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { BootstrapError, type ErrorCode } from "../platform/errors.ts";
import { codeOfTlsError, etcdError, noEndpointError } from "./_etcd_error.ts";
import { parseEtcdEndpoint } from "./_etcd_tls.ts";
import { EtcdCluster, type EtcdCredentials } from "./etcd.ts";

/** A certificate issued by its own new CA, PEM. */
async function credentialsOf(): Promise<EtcdCredentials> {
  const ca = await createCertificateAuthority(new Date());
  const keys = await generateKeyPair("p-256");
  const certificate = await issueAdminCertificate(ca, keys.spki, new Date());
  return {
    caPem: writePem("CERTIFICATE", ca.certificate.der),
    certificatePem: writePem("CERTIFICATE", certificate.der),
    keyPem: await privateKeyPem(keys),
  };
}

function thrown(call: () => unknown): BootstrapError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    return error;
  }
  assert.fail("nothing was thrown");
}

Deno.test("EtcdCluster() names the unusable part of the credentials, and does not reveal it", async () => {
  const good = await credentialsOf();
  const other = await credentialsOf();
  new EtcdCluster(["127.0.0.1:2379"], good)[Symbol.dispose]();
  const cases: readonly [keyof EtcdCredentials, string][] = [
    ["caPem", ""],
    ["caPem", good.certificatePem],
    ["certificatePem", ""],
    ["certificatePem", good.keyPem],
    ["keyPem", ""],
    ["keyPem", good.keyPem.slice(0, 100)],
    ["keyPem", other.keyPem],
  ];
  for (const [field, pem] of cases) {
    const error = thrown(() => new EtcdCluster(["127.0.0.1:2379"], { ...good, [field]: pem }));
    assert.equal(error.code, "usage/etcd-credentials");
    assert.equal(error.details.field, field);
    assert.equal(error.cause, undefined);
    const secret = good.keyPem.split("\n")[1] ?? "";
    assert.ok(secret.length > 40 && !`${error.stack}${JSON.stringify(error)}`.includes(secret));
  }
});

Deno.test("EtcdCluster() throws usage/etcd-endpoint for anything but host:port", async () => {
  const credentials = await credentialsOf();
  for (const endpoint of ["", "cp-1", "cp-1:0", "cp-1:65536", "http://cp-1:2379", "::1:2379", "[cp-1]:2379", "a b:1"]) {
    assert.equal(thrown(() => new EtcdCluster([endpoint], credentials)).code, "usage/etcd-endpoint", endpoint);
  }
});

Deno.test("EtcdCluster.remove() throws usage/etcd-member for an invalid ID, without a call", async () => {
  using cluster = new EtcdCluster(["127.0.0.1:1"], await credentialsOf());
  for (const id of ["", "1", "0x00000000000001", "00000000000000AB", "00000000000000011"]) {
    await assert.rejects(
      cluster.remove(id),
      (error) => error instanceof BootstrapError && error.code === "usage/etcd-member",
    );
  }
});

Deno.test("parseEtcdEndpoint() reads host:port and client URLs", () => {
  const cases: readonly [string, string, string][] = [
    ["cp-1.example.org:2379", "cp-1.example.org:2379", "cp-1.example.org"],
    ["https://10.0.0.1:2379", "10.0.0.1:2379", "10.0.0.1"],
    ["https://10.0.0.1:2379/", "10.0.0.1:2379", "10.0.0.1"],
    ["[fd00::1]:2379", "[fd00::1]:2379", "fd00::1"],
    ["https://[fd00::1]:2379", "[fd00::1]:2379", "fd00::1"],
  ];
  for (const [input, text, host] of cases) assert.deepEqual(parseEtcdEndpoint(input), { text, host, port: 2379 });
});

Deno.test("parseEtcdEndpoint() reads its own result, and nothing with a path, a user or a space", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webUrl({ withFragments: true }), fc.webAuthority()), (input) => {
    const endpoint = parseEtcdEndpoint(input);
    if (endpoint === undefined) return;
    assert.doesNotMatch(endpoint.text, /[\s/@?#]/);
    assert.deepEqual(parseEtcdEndpoint(endpoint.text), endpoint);
  }));
});

Deno.test("etcdError() maps each gRPC status to a code", () => {
  const codes: Readonly<Record<string, readonly number[]>> = {
    "timeout/etcd": [status.DEADLINE_EXCEEDED],
    "unavailable/etcd": [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.ABORTED],
    "unauthorized/etcd": [status.UNAUTHENTICATED, status.PERMISSION_DENIED],
    "precondition/etcd": [status.FAILED_PRECONDITION, status.UNKNOWN],
    "precondition/not-found": [status.NOT_FOUND],
    "aborted/etcd": [status.CANCELLED],
    "system/etcd": [status.INTERNAL, status.DATA_LOSS, status.UNIMPLEMENTED, status.INVALID_ARGUMENT, 99],
  };
  for (const [code, all] of Object.entries(codes)) {
    for (const one of all) {
      const error = etcdError("10.0.0.1:2379", "MemberList", { code: one, details: "why" });
      assert.equal(error.code, code);
      assert.equal(error.retriable, /^(?:timeout|unavailable)\//.test(code), code);
      assert.equal(error.details.endpoint, "10.0.0.1:2379");
      assert.equal(error.details.reason, "why");
    }
  }
});

Deno.test("codeOfTlsError() distinguishes rejected certificates from network failures", () => {
  const refused = [
    ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ...["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ...["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"],
    ...["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"],
  ];
  const others = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTFOUND", "ERR_SSL_WRONG_VERSION_NUMBER", undefined, 7];
  for (const code of refused) assert.equal(codeOfTlsError(Object.assign(new Error(), { code })), code);
  for (const code of others) assert.equal(codeOfTlsError(Object.assign(new Error(), { code })), undefined);
});

Deno.test("noEndpointError() prefers a retriable error, and names all endpoints", () => {
  const at = (endpoint: string, code: ErrorCode) => new BootstrapError(code, "why", { details: { endpoint } });
  const alone = noEndpointError([at("a:1", "unauthorized/etcd")]);
  assert.deepEqual([alone.code, alone.details], ["unauthorized/etcd", { endpoint: "a:1" }]);
  const both = noEndpointError([at("a:1", "unauthorized/etcd"), at("b:2", "timeout/etcd")]);
  assert.deepEqual([both.code, both.retriable], ["timeout/etcd", true]);
  assert.equal(both.details.endpoints, "a:1 unauthorized/etcd, b:2 timeout/etcd");
});
