import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { issueNodeCertificates } from "../certificate/testing/node_certificates.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { verifyCertificateSignature } from "../certificate/certificate_signature.ts";
import { openSigningCa } from "./signing_ca.ts";

const ca = await createCertificateAuthority(new Date());

async function inFolder(pem: string | undefined, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  if (pem !== undefined) await Deno.writeTextFile(join(folder, "ca.key"), pem);
  await use(folder).finally(() => Deno.remove(folder, { recursive: true }));
}

Deno.test("openSigningCa() returns a CA that signs and whose key cannot be exported", () =>
  privateKeyPem(ca.keys).then((pem) =>
    inFolder(pem, async (folder) => {
      const opened = await openSigningCa(ca.certificate.der, folder);
      assert.equal(opened.keys.privateKey.extractable, false);
      const { spki } = await generateKeyPair("p-256");
      const { client } = await issueNodeCertificates(opened, {
        ...{ nodeName: "one", epoch: 1, addresses: [], clientKey: spki, servingKey: spki, lifetimeMs: 3_600_000 },
      }, new Date());
      await verifyCertificateSignature(client, ca.certificate.spki);
    })
  ));

Deno.test("openSigningCa() says that a service without the CA's key cannot sign", async () => {
  await inFolder(undefined, async (folder) => {
    await assert.rejects(openSigningCa(ca.certificate.der, folder), { code: "system/file" });
  });
});

Deno.test("openSigningCa() refuses another CA's key, a key of another type, and what is none", async () => {
  const other = await privateKeyPem(await generateKeyPair("p-256"));
  const cases = [
    [other, "precondition/ca-key"],
    [await privateKeyPem(await generateKeyPair("ed25519")), "refused/key-type"],
    [await privateKeyPem(ca.keys, "a passphrase of some length"), "malformed/pem"],
    ["", "malformed/pem"],
  ] as const;
  for (const [pem, code] of cases) {
    await inFolder(pem, async (folder) => {
      await assert.rejects(openSigningCa(ca.certificate.der, folder), { code });
    });
  }
});
