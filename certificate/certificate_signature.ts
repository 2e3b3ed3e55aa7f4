/**
 * Verifies signatures of certificates and requests over the received bytes, by an allow-list of algorithms.
 *
 * @module
 */
import type { Bytes } from "../platform/bytes.ts";
import { concat, hex, isZero } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { derError, readDer } from "./der.ts";
import type { KeyType, SignatureHash, VerifyAlgorithm } from "./public_key.ts";
import { readPublicKey, verifyWith } from "./public_key.ts";
import type { AlgorithmIdentifier, Certificate } from "./x509.ts";

/** AlgorithmIdentifiers as whole encodings, so that no parameter is ignored. */
const ALGORITHMS: Readonly<
  Record<string, { readonly scheme: "ed25519" | "ecdsa" | "pkcs1" | "pss"; readonly hash: SignatureHash }>
> = Object.freeze({
  // id-Ed25519 (RFC 8410, 3).
  "300506032b6570": { scheme: "ed25519", hash: "SHA-256" },
  // ecdsa-with-SHA256, -SHA384, -SHA512 (RFC 5758, 3.2).
  "300a06082a8648ce3d040302": { scheme: "ecdsa", hash: "SHA-256" },
  "300a06082a8648ce3d040303": { scheme: "ecdsa", hash: "SHA-384" },
  "300a06082a8648ce3d040304": { scheme: "ecdsa", hash: "SHA-512" },
  // sha256WithRSAEncryption, sha384-, sha512- (RFC 4055, 5).
  "300d06092a864886f70d01010b0500": { scheme: "pkcs1", hash: "SHA-256" },
  "300d06092a864886f70d01010c0500": { scheme: "pkcs1", hash: "SHA-384" },
  "300d06092a864886f70d01010d0500": { scheme: "pkcs1", hash: "SHA-512" },
  // id-RSASSA-PSS with the same hash for the message and MGF1, and a salt as long as the hash (RFC 4055, 3.1). AMD
  // writes the default trailer field, which DER omits, so both forms are listed.
  [pss("01", "20", false)]: { scheme: "pss", hash: "SHA-256" },
  [pss("01", "20", true)]: { scheme: "pss", hash: "SHA-256" },
  [pss("02", "30", false)]: { scheme: "pss", hash: "SHA-384" },
  [pss("02", "30", true)]: { scheme: "pss", hash: "SHA-384" },
  [pss("03", "40", false)]: { scheme: "pss", hash: "SHA-512" },
  [pss("03", "40", true)]: { scheme: "pss", hash: "SHA-512" },
});

const SCALAR_BYTES: Readonly<Record<string, number>> = Object.freeze({ "p-256": 32, "p-384": 48, "p-521": 66 });
const HASH_BYTES: Readonly<Record<SignatureHash, number>> = Object.freeze({
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64,
});

/**
 * Verifies that a key signed a certificate. It does not check validity, names or constraints.
 *
 * Allowed are Ed25519; ECDSA with P-256, P-384 or P-521; RSA of 2048 bits or more, PKCS#1 v1.5 or PSS; each with
 * SHA-256, SHA-384 or SHA-512.
 *
 * @param certificate The certificate.
 * @param issuerSpki The signer's SPKI, DER.
 * @throws {BootstrapError} `refused/certificate-signature` if the key did not sign it, `refused/signature-algorithm`,
 *   `refused/key-type`, `malformed/…` for an invalid signature or key.
 */
export async function verifyCertificateSignature(certificate: Certificate, issuerSpki: Uint8Array): Promise<void> {
  const { tbs, signature, signatureAlgorithm } = certificate;
  if (await verifySignedDer(tbs, signatureAlgorithm, signature, issuerSpki, "certificate signature")) return;
  throw new BootstrapError("refused/certificate-signature", "A certificate is not signed by the key of its issuer", {
    details: { check: "certificate-signature", expected: "a signature by the issuer's key", seen: "another signature" },
  });
}

