import assert from "node:assert/strict";
import { mintCertificate } from "./_mint.ts";
import type { CertificateAuthority } from "./ca.ts";
import { createCertificateAuthority } from "./ca.ts";
import { EXT_KEY_USAGE } from "./extensions.ts";
import { generateKeyPair, privateKeyPem } from "./keys.ts";
import { ATTRIBUTE } from "./name.ts";
import { writePem } from "./pem.ts";
import { tlsRefusal } from "./tls_refusal.ts";

const HOUR_MS = 3_600_000;
const ca = await createCertificateAuthority(new Date());
const caPem = writePem("CERTIFICATE", ca.certificate.der);

interface TestServer extends AsyncDisposable {
  readonly port: number;
}

/** A server for a name, whose certificate by the CA is valid until a time. */
async function serverFor(name: string, signer: CertificateAuthority, notAfterMs = HOUR_MS): Promise<TestServer> {
  const keys = await generateKeyPair("p-256");
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: name }],
    spki: keys.spki,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + notAfterMs),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth],
    dnsNames: [name],
  }, signer);
  const server = Deno.serve({
    ...{ hostname: "localhost", port: 0, onListen() {} },
    ...{ cert: writePem("CERTIFICATE", certificate.der), key: await privateKeyPem(keys) },
  }, () => new Response());
  return { port: server.addr.port, [Symbol.asyncDispose]: () => server.shutdown() };
}

const refusalAt = ({ port }: { readonly port: number }, signal?: AbortSignal) =>
  tlsRefusal(new URL(`https://localhost:${port}`), [caPem], signal);

Deno.test("tlsRefusal() refuses another CA, another name, and an expired certificate", async () => {
  await using otherCa = await serverFor("localhost", await createCertificateAuthority(new Date()));
  await using otherName = await serverFor("other", ca);
  await using expired = await serverFor("localhost", ca, -HOUR_MS / 2);
  for (const server of [otherCa, otherName, expired]) {
    assert.match((await refusalAt(server))?.message ?? "", /certificate/);
  }
});

Deno.test("tlsRefusal() returns undefined for a server with a valid certificate", async () => {
  await using server = await serverFor("localhost", ca);
  assert.equal(await refusalAt(server), undefined);
});

Deno.test("tlsRefusal() returns undefined for a server that is unreachable or silent", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.equal(await refusalAt({ port }, AbortSignal.timeout(50)), undefined);
  listener.close();
  assert.equal(await refusalAt({ port }), undefined);
});
