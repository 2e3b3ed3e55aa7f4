import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import * as fc from "fast-check";
import { createCertificateAuthority, issueServiceCertificate } from "../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import type { ClusterKeyName, ClusterKeys } from "../kubernetes/cluster_keys.ts";
import { clusterKeyNames } from "../kubernetes/cluster_keys.ts";
import { concat, equalBytes, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ControlPlaneKit as KitMessage } from "../proto/gen/bootstrapper.ts";
import { newKit } from "./testing/kit.ts";
import {
  checkControlPlaneKit,
  type ControlPlaneKit,
  decodeControlPlaneKit,
  encodeControlPlaneKit,
  MAXIMUM_KIT_BYTES,
} from "./control_plane_kit.ts";

const FIELDS: Readonly<Record<ClusterKeyName, string>> = {
  caKey: "ca_key",
  serviceAccountKey: "service_account_key",
  serviceAccountPublicKey: "service_account_public_key",
  frontProxyCaCertificate: "front_proxy_ca_certificate",
  frontProxyCaKey: "front_proxy_ca_key",
  etcdCaCertificate: "etcd_ca_certificate",
  etcdCaKey: "etcd_ca_key",
};
const DAY_MS = 24 * 3600 * 1000;

const withKeys = (kit: ControlPlaneKit, changes: Partial<ClusterKeys>) => ({
  ...kit,
  keys: { ...kit.keys, ...changes },
});

/** Asserts the refusal of a field, and that neither the error nor its causes reveal a private key. */
async function assertRefused(act: () => unknown, code: string, field: string, kit: ControlPlaneKit): Promise<void> {
  try {
    await act();
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.details.field, field, error.message);
    const shown: unknown[] = [];
    for (let at: unknown = error; at instanceof Error; at = at.cause) shown.push(at.message, at.stack);
    for (const key of [kit.keys.caKey, kit.keys.serviceAccountKey, kit.keys.frontProxyCaKey, kit.keys.etcdCaKey]) {
      for (const line of fromUtf8(key, "key").split("\n").filter((text) => text !== "" && !text.startsWith("---"))) {
        assert.ok(!JSON.stringify([shown, error.details]).includes(line), "an error shows a key");
      }
    }
    return;
  }
  assert.fail(`nothing was refused with ${code} for ${field}`);
}

const anyPolicy = () => {};

Deno.test("decodeControlPlaneKit() restores an encoded kit, in buffers of its own", async () => {
  const { ca, kit } = await newKit();
  const bytes = encodeControlPlaneKit(kit);
  assert.ok(bytes.length <= MAXIMUM_KIT_BYTES);
  const read = decodeControlPlaneKit(bytes);
  bytes.fill(0);
  assert.deepEqual(read, kit);
  await checkControlPlaneKit(read, ca.certificate, new Date(), anyPolicy);
});

Deno.test("decodeControlPlaneKit() refuses a kit when a field is missing, too large or the wrong PEM", async () => {
  const { kit } = await newKit();
  for (const name of clusterKeyNames()) {
    const others = ["caKey", "serviceAccountPublicKey", "etcdCaCertificate"] as const;
    const label = (bytes: Uint8Array) => fromUtf8(bytes, "PEM").split("\n")[0];
    const bad = [
      new Uint8Array(0),
      utf8("-----BEGIN"),
      Uint8Array.of(0xff, 0xfe),
      concat(kit.keys[name], kit.keys[name]),
      concat(kit.keys[name], new Uint8Array(8192).fill(0x0a)),
      ...others.map((other) => kit.keys[other]).filter((bytes) => label(bytes) !== label(kit.keys[name])),
    ];
    for (const bytes of bad) {
      const changed = withKeys(kit, { [name]: bytes });
      const message = KitMessage.encode({ ...changed.keys, policyDocument: kit.policyDocument }).finish();
      await assertRefused(() => decodeControlPlaneKit(message), "malformed/sealed-kit", FIELDS[name], kit);
      await assertRefused(() => encodeControlPlaneKit(changed), "malformed/sealed-kit", FIELDS[name], kit);
    }
  }
  for (const policyDocument of ["", "x".repeat(64 * 1024 + 1)]) {
    const changed = { ...kit, policyDocument };
    await assertRefused(() => encodeControlPlaneKit(changed), "malformed/sealed-kit", "policy_document", kit);
  }
});

