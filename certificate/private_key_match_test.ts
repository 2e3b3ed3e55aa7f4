import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { generateKeyPair, privateKeyPem } from "./keys.ts";
import { readPem, writePem } from "./pem.ts";
import { isPrivateKeyOf } from "./private_key_match.ts";

/** Made by OpenSSL 3.0: `ecparam -name prime256v1 -genkey -noout`, with its public key. */
const SEC1 = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIL4w3i9NFwjZ864IzTdwHiYYRq/ovFKXUlDmAP1CAoiKoAoGCCqGSM49
AwEHoUQDQgAEiTfd2H/sHjXCA82kEd/nwRJ01RPgpXnheovholaKFGI6rKbFVt1F
8V6a03luHDPIqURG4XfO87+FUWfEbkthvQ==
-----END EC PRIVATE KEY-----
`;
const SEC1_PUBLIC = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEiTfd2H/sHjXCA82kEd/nwRJ01RPg
pXnheovholaKFGI6rKbFVt1F8V6a03luHDPIqURG4XfO87+FUWfEbkthvQ==
-----END PUBLIC KEY-----
`;

Deno.test("isPrivateKeyOf() recognizes its own key only, in each form that kubeadm reads", async () => {
  const spki = readPem(SEC1_PUBLIC, "PUBLIC KEY", "key");
  assert.equal(isPrivateKeyOf(SEC1, spki, "key"), true);
  const other = await generateKeyPair("p-256");
  assert.equal(isPrivateKeyOf(SEC1, other.spki, "key"), false);
  assert.equal(isPrivateKeyOf(await privateKeyPem(other), other.spki, "key"), true);
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const rsaSpki = new Uint8Array(rsa.publicKey.export({ type: "spki", format: "der" }));
  for (const type of ["pkcs1", "pkcs8"] as const) {
    const pem = rsa.privateKey.export({ type, format: "pem" }).toString();
    assert.equal(isPrivateKeyOf(pem, rsaSpki, "key"), true);
    assert.equal(isPrivateKeyOf(SEC1, rsaSpki, "key"), false);
    assert.equal(isPrivateKeyOf(pem, spki, "key"), false);
  }
});

Deno.test("isPrivateKeyOf() refuses anything but a private key of a type that Kubernetes uses", async () => {
  const spki = readPem(SEC1_PUBLIC, "PUBLIC KEY", "key");
  const ed25519 = await generateKeyPair("ed25519");
  const der = readPem(SEC1, "EC PRIVATE KEY", "key");
  const bad = [
    SEC1_PUBLIC,
    await privateKeyPem(ed25519, "passphrase"),
    writePem("PRIVATE KEY", der),
    writePem("RSA PRIVATE KEY", der),
    writePem("EC PRIVATE KEY", der.subarray(1)),
  ];
  for (const pem of bad) {
    assert.throws(() => isPrivateKeyOf(pem, spki, "key"), (error: Error & { code?: string }) => {
      assert.equal(error.cause, undefined);
      return error.code === "malformed/private-key";
    });
  }
  const ed25519Pem = await privateKeyPem(ed25519);
  assert.throws(() => isPrivateKeyOf(ed25519Pem, ed25519.spki, "key"), { code: "malformed/private-key" });
});