/**
 * Reports whether a key signed a DER structure (certificate, CRL, request).
 *
 * @param signed The signed bytes, as received.
 * @param algorithm The signature algorithm that the structure names.
 * @param signature The signature; ECDSA in DER.
 * @param spki The signer's SPKI, DER.
 * @param what The name of the field, for errors.
 * @throws {BootstrapError} `refused/signature-algorithm`, `refused/key-type`, `malformed/…`.
 */
export function verifySignedDer(
  signed: Uint8Array,
  algorithm: AlgorithmIdentifier,
  signature: Uint8Array,
  spki: Uint8Array,
  what: string,
): Promise<boolean> {
  const { type } = readPublicKey(spki, what);
  const verify = verifyAlgorithm(algorithm, type);
  const raw = verify.name === "ECDSA" ? rawEcdsaSignature(signature, SCALAR_BYTES[type] ?? 0, what) : signature;
  return verifyWith(verify, spki, raw, signed);
}

/**
 * Converts an ECDSA signature of X.509 (RFC 3279, 2.2.3) to the form of IEEE P1363: r ‖ s, each of `scalarBytes`.
 *
 * @throws {BootstrapError} `malformed/der`.
 */
export function rawEcdsaSignature(der: Uint8Array, scalarBytes: number, what: string): Bytes {
  const outer = readDer(der, what);
  const reader = outer.inside();
  const scalars = [reader.unsigned(), reader.unsigned()].map((scalar) => {
    if (scalar.length > scalarBytes || isZero(scalar)) {
      throw derError(what, "a number of an ECDSA signature is out of range");
    }
    return concat(new Uint8Array(scalarBytes - scalar.length), scalar);
  });
  reader.end();
  return concat(...scalars);
}

function verifyAlgorithm(algorithm: AlgorithmIdentifier, type: KeyType): VerifyAlgorithm {
  const allowed = ALGORITHMS[hex(algorithm.der)];
  if (allowed === undefined) {
    throw algorithmRefusal(`OID ${algorithm.oid} with parameters that are not on the list`, type);
  }
  const { scheme, hash } = allowed;
  if (scheme === "ed25519" && type === "ed25519") return { name: "Ed25519" };
  if (scheme === "ecdsa" && type === "p-256") return { name: "ECDSA", namedCurve: "P-256", hash };
  if (scheme === "ecdsa" && type === "p-384") return { name: "ECDSA", namedCurve: "P-384", hash };
  if (scheme === "ecdsa" && type === "p-521") return { name: "ECDSA", namedCurve: "P-521", hash };
  if (scheme === "pkcs1" && type === "rsa") return { name: "RSASSA-PKCS1-v1_5", hash };
  if (scheme === "pss" && type === "rsa") return { name: "RSA-PSS", hash, saltLength: HASH_BYTES[hash] };
  throw algorithmRefusal(algorithm.oid, type);
}

function algorithmRefusal(seen: string, type: KeyType): BootstrapError {
  return new BootstrapError(
    "refused/signature-algorithm",
    `Cannot verify a signature of algorithm ${seen} by a key ${type}`,
    {
      details: {
        check: "signature-algorithm",
        expected: "Ed25519, ECDSA, RSASSA-PKCS1-v1_5 or RSASSA-PSS with SHA-256, SHA-384 or SHA-512, fitting the key",
        seen: `${seen}, key ${type}`,
      },
    },
  );
}

/** The AlgorithmIdentifier of id-RSASSA-PSS, hexadecimal. `hashArc` is the last arc of the hash's OID. */
function pss(hashArc: string, saltLength: string, withTrailer: boolean): string {
  const hash = `300d06096086480165030402${hashArc}0500`;
  const mgf = `301a06092a864886f70d010108${hash}`;
  const trailer = withTrailer ? "a303020101" : "";
  const parameters = `a00f${hash}a11c${mgf}a2030201${saltLength}${trailer}`;
  return withTrailer ? `304606092a864886f70d01010a3039${parameters}` : `304106092a864886f70d01010a3034${parameters}`;
}