Deno.test("decodeControlPlaneKit() refuses a kit when it is cut off, longer, or encoded another way", async () => {
  const { kit } = await newKit();
  const bytes = encodeControlPlaneKit(kit);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeControlPlaneKit(bytes.subarray(0, length)), { code: "malformed/sealed-kit" });
  }
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (more) => {
    let read: ControlPlaneKit;
    try {
      read = decodeControlPlaneKit(concat(bytes, more));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/sealed-kit");
      return;
    }
    assert.fail(`read ${read.policyDocument}`);
  }));
  const again = concat(bytes, KitMessage.encode(KitMessage.create({ policyDocument: kit.policyDocument })).finish());
  assert.throws(() => decodeControlPlaneKit(again), { code: "malformed/sealed-kit" });
  assert.throws(() => decodeControlPlaneKit(new Uint8Array(MAXIMUM_KIT_BYTES + 1)), { code: "malformed/sealed-kit" });
});

Deno.test("decodeControlPlaneKit() reads a kit in one encoding only", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      assert.ok(equalBytes(encodeControlPlaneKit(decodeControlPlaneKit(bytes)), bytes));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/sealed-kit");
    }
  }));
});

Deno.test("checkControlPlaneKit() refuses a kit when its parts do not belong together", async () => {
  const [{ ca, kit }, { kit: other }] = [await newKit(), await newKit()];
  const blamed: Readonly<Record<ClusterKeyName, ClusterKeyName>> = {
    caKey: "caKey",
    serviceAccountKey: "serviceAccountKey",
    serviceAccountPublicKey: "serviceAccountKey",
    frontProxyCaCertificate: "frontProxyCaKey",
    frontProxyCaKey: "frontProxyCaKey",
    etcdCaCertificate: "etcdCaKey",
    etcdCaKey: "etcdCaKey",
  };
  for (const name of clusterKeyNames()) {
    const changed = withKeys(kit, { [name]: other.keys[name] });
    const act = () => checkControlPlaneKit(changed, ca.certificate, new Date(), anyPolicy);
    await assertRefused(act, "refused/sealed-kit", FIELDS[blamed[name]], kit);
  }
});

Deno.test("checkControlPlaneKit() refuses a kit when a CA is not a CA or not valid now", async () => {
  const { ca, kit } = await newKit();
  const now = new Date();
  const keys = await generateKeyPair("p-256");
  const bad = {
    "signed by another": (await issueServiceCertificate(ca, "cp-1", keys.spki, now)).der,
    "of the next year": (await createCertificateAuthority(new Date(now.getTime() + 365 * DAY_MS))).certificate.der,
    "of eleven years ago":
      (await createCertificateAuthority(new Date(now.getTime() - 11 * 365 * DAY_MS))).certificate.der,
    "no DER": new Uint8Array(20),
  };
  for (const name of ["frontProxyCaCertificate", "etcdCaCertificate"] as const) {
    for (const der of Object.values(bad)) {
      const changed = withKeys(kit, { [name]: utf8(writePem("CERTIFICATE", der)) });
      await assertRefused(
        () => checkControlPlaneKit(changed, ca.certificate, now, anyPolicy),
        "refused/sealed-kit",
        FIELDS[name],
        kit,
      );
    }
  }
});

Deno.test("checkControlPlaneKit() refuses a kit when its policy cannot be read", async () => {
  const { ca, kit } = await newKit();
  const asked: string[] = [];
  const act = () =>
    checkControlPlaneKit(kit, ca.certificate, new Date(), (document) => {
      asked.push(document);
      throw new BootstrapError("usage/document", "it is no policy");
    });
  await assertRefused(act, "refused/sealed-kit", "policy_document", kit);
  assert.deepEqual(asked, [kit.policyDocument]);
});

Deno.test("checkControlPlaneKit() accepts service account keys only of the types that kubeadm makes", async () => {
  const { ca, kit } = await newKit();
  const now = new Date();
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const spki = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
  const ecPem = await privateKeyPem(await generateKeyPair("p-256"));
  const ec = createPrivateKey(ecPem);
  assert.match(ec.export({ type: "sec1", format: "pem" }).toString(), /^-----BEGIN EC PRIVATE KEY-----/);
  for (const type of ["pkcs1", "pkcs8"] as const) {
    const changed = withKeys(kit, {
      serviceAccountKey: utf8(rsa.privateKey.export({ type, format: "pem" }).toString()),
      serviceAccountPublicKey: utf8(spki),
    });
    await checkControlPlaneKit(decodeControlPlaneKit(encodeControlPlaneKit(changed)), ca.certificate, now, anyPolicy);
  }
  const ed25519 = await generateKeyPair("ed25519");
  const changed = withKeys(kit, {
    serviceAccountKey: utf8(await privateKeyPem(ed25519)),
    serviceAccountPublicKey: utf8(writePem("PUBLIC KEY", ed25519.spki)),
  });
  const act = () => checkControlPlaneKit(changed, ca.certificate, now, anyPolicy);
  await assertRefused(act, "refused/sealed-kit", "service_account_key", changed);
});
