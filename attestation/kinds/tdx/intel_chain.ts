/**
 * Intel's certificates, from the root down: those of platforms (PCK), and of the signer of TCB info and QE identity.
 *
 * Intel SGX PCK Certificate and CRL Profile Specification, 1.2 and 1.3.
 *
 * @module
 */
import { refusal } from "../../../protocol/refusal.ts";
import { verifySignedDer } from "../../../certificate/certificate_signature.ts";
import { checkCrl, checkNotRevoked, type Crl } from "../../../certificate/crl.ts";
import { ATTRIBUTE, type NameAttribute, nameText, sameAttributes } from "../../../certificate/name.ts";
import {
  basicConstraints,
  EXTENSION,
  type KeyUsage,
  keyUsage,
  refuseUnknownCritical,
} from "../../../certificate/extensions.ts";
import { type Certificate } from "../../../certificate/x509.ts";
import { equalBytes, hex } from "../../../platform/bytes.ts";
import { readPemChain } from "./_pem_chain.ts";

/** A PCK certificate and the certificates above it. Decoding does not verify them. */
export interface PckChain {
  /** The platform's certificate. */
  readonly pck: Certificate;
  /** The issuer of `pck`: the Platform CA or the Processor CA. */
  readonly issuer: Certificate;
  /** The last certificate of the chain. It is trusted only if it is the anchor. */
  readonly root: Certificate;
}

/** The authority of Intel that issued a PCK certificate. */
export type PckCa = "platform" | "processor";

const PCK_CA_NAMES: Readonly<Record<PckCa, string>> = Object.freeze({
  platform: "Intel SGX PCK Platform CA",
  processor: "Intel SGX PCK Processor CA",
});
const PCK_NAME = "Intel SGX PCK Certificate";
const TCB_SIGNING_NAME = "Intel SGX TCB Signing";
const EVALUATED = [EXTENSION.keyUsage, EXTENSION.basicConstraints];

/**
 * Reads a quote's PCK chain: three certificates in PEM. One NUL follows them if the quoting service uses C strings.
 *
 * @throws {BootstrapError} `malformed/…`.
 */
export function readPckChain(pem: Uint8Array): PckChain {
  const text = pem.at(-1) === 0 ? pem.subarray(0, -1) : pem;
  const [pck, issuer, root] = readPemChain(text, "PCK chain", 3) as [Certificate, Certificate, Certificate];
  return { pck, issuer, root };
}

/** The authority that a chain names. */
export function pckCaOf({ issuer }: PckChain): PckCa {
  return sameAttributes(issuer.subject.attributes, intelName(PCK_CA_NAMES.processor)) ? "processor" : "platform";
}

/**
 * Checks a PCK chain up to the anchor: names, signatures, constraints, validity. It does not check revocation.
 *
 * @throws {BootstrapError} `refused/tdx-root`, `refused/tdx-certificate-…`, `refused/critical-extension`, `malformed/…`.
 */
export async function checkPckChain(chain: PckChain, anchor: Certificate, now: Date): Promise<void> {
  checkRoot(chain.root, anchor, "PCK chain");
  checkValidity(anchor, "Intel's root", now);
  await checkUnder(chain.issuer, anchor, PCK_CA_NAMES[pckCaOf(chain)], "PCK issuer", now);
  checkAuthority(chain.issuer, true, ["keyCertSign", "cRLSign"], "PCK issuer");
  await checkUnder(chain.pck, chain.issuer, PCK_NAME, "PCK certificate", now);
  checkAuthority(chain.pck, false, ["digitalSignature"], "PCK certificate");
}

/**
 * Checks the chain of the issuer of PCK certificates and their revocation list: two certificates in PEM, up to the
 * anchor. It does not check revocation.
 *
 * @param pem The chain.
 * @param ca The authority that it must be of.
 * @returns The issuer's certificate.
 * @throws {BootstrapError} The errors of {@linkcode checkPckChain}.
 */
export async function checkPckIssuerChain(
  pem: Uint8Array,
  ca: PckCa,
  anchor: Certificate,
  now: Date,
): Promise<Certificate> {
  const what = "issuer chain of the PCK CRL";
  const [issuer, root] = readPemChain(pem, what, 2) as [Certificate, Certificate];
  checkRoot(root, anchor, what);
  checkValidity(anchor, "Intel's root", now);
  await checkUnder(issuer, anchor, PCK_CA_NAMES[ca], what, now);
  checkAuthority(issuer, true, ["keyCertSign", "cRLSign"], what);
  return issuer;
}

