/**
 * Helpers that tests of a control plane's kit share.
 *
 * @module
 */
import { type CertificateAuthority, createCertificateAuthority } from "../../certificate/ca.ts";
import { generateKeyPair, type KeyPair, privateKeyPem } from "../../certificate/keys.ts";
import { writePem } from "../../certificate/pem.ts";
import { utf8 } from "../../platform/bytes.ts";
import type { ControlPlaneKit } from "../control_plane_kit.ts";
import type { SealingKeyPair } from "../node_keys.ts";

/** Makes the kit of a new cluster, with a given CA or a new one. */
export async function newKit(
  given?: CertificateAuthority<KeyPair>,
): Promise<{ ca: CertificateAuthority<KeyPair>; kit: ControlPlaneKit }> {
  const now = new Date();
  const ca = given ?? await createCertificateAuthority(now);
  const [frontProxy, etcd] = [await createCertificateAuthority(now), await createCertificateAuthority(now)];
  const serviceAccount = await generateKeyPair("p-256");
  const keys = {
    caKey: utf8(await privateKeyPem(ca.keys)),
    serviceAccountKey: utf8(await privateKeyPem(serviceAccount)),
    serviceAccountPublicKey: utf8(writePem("PUBLIC KEY", serviceAccount.spki)),
    frontProxyCaCertificate: utf8(writePem("CERTIFICATE", frontProxy.certificate.der)),
    frontProxyCaKey: utf8(await privateKeyPem(frontProxy.keys)),
    etcdCaCertificate: utf8(writePem("CERTIFICATE", etcd.certificate.der)),
    etcdCaKey: utf8(await privateKeyPem(etcd.keys)),
  };
  return { ca, kit: { keys, policyDocument: "version: 1\nvariant: none\n" } };
}

/** Makes an E_c that is not stored in a folder. */
export async function newSealingKeys(): Promise<SealingKeyPair> {
  const keys = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
  return { publicKey, privateKey: keys.privateKey };
}
