import assert from "node:assert/strict";
import { join } from "node:path";
import { createFounderCertificate } from "../certificate/founder_certificate.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { fileMode } from "../platform/files.ts";
import { FOUNDER_FILES, readOrCreateFounderKey } from "./founder_key.ts";

const ADDRESS = { host: "192.0.2.7", port: 9444 };

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(join(folder, "founding"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const pledge = (folder: string) => Deno.writeTextFile(join(folder, FOUNDER_FILES.pledge), "");

Deno.test("readOrCreateFounderKey() makes a key once, that root alone reads", () =>
  withFolder(async (folder) => {
    const made = await readOrCreateFounderKey(folder, ADDRESS);
    const again = await readOrCreateFounderKey(folder, { ...ADDRESS, port: 9445 });
    assert.equal(again.keyPem, made.keyPem);
    assert.deepEqual(again.certificate, made.certificate);
    for (const name of [FOUNDER_FILES.key, FOUNDER_FILES.certificate]) {
      assert.equal(await fileMode(join(folder, name)), 0o600);
    }
    assert.equal(await fileMode(folder), 0o700);
  }));

Deno.test("readOrCreateFounderKey() makes key and certificate anew for another host, but not after the pledge", () =>
  withFolder(async (folder) => {
    const first = await readOrCreateFounderKey(folder, ADDRESS);
    const other = await readOrCreateFounderKey(folder, { ...ADDRESS, host: "192.0.2.8" });
    assert.notDeepEqual(other.keys.spki, first.keys.spki);
    await pledge(folder);
    assert.deepEqual(
      (await readOrCreateFounderKey(folder, { ...ADDRESS, host: "192.0.2.8" })).keys.spki,
      other.keys.spki,
    );
    await assert.rejects(readOrCreateFounderKey(folder, ADDRESS), { code: "precondition/founder-key" });
  }));

const damages: readonly (readonly [what: string, damage: (folder: string) => Promise<void>])[] = [
  ["no certificate", (folder) => Deno.remove(join(folder, FOUNDER_FILES.certificate))],
  ["no key", (folder) => Deno.remove(join(folder, FOUNDER_FILES.key))],
  ["half a key", (folder) => Deno.writeTextFile(join(folder, FOUNDER_FILES.key), "-----BEGIN PRIV")],
  ["the certificate of another key", async (folder) => {
    const { der } = await createFounderCertificate(await generateKeyPair("p-256"), ADDRESS.host);
    await Deno.writeTextFile(join(folder, FOUNDER_FILES.certificate), writePem("CERTIFICATE", der));
  }],
];
for (const [what, damage] of damages) {
  Deno.test(`readOrCreateFounderKey() finds ${what}: a new key before the pledge, an error after it`, () =>
    withFolder(async (folder) => {
      const first = await readOrCreateFounderKey(folder, ADDRESS);
      await damage(folder);
      const second = await readOrCreateFounderKey(folder, ADDRESS);
      assert.notDeepEqual(second.keys.spki, first.keys.spki);
      await pledge(folder);
      await damage(folder);
      await assert.rejects(readOrCreateFounderKey(folder, ADDRESS), { code: "precondition/founder-key" });
    }));
}

Deno.test("the certificate of readOrCreateFounderKey() is its own trust anchor for TLS", () =>
  withFolder(async (folder) => {
    const { keyPem: key, certificatePem: cert } = await readOrCreateFounderKey(folder, ADDRESS);
    const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, key, cert });
    const { port } = listener.addr as Deno.NetAddr;
    const accepted = listener.accept();
    const client = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [cert], key, cert });
    const server = await accepted;
    await Promise.all([client.handshake(), server.handshake()]);
    client.close();
    server.close();
    listener.close();
  }));