/**
 * Checks the chain of the signer of TCB info or QE identity: two certificates in PEM, up to the anchor. It does not
 * check revocation.
 *
 * @param pem The chain.
 * @param anchor Intel's root.
 * @param what The field, for errors.
 * @param now The time of day.
 * @returns The signer's certificate.
 * @throws {BootstrapError} The errors of {@linkcode checkPckChain}.
 */
export async function checkSignerChain(
  pem: Uint8Array,
  anchor: Certificate,
  what: string,
  now: Date,
): Promise<Certificate> {
  const [signer, root] = readPemChain(pem, what, 2) as [Certificate, Certificate];
  checkRoot(root, anchor, what);
  checkValidity(anchor, "Intel's root", now);
  await checkUnder(signer, anchor, TCB_SIGNING_NAME, what, now);
  checkAuthority(signer, false, ["digitalSignature"], what);
  return signer;
}

/**
 * Checks both revocation lists, and that neither lists a certificate in use.
 *
 * @param chain A chain that passed {@linkcode checkPckChain}.
 * @param signers The signers from {@linkcode checkSignerChain}.
 * @param crls The lists of the root and of the PCK's issuer.
 * @param anchor Intel's root.
 * @param now The time of day.
 * @throws {BootstrapError} `refused/crl-…`, `refused/certificate-revoked`, without a prefix.
 */
export async function checkRevocation(
  chain: PckChain,
  signers: readonly Certificate[],
  crls: { readonly root: Crl; readonly pck: Crl },
  anchor: Certificate,
  now: Date,
): Promise<void> {
  await checkCrl(crls.root, anchor, now);
  await checkCrl(crls.pck, chain.issuer, now);
  for (const certificate of [chain.issuer, ...signers]) checkNotRevoked(crls.root, certificate);
  checkNotRevoked(crls.pck, chain.pck);
}

function intelName(commonName: string): NameAttribute[] {
  return [
    { oid: ATTRIBUTE.commonName, value: commonName },
    { oid: ATTRIBUTE.organization, value: "Intel Corporation" },
    { oid: "2.5.4.7", value: "Santa Clara" },
    { oid: "2.5.4.8", value: "CA" },
    { oid: "2.5.4.6", value: "US" },
  ];
}

function checkRoot(root: Certificate, anchor: Certificate, what: string): void {
  if (equalBytes(root.der, anchor.der)) return;
  const [expected, seen] = [hex(anchor.spki), hex(root.spki)];
  throw refusal("tdx-root", `The ${what} does not end in Intel's root`, `key ${expected}`, `key ${seen}`);
}

async function checkUnder(
  certificate: Certificate,
  issuer: Certificate,
  commonName: string,
  what: string,
  now: Date,
): Promise<void> {
  const { attributes } = certificate.subject;
  if (!sameAttributes(attributes, intelName(commonName))) {
    const expected = nameText(intelName(commonName));
    throw refusal("tdx-certificate-subject", `The ${what} is of another subject`, expected, nameText(attributes));
  }
  if (!equalBytes(certificate.issuer.der, issuer.subject.der)) {
    const [expected, seen] = [nameText(issuer.subject.attributes), nameText(certificate.issuer.attributes)];
    throw refusal("tdx-certificate-issuer", `The ${what} is of another issuer`, expected, seen);
  }
  const { tbs, signatureAlgorithm, signature } = certificate;
  if (!await verifySignedDer(tbs, signatureAlgorithm, signature, issuer.spki, what)) {
    const message = `The ${what} is not signed by its issuer`;
    throw refusal("tdx-certificate-signature", message, "a signature by the issuer's key", "another signature");
  }
  checkValidity(certificate, what, now);
  refuseUnknownCritical(certificate, EVALUATED);
}

function checkAuthority(certificate: Certificate, isCa: boolean, wanted: readonly KeyUsage[], what: string): void {
  if ((basicConstraints(certificate)?.isCa === true) !== isCa) {
    throw refusal("tdx-certificate-constraints", `The ${what} is of the wrong kind`, `CA ${isCa}`, `CA ${!isCa}`);
  }
  const usages = keyUsage(certificate);
  const missing = wanted.find((usage) => usages?.has(usage) !== true);
  if (missing === undefined) return;
  const seen = [...usages ?? []].join(", ") || "none";
  throw refusal("tdx-certificate-key-usage", `The key of the ${what} is not for ${missing}`, missing, seen);
}

function checkValidity({ notBefore, notAfter }: Certificate, what: string, now: Date): void {
  if (now >= notBefore && now <= notAfter) return;
  const expected = `${notBefore.toISOString()} to ${notAfter.toISOString()}`;
  throw refusal("tdx-certificate-validity", `The ${what} is not valid now`, expected, now.toISOString());
}
