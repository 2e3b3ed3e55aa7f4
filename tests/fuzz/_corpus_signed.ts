/**
 * Signed inputs: certificates, revocation lists, evidence.
 *
 * @module
 */
import { extendedOnce } from "../../protocol/transcript.ts";
import { createSoftwareAmd, NOW as SNP_NOW, STATEMENT } from "../../attestation/kinds/snp/testing/snp.ts";
import { encodeTdxPayload } from "../../attestation/kinds/tdx/payload.ts";
import { padded } from "../../attestation/kinds/tdx/rtmr.ts";
import { createSoftwareIntel } from "../../attestation/kinds/tdx/testing/intel.ts";
import { createSoftwareMachine } from "../../attestation/kinds/tpm/testing/tpm.ts";
import { issueAdminCertificate, issueServiceCertificate } from "../../certificate/ca.ts";
import { issueNodeCertificates } from "../../certificate/testing/node_certificates.ts";
import { mintCertificate } from "../../certificate/_mint.ts";
import { createNodeCsr } from "../../certificate/csr.ts";
import { EXT_KEY_USAGE } from "../../certificate/extensions.ts";
import { ATTRIBUTE } from "../../certificate/name.ts";
import { writePem } from "../../certificate/pem.ts";
import { base64, concat, hex, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { fixedKeys } from "./_keys.ts";

/** Files by their paths below `corpus/`. */
export type CorpusFiles = Readonly<Record<string, Bytes>>;

/** A time at which all certificates and evidence are valid. */
export const NOW: Date = new Date("2026-05-01T00:00:00Z");

/** The UID of the corpus' admission. */
export const ADMISSION_UID = "0f8fad5b-d9cb-469f-a165-70867728950e";

const YEAR_MS = 365 * 24 * 3600 * 1000;
const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);
const TRUST_DIGEST = filled(32, 0xd1);

/** All signed files of the corpus. */
export async function signedFiles(): Promise<CorpusFiles> {
  return { ...await clusterFiles(), ...await tpmFiles(), ...await snpFiles(), ...await tdxFiles() };
}

/** A CA of this name with the fixed keys. */
async function authority(octet: number, commonName: string) {
  const keys = await fixedKeys("p-256", octet);
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: commonName }],
    spki: keys.spki,
    notBefore: new Date(NOW.getTime() - YEAR_MS),
    notAfter: new Date(NOW.getTime() + 9 * YEAR_MS),
    isCa: true,
    keyUsage: ["digitalSignature", "keyEncipherment", "keyCertSign"],
    extKeyUsage: [],
    dnsNames: [commonName],
  }, { keys });
  return { keys, certificate };
}

async function clusterFiles(): Promise<CorpusFiles> {
  const ca = await authority(0x0a, "kubernetes");
  const [service, node, admin, kubelet] = [
    await fixedKeys("p-256", 2),
    await fixedKeys("p-256", 3),
    await fixedKeys("p-256", 4),
    await fixedKeys("p-256", 5),
  ];
  const { client, serving } = await issueNodeCertificates(ca, {
    ...{ nodeName: "worker-1", admissionUid: ADMISSION_UID, epoch: 1, addresses: ["192.0.2.7"] },
    ...{ clientKey: node.spki, servingKey: kubelet.spki, lifetimeMs: YEAR_MS },
  }, NOW);
  const files = {
    ca: ca.certificate.der,
    service: (await issueServiceCertificate(ca, "cp-1", service.spki, NOW)).der,
    node: client.der,
    serving: serving.der,
    admin: (await issueAdminCertificate(ca, admin.spki, NOW)).der,
  };
  const entries = Object.entries(files);
  return {
    ...Object.fromEntries(entries.map(([name, der]) => [`fixtures/${name}.der`, der])),
    "cluster-certificate/node.der": files.node,
    "cluster-certificate/serving.der": files.serving,
    "cluster-certificate/admin.der": files.admin,
    "certificate/service.der": files.service,
    "certificate/ca.der": files.ca,
    "csr/node.der": await createNodeCsr(node, "worker-1"),
    "csr/serving.der": await createNodeCsr(kubelet, "worker-1"),
    "public-key/p-256.der": node.spki,
    "public-key/ed25519.der": (await fixedKeys("ed25519", 1)).spki,
    "fixtures/front-proxy-ca.der": (await authority(0x0b, "front-proxy-ca")).certificate.der,
    "fixtures/etcd-ca.der": (await authority(0x0c, "etcd-ca")).certificate.der,
  };
}

