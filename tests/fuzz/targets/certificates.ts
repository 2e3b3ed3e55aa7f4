/**
 * Certificates, revocation lists, requests, keys, PEM.
 *
 * @module
 */
import { rawEcdsaSignature } from "../../../certificate/certificate_signature.ts";
import {
  checkAdminCertificate,
  checkCaCertificate,
  checkNodeCertificate,
  checkServiceCertificate,
  checkServingCertificate,
} from "../../../certificate/chain.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { derOf } from "../../../certificate/document_form.ts";
import { checkCrl, checkNotRevoked, readCrl } from "../../../certificate/crl.ts";
import { checkNodeCsr, readCsr } from "../../../certificate/csr.ts";
import { readOpensshKey } from "../../../certificate/_openssh_key.ts";
import { readPrivateKeyPem } from "../../../certificate/keys.ts";
import { nameText } from "../../../certificate/name.ts";
import { pemLabel, readPem, writePem } from "../../../certificate/pem.ts";
import type { PemLabel } from "../../../certificate/pem.ts";
import { readPublicKey, verifyWith } from "../../../certificate/public_key.ts";
import type { KeyType, VerifyAlgorithm } from "../../../certificate/public_key.ts";
import {
  basicConstraints,
  extKeyUsage,
  keyUsage,
  refuseUnknownCritical,
  subjectAltName,
} from "../../../certificate/extensions.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import type { CertificateProfile } from "../../../certificate/x509.ts";
import { equalBytes, fromUtf8 } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { fixedKeys } from "../_keys.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf, promiseOneForm, promiseOneOf } from "./_checks.ts";

/** A time at which the inputs of the corpus are valid. */
const NOW = new Date("2026-05-01T00:00:00Z");
const PROFILES: readonly CertificateProfile[] = ["strict", "vendor"];
const LABELS: readonly PemLabel[] = ["CERTIFICATE", "CERTIFICATE REQUEST", "PRIVATE KEY", "PUBLIC KEY"];
const ALGORITHMS: Readonly<Record<KeyType, VerifyAlgorithm>> = {
  ed25519: { name: "Ed25519" },
  "p-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "p-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  "p-521": { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" },
  rsa: { name: "RSA-PSS", hash: "SHA-384", saltLength: 48 },
};
/** PKCS#8 of an Ed25519 key with its public key. */
const PKCS8_BYTES = 83;
const SIGNATURE = new Uint8Array(64).fill(1);

async function readAs(profile: CertificateProfile, input: Bytes): Promise<void> {
  const certificate = readCertificate(input, "fuzz", profile);
  promise(equalBytes(certificate.der, input), "a certificate differs from the bytes that were read");
  promiseOneForm(input);
  nameText(certificate.subject.attributes);
  await eachOf(
    () => basicConstraints(certificate),
    () => keyUsage(certificate),
    () => extKeyUsage(certificate),
    () => subjectAltName(certificate),
    () => refuseUnknownCritical(certificate, []),
    () => readPublicKey(certificate.spki, "fuzz"),
  );
}

export const certificateTargets: readonly FuzzTarget[] = [
  {
    name: "certificate",
    form: "der",
    maximumBytes: 17 << 10,
    open: () => (input) => eachOf(...PROFILES.map((profile) => () => readAs(profile, input))),
  },
  {
    name: "cluster-certificate",
    form: "der",
    maximumBytes: 17 << 10,
    async open(read) {
      const fixture = (name: string) => read(`fixtures/${name}.der`);
      const made = await Promise.all(["ca", "node", "serving", "service", "admin"].map(fixture));
      const ca = readCertificate(await fixture("ca"), "CA");
      const [node, admin] = [await fixedKeys("p-256", 3), await fixedKeys("p-256", 4)];
      const expected = {
        ...{ nodeName: "worker-1", addresses: ["192.0.2.7"], now: NOW },
        ...{ clientKey: node.spki, servingKey: (await fixedKeys("p-256", 5)).spki },
      };
      const clusterId = await clusterIdOf(ca);
      return (input) =>
        eachOf(...[
          () => checkCaCertificate(input, clusterId),
          () => checkNodeCertificate(input, ca, expected),
          () => checkServingCertificate(input, ca, expected),
          () => checkServiceCertificate(input, ca, NOW),
          () => checkAdminCertificate(input, ca, admin.spki, NOW),
        ].map((check) => async () => {
          await check();
          promiseOneOf(input, made, "a certificate");
        }));
    },
  },
  {
    name: "crl",
    form: "der",
    maximumBytes: 256 << 10,
    async open(read) {
      const root = readCertificate(await read("fixtures/intel-root.der"), "root");
      const made = [await read("crl/root.der")];
      return (input) =>
        eachOf(...PROFILES.map((profile) => async () => {
          const crl = readCrl(derOf(input, "X509 CRL", "fuzz"), "fuzz", profile);
          promiseOneForm(input);
          await checkCrl(crl, root, NOW);
          promiseOneOf(input, made, "a revocation list");
          checkNotRevoked(crl, root);
        }));
    },
  },
  {
    name: "csr",
    form: "der",
    maximumBytes: 5 << 10,
    async open() {
      const { spki } = await fixedKeys("p-256", 3);
      return (input) =>
        eachOf(async () => {
          const csr = await readCsr(input);
          promiseOneForm(input);
          checkNodeCsr(csr, "worker-1", spki);
        });
    },
  },
  {
    name: "public-key",
    form: "der",
    maximumBytes: 4 << 10,
    open: () => (input) =>
      eachOf(
        async () => {
          const { type, spki } = readPublicKey(input, "fuzz");
          promise(equalBytes(spki, input), "a key differs from the bytes that were read");
          promiseOneForm(input);
          const isVerified = await verifyWith(ALGORITHMS[type], spki, SIGNATURE, input);
          promise(!isVerified, "a forged signature is verified");
        },
        () => promise(rawEcdsaSignature(input, 32, "fuzz").length === 64, "a signature has the wrong length"),
      ),
  },
  {
    name: "pem",
    form: "text",
    maximumBytes: 80 << 10,
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      return eachOf(
        () => pemLabel(text, "fuzz"),
        ...LABELS.map((label) => () => {
          const der = readPem(text, label, "fuzz");
          promise(
            equalBytes(readPem(writePem(label, der), label, "fuzz"), der),
            "PEM that is written again is another",
          );
        }),
      );
    },
  },
  {
    name: "private-key",
    form: "text",
    maximumBytes: 8 << 10,
    open: () => (input) => readPrivateKeyPem(fromUtf8(input, "fuzz"), "fuzz"),
  },
  {
    name: "openssh-key",
    form: "bytes",
    maximumBytes: 4 << 10,
    open: () => (input) => {
      promise(readOpensshKey(input, "fuzz").length === PKCS8_BYTES, "a key of another length was read");
    },
  },
];
