import assert from "node:assert/strict";
import { equalBytes, fromHex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { assertRefused, bitFlips, element } from "./testing/certificates.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem, SIGN_ALGORITHMS } from "./keys.ts";
import { readPem, writePem } from "./pem.ts";

const TYPES = ["ed25519", "p-256"] as const;

for (const type of TYPES) {
  Deno.test(`readPrivateKeyPem() restores a key of type ${type}, with and without a passphrase`, async () => {
    const keys = await generateKeyPair(type);
    for (const passphrase of [undefined, "", "correct horse ä"]) {
      const pem = await privateKeyPem(keys, passphrase);
      const label = passphrase === undefined ? "PRIVATE KEY" : "ENCRYPTED PRIVATE KEY";
      assert.match(pem, new RegExp(`^-----BEGIN ${label}-----`));
      const read = await readPrivateKeyPem(pem, "key", passphrase);
      assert.equal(read.type, type);
      assert.deepEqual(read.spki, keys.spki);
      const algorithm = SIGN_ALGORITHMS[type];
      const publicKey = await crypto.subtle.importKey("spki", keys.spki, algorithm, false, ["verify"]);
      const message = new Uint8Array(5);
      const signature = await crypto.subtle.sign(algorithm, read.privateKey, message);
      assert.ok(await crypto.subtle.verify(algorithm, publicKey, signature, message));
    }
  });
}

Deno.test("privateKeyPem() never writes a key in the clear when it has a passphrase", async () => {
  const keys = await generateKeyPair("ed25519");
  const clear = readPem(await privateKeyPem(keys), "PRIVATE KEY", "key");
  const encrypted = readPem(await privateKeyPem(keys, "x"), "ENCRYPTED PRIVATE KEY", "key");
  assert.ok(!encrypted.toHex().includes(clear.slice(-32).toHex()));
  const again = readPem(await privateKeyPem(keys, "x"), "ENCRYPTED PRIVATE KEY", "key");
  assert.ok(!equalBytes(encrypted, again), "salt and IV must be fresh");
});

/** Made by OpenSSL 3.0: `genpkey -algorithm ed25519 -aes256 -pass pass:geheim`. */
const OPENSSL_ENCRYPTED = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiRMKA6/aIQtQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEBE33nb3NMAm4sqdVF0k3k0EQCYS
NZjo/W5d+INZF31GTuHiZQVg4Nf6V2x+yr/OBwxHSwsw/xODDhRi96cNsBKaOycg
CVzbD5o6788K2kJky+s=
-----END ENCRYPTED PRIVATE KEY-----
`;
const OPENSSL_ENCRYPTED_SPKI =
  "302a300506032b6570032100f353ede17883c564ea0cf2051debe775c163d252674e68d763128ae84968e8c8";
/** Made by OpenSSL 3.0: a key encrypted with `-v2prf hmacWithSHA512`, a suite that is not read. */
const OPENSSL_OTHER_SUITE = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjd14xcEHt6RAICA+gw
DAYIKoZIhvcNAgsFADAdBglghkgBZQMEASoEEPOQRt8q4hOdSSNd5xAVlUMEQElu
eG6tx7z4A5Hrnl1qDNSkkJJTmfr6BAnXNEH09Gnz7M6j5WBiSYDmvhuRanzXhV/Z
fbT+cXi+3OYGexOxdIo=
-----END ENCRYPTED PRIVATE KEY-----
`;

Deno.test("readPrivateKeyPem() reads what OpenSSL wrote", async () => {
  const keys = await readPrivateKeyPem(OPENSSL_ENCRYPTED, "key", "geheim");
  assert.equal(keys.spki.toHex(), OPENSSL_ENCRYPTED_SPKI);
});

/** Made by OpenSSL 3.0: `pkcs8 -topk8 -v2 aes-256-cbc -scrypt -passout pass:secret`, N = 16384, r = 8, p = 1. */
const OPENSSL_SCRYPT = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAjN38/vzoB3qwICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBBC0HisOKO+84650vCgVsWSBEA+hy+g9icLSYcJ
5cWGQ8UYYZ/R5epZM+AHv0iqO+TCdetX7INVC7PGokz8mwUxQRmBQkZj9QBts31h
XH59YPTQ
-----END ENCRYPTED PRIVATE KEY-----
`;
/** The same with `-scrypt_N 1024 -scrypt_r 4 -scrypt_p 2`. */
const OPENSSL_SMALL_SCRYPT = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAjWJdYWvHbeugICBAAC
AQQCAQIwHQYJYIZIAWUDBAEqBBAzs0JvFwYvLr/xLtHIonouBECfoABb3USKd2si
bD5VvA4vJUkpUuHL0I5WGSrM+kXj7lMb2wRm/3X9ynlLSlWNOhLy1QbwFtl5ClP3
igpteCq+
-----END ENCRYPTED PRIVATE KEY-----
`;
const OPENSSL_SCRYPT_SPKI = "302a300506032b657003210071077c367662f274088b85bfcd4195f1951229af9942a5004c2c314ce1787782";

Deno.test("readPrivateKeyPem() reads what OpenSSL encrypted with scrypt", async () => {
  for (const pem of [OPENSSL_SCRYPT, OPENSSL_SMALL_SCRYPT]) {
    assert.equal((await readPrivateKeyPem(pem, "key", "secret")).spki.toHex(), OPENSSL_SCRYPT_SPKI);
    await assertRefused(() => readPrivateKeyPem(pem, "key", "wrong"), "usage/passphrase");
  }
});

const hasOpenssl = await new Deno.Command("openssl", { args: ["version"], stdout: "null" }).output().then(
  ({ success }) => success,
  () => false,
);

Deno.test({
  name: `OpenSSL reads what privateKeyPem() encrypted${hasOpenssl ? "" : " -- IGNORED: openssl is not installed"}`,
  ignore: !hasOpenssl,
  async fn() {
    const keys = await generateKeyPair("ed25519");
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, await privateKeyPem(keys, "geheim"));
      const args = ["pkey", "-in", file, "-passin", "pass:geheim", "-pubout", "-outform", "DER"];
      const { success, stdout } = await new Deno.Command("openssl", { args }).output();
      assert.ok(success);
      assert.equal(stdout.toHex(), keys.spki.toHex());
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("readPrivateKeyPem() refuses a key when a bit before its ciphertext is flipped", async () => {
  const der = readPem(OPENSSL_SMALL_SCRYPT, "ENCRYPTED PRIVATE KEY", "key");
  const ciphertextBytes = 64;
  for (const [index, { flipped, at }] of [...bitFlips(der)].entries()) {
    // Each costs a run of scrypt.
    if (index % 3 !== 0) continue;
    if (equalBytes(der.slice(0, -ciphertextBytes), flipped.slice(0, -ciphertextBytes))) continue;
    const pem = writePem("ENCRYPTED PRIVATE KEY", flipped);
    const error = await readPrivateKeyPem(pem, "key", "secret").then(() => assert.fail(at), (error: unknown) => error);
    assert.ok(error instanceof BootstrapError, `${at}: ${error}`);
    assert.match(error.code, /^(?:malformed|refused|usage)\//, at);
  }
});

Deno.test("readPrivateKeyPem() refuses a key when its scrypt asks for too much, or for nothing", async () => {
  const pem = (cost: string, blockSize: string, parallelization: string, length = "") => {
    const integer = (hexText: string) => element(0x02, fromHex(hexText, "integer"));
    const numbers = [cost, blockSize, parallelization, ...(length === "" ? [] : [length])].map(integer);
    const kdf = element(0x30, oid("2b06010401da47040b"), element(0x30, element(0x04, new Uint8Array(8)), ...numbers));
    const cipher = element(0x30, oid(SUITE.cipher), element(0x04, new Uint8Array(16)));
    const scheme = element(0x30, oid(SUITE.scheme), element(0x30, kdf, cipher));
    return writePem("ENCRYPTED PRIVATE KEY", element(0x30, scheme, element(0x04, new Uint8Array(64))));
  };
  for (const length of ["", "20"]) {
    await assertRefused(() => readPrivateKeyPem(pem("0400", "08", "01", length), "key", "x"), "usage/passphrase");
  }
  const wrong: readonly Parameters<typeof pem>[] = [
    ["00", "08", "01"],
    ["01", "08", "01"],
    ["0401", "08", "01"],
    ["0400", "00", "01"],
    ["0400", "08", "00"],
    ["0400", "08", "41"],
    ["0400", "41", "01"],
    ["080000", "08", "01"],
    ["040000", "08", "10"],
    ["0400", "08", "01", "10"],
    ["0400", "08", "01", "21"],
  ];
  for (const numbers of wrong) {
    await assertRefused(() => readPrivateKeyPem(pem(...numbers), "key", "x"), "malformed/der", numbers.join(" "));
  }
});

Deno.test("readPrivateKeyPem() refuses a key when its encryption is not on the list", async () => {
  await assertRefused(() => readPrivateKeyPem(OPENSSL_OTHER_SUITE, "key", "geheim"), "malformed/der");
});

const oid = (hexText: string) => element(0x06, fromHex(hexText, "oid"));
const SUITE = {
  scheme: "2a864886f70d01050d",
  kdf: "2a864886f70d01050c",
  prf: "300c06082a864886f70d02090500",
  cipher: "60864801650304012a",
  iterations: "01",
  iv: 16,
  extraIn: "",
};

/** A key under PBES2 with a changed suite. No passphrase decrypts it. */
function pbes2Pem(change: Partial<typeof SUITE>): string {
  const { scheme, kdf, prf, cipher, iterations, iv, extraIn } = { ...SUITE, ...change };
  const sequence = (name: string, ...parts: Uint8Array[]) =>
    element(0x30, ...parts, name === extraIn ? element(0x05) : new Uint8Array(0));
  const rounds = element(0x02, fromHex(iterations, "iterations"));
  const pbkdf2 = sequence("pbkdf2", element(0x04, new Uint8Array(8)), rounds, fromHex(prf, "prf"));
  const parameters = sequence(
    "parameters",
    sequence("kdf", oid(kdf), pbkdf2),
    sequence("cipher", oid(cipher), element(0x04, new Uint8Array(iv))),
  );
  const info = sequence("info", sequence("scheme", oid(scheme), parameters), element(0x04, new Uint8Array(64)));
  return writePem("ENCRYPTED PRIVATE KEY", info);
}

Deno.test("readPrivateKeyPem() refuses a key when any part of its suite is not on the list", async () => {
  await assertRefused(() => readPrivateKeyPem(pbes2Pem({}), "key", "x"), "usage/passphrase");
  const changes: Partial<typeof SUITE>[] = [
    { scheme: "2a864886f70d01050c" },
    { kdf: "2a864886f70d01050d" },
    { prf: "300c06082a864886f70d02070500" },
    { cipher: "608648016503040102" },
    { iterations: "00" },
    { iterations: "ff" },
    { iterations: "00989681" },
    { iv: 15 },
    ...["info", "scheme", "parameters", "kdf", "pbkdf2", "cipher"].map((extraIn) => ({ extraIn })),
  ];
  for (const change of changes) {
    const act = () => readPrivateKeyPem(pbes2Pem(change), "key", "x");
    await assertRefused(act, "malformed/der", JSON.stringify(change));
  }
});

Deno.test("readPrivateKeyPem() refuses a key when its passphrase is wrong, missing or superfluous", async () => {
  const keys = await generateKeyPair("ed25519");
  const clear = await privateKeyPem(keys);
  for (const passphrase of ["wrong", "", undefined]) {
    await assertRefused(() => readPrivateKeyPem(OPENSSL_ENCRYPTED, "key", passphrase), "usage/passphrase");
  }
  await assertRefused(() => readPrivateKeyPem(clear, "key", "geheim"), "usage/passphrase");
});

const pkcs8 = (algorithm: string, key: string) =>
  writePem(
    "PRIVATE KEY",
    element(0x30, fromHex("020100", "version"), fromHex(algorithm, "algorithm"), element(0x04, fromHex(key, "key"))),
  );

for (
  const [name, algorithm, key] of [
    ["RSA", "300d06092a864886f70d0101010500", "3000"],
    ["P-384", "301006072a8648ce3d020106052b81040022", "3000"],
    ["X25519", "300506032b656e", "0420" + "11".repeat(32)],
    ["Ed25519 with parameters", "300706032b65700500", "0420" + "11".repeat(32)],
  ] as const
) {
  Deno.test(`readPrivateKeyPem() refuses a key when it is ${name}`, async () => {
    await assertRefused(() => readPrivateKeyPem(pkcs8(algorithm, key), "key"), "refused/key-type");
  });
}

Deno.test("readPrivateKeyPem() does not reveal a key when it refuses it", async () => {
  const error = await assertRefused(
    () => readPrivateKeyPem(pkcs8("300506032b6570", "0410" + "ab".repeat(16)), "key"),
    "malformed/private-key",
  );
  assert.equal(error.cause, undefined);
  assert.ok(!JSON.stringify([error.message, error.details]).includes("abab"));
});

Deno.test("readPrivateKeyPem() refuses a key when its PKCS#8 carries another public key", async () => {
  const [one, other] = await Promise.all(TYPES.map(() => generateKeyPair("p-256")));
  assert.ok(one !== undefined && other !== undefined);
  const der = readPem(await privateKeyPem(one), "PRIVATE KEY", "key");
  const swapped = der.toHex().replace(one.spki.slice(-65).toHex(), other.spki.slice(-65).toHex());
  await assertRefused(
    () => readPrivateKeyPem(writePem("PRIVATE KEY", fromHex(swapped, "key")), "key"),
    "malformed/private-key",
  );
});