async function tpmFiles(): Promise<CorpusFiles> {
  const issuer = await authority(0x0d, "ek-issuer");
  const pcrs = Array.from({ length: 16 }, (_, pcr) => pcr === 4 ? filled(32, 4) : filled(32, 0));
  pcrs[12] = await extendedOnce(TRUST_DIGEST);
  const [known, issued] = [await createSoftwareMachine(), await createSoftwareMachine()];
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.organization, value: "Example" }],
    spki: issued.spki,
    notBefore: new Date(NOW.getTime() - YEAR_MS),
    notAfter: new Date(NOW.getTime() + YEAR_MS),
    isCa: false,
    keyUsage: ["keyEncipherment"],
    extKeyUsage: [EXT_KEY_USAGE.tcgEkCertificate],
    dnsNames: [],
  }, issuer);
  const p384 = await createSoftwareMachine("ecc-p384");
  return {
    "fixtures/ek-issuer.der": issuer.certificate.der,
    "tpm-evidence/by-identity.bin": concat((await known.issue(STATEMENT, pcrs)).payload),
    "tpm-evidence/by-issuer.bin": concat(
      (await issued.issue(STATEMENT, pcrs, { certificate: certificate.der })).payload,
    ),
    "certificate/ek.der": certificate.der,
    "tpm-structures/rsa.bin": known.endorsementKey,
    "tpm-structures/p384.bin": p384.endorsementKey,
  };
}

async function snpFiles(): Promise<CorpusFiles> {
  const amd = await createSoftwareAmd();
  const [anchor] = amd.anchors;
  if (anchor === undefined) throw new Error("no anchor");
  const { ark, authorities } = anchor;
  const evidence = async (more: Bytes) =>
    concat((await amd.evidence({ report: { 0xc0: TRUST_DIGEST }, authority: more, crl: await amd.crl() })).payload);
  return {
    "fixtures/snp-ark.der": ark.der,
    "fixtures/snp-ask.der": authorities.vcek.der,
    "fixtures/snp-asvk.der": authorities.vlek.der,
    "snp-evidence/authority.bin": await evidence(authorities.vcek.der),
    "snp-evidence/builtin.bin": await evidence(new Uint8Array()),
    "snp-structures/report.bin": await amd.report(),
    "certificate/vcek.der": await amd.vek(),
    "crl/amd.der": await amd.crl({ revoked: [Uint8Array.of(7)], nextUpdate: new Date(SNP_NOW.getTime() + YEAR_MS) }),
  };
}

async function tdxFiles(): Promise<CorpusFiles> {
  const intel = createSoftwareIntel();
  const collateral = intel.collateral({ rootRevoked: [99], pckRevoked: [98] });
  const evidence = async (form: "4" | "5-10" | "5-15") =>
    encodeTdxPayload({
      quote: await intel.quote({
        form,
        reportData: concat(STATEMENT, filled(32, 0)),
        mrConfigId: padded(TRUST_DIGEST),
      }),
      collateral,
    });
  const chain = ["pck", "issuer", "root"] as const;
  return {
    "fixtures/intel-root.der": intel.certificate("root"),
    "tdx-evidence/v4.bin": await evidence("4"),
    "tdx-evidence/v5-10.bin": await evidence("5-10"),
    "tdx-evidence/v5-15.bin": await evidence("5-15"),
    "tdx-structures/quote.bin": await intel.quote({ form: "5-15" }),
    "tdx-collateral/tcb-info.json": concat(collateral.tcbInfo),
    "tdx-collateral/qe-identity.json": concat(collateral.qeIdentity),
    "certificate/pck.der": intel.certificate("pck"),
    "crl/root.der": concat(collateral.rootCrl),
    "crl/root.hex": utf8(hex(collateral.rootCrl)),
    "crl/root.pem": utf8(`-----BEGIN X509 CRL-----\n${base64(collateral.rootCrl)}\n-----END X509 CRL-----\n`),
    "tdx-pck/chain.pem": utf8(chain.map((which) => writePem("CERTIFICATE", intel.certificate(which))).join("")),
  };
}

/** Returns a file that must be among `files`. */
export function fileOf(files: CorpusFiles, name: string): Bytes {
  const bytes = files[name];
  if (bytes === undefined) throw new Error(`${name} is not made`);
  return bytes;
}
