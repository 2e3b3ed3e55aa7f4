import assert from "node:assert/strict";
import * as v from "valibot";
import { createCertificateAuthority, issueAdminCertificate } from "../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { createThrowAwayCertificate } from "../certificate/throw_away.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ApiCredentials } from "./api.ts";
import { KubernetesApi } from "./api.ts";
import { nodeCertificatePath } from "./kubelet_credentials.ts";
import { renewOwnCertificates } from "./own_node_certificates.ts";
import { FORBIDDEN_PATIENCE_MS, ForbiddenPatience } from "./forbidden_patience.ts";
import { startHttpsServer } from "./testing/https.ts";

async function credentialsFor(server: string): Promise<ApiCredentials> {
  const ca = await createCertificateAuthority(new Date());
  const keys = await generateKeyPair("p-256");
  return {
    server,
    caPem: writePem("CERTIFICATE", ca.certificate.der),
    certificatePem: writePem("CERTIFICATE", (await issueAdminCertificate(ca, keys.spki, new Date())).der),
    keyPem: await privateKeyPem(keys),
  };
}

/** The error of a call to a server that accepts connections but sends nothing. */
async function callToSilence(options: ConstructorParameters<typeof KubernetesApi>[1]): Promise<BootstrapError> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using api = new KubernetesApi(await credentialsFor(`https://127.0.0.1:${listener.addr.port}`), options);
  const error = await api.get("/version", v.unknown()).then(() => assert.fail(), (error: unknown) => error);
  assert.ok(error instanceof BootstrapError, String(error));
  return error;
}

Deno.test("KubernetesApi throws a retriable error when no server listens", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  using api = new KubernetesApi(await credentialsFor(`https://127.0.0.1:${port}`));
  await assert.rejects(api.create("/api/v1/namespaces", {}, v.unknown()), (error: unknown) => {
    assert.ok(error instanceof BootstrapError && error.code === "unavailable/kubernetes-api");
    return error.retriable;
  });
});

Deno.test("KubernetesApi ends each call at its deadline with a retriable error", async () => {
  const { code, retriable } = await callToSilence({ deadlineMs: 20 });
  assert.deepEqual([code, retriable], ["timeout/kubernetes-api", true]);
});

Deno.test("KubernetesApi ends calls with its signal's reason, not retriable", async () => {
  const controller = new AbortController();
  const called = callToSilence({ signal: controller.signal });
  const reason = new BootstrapError("aborted/run", "The bootstrapper was stopped");
  controller.abort(reason);
  assert.equal(await called, reason);
  assert.equal(await callToSilence({ signal: controller.signal }), reason, "a call that came later");
  assert.equal(reason.retriable, false);
});

Deno.test("KubernetesApi makes a 403 retriable for the first minutes if it is told to", async () => {
  const kubelet = await Deno.makeTempDir();
  const ca = await createCertificateAuthority(new Date());
  const server = { nodeName: "cp-1", addresses: ["127.0.0.1"], lifetimeMs: 3_600_000, epoch: 1 };
  await renewOwnCertificates({ ca, paths: { kubelet }, now: new Date() }, server);
  const pem = await Deno.readTextFile(nodeCertificatePath(kubelet, "serving"));
  await Deno.remove(kubelet, { recursive: true });
  const answers = [403, 200, 403].map((status) => new Response('{"kind":"Status","message":"no"}', { status }));
  const own = Deno.serve({
    ...{ hostname: "127.0.0.1", port: 0, cert: pem, key: pem, onListen: () => {} },
    handler: () => answers.shift() ?? new Response("", { status: 403 }),
  });
  try {
    let nowMs = 0;
    const credentials = {
      ...await credentialsFor(`https://127.0.0.1:${own.addr.port}`),
      caPem: writePem("CERTIFICATE", ca.certificate.der),
    };
    using patient = new KubernetesApi(credentials, { patience: new ForbiddenPatience({ monotonicMs: () => nowMs }) });
    await assert.rejects(patient.get("/version", v.unknown()), {
      code: "unavailable/kubernetes-rights",
      retriable: true,
    });
    await patient.get("/version", v.unknown());
    nowMs = FORBIDDEN_PATIENCE_MS;
    await assert.rejects(patient.get("/version", v.unknown()), {
      code: "unavailable/kubernetes-rights",
      retriable: true,
    });
    nowMs = 2 * FORBIDDEN_PATIENCE_MS;
    await assert.rejects(patient.get("/version", v.unknown()), {
      code: "unauthorized/kubernetes-api",
      retriable: false,
    });
  } finally {
    await own.shutdown();
  }
});

Deno.test("KubernetesApi reports a TLS failure when the server has another certificate", async () => {
  const { certificatePem, keyPem } = await createThrowAwayCertificate();
  await using server = await startHttpsServer(certificatePem, keyPem);
  using api = new KubernetesApi(await credentialsFor(`https://127.0.0.1:${server.port}`));
  const error = await api.get("/version", v.unknown()).then(() => assert.fail(), (error: unknown) => error);
  assert.ok(error instanceof BootstrapError && error.cause instanceof Error, String(error));
  assert.deepEqual([error.code, error.retriable], ["unavailable/kubernetes-api-tls", true]);
  assert.match(error.cause.message, /certificate/);
  assert.notEqual(error.next, "");
});
