import assert from "node:assert/strict";
import type { NameAttribute } from "../../../certificate/name.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { hex, sha256 } from "../../../platform/bytes.ts";
import { derOf, oracleTest } from "./testing/tpm.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { checkEkIssuer } from "./ek_chain.ts";
import { checkEkTrust, type EkEvidence, type EkIssuer } from "./ek_trust.ts";
import type { EkType } from "./templates.ts";

type Read = (path: string) => Promise<Bytes>;

const AT = new Date("2027-01-01");
const GCE: readonly NameAttribute[] = [{ oid: "2.5.4.11", value: "google.com:wuale-gcp-testing" }, {
  oid: "2.5.4.3",
  value: "218557372616137117",
}];
const VTPM: readonly NameAttribute[] = [{ oid: "2.23.133.2.1", value: "id:474F4F47" }];
const SWTPM: readonly NameAttribute[] = [{ oid: "2.23.133.2.2", value: "swtpm" }, { oid: "2.5.4.3", value: "unknown" }];

async function evidenceOf(der: Bytes, ekType: EkType): Promise<EkEvidence> {
  const { spki } = readCertificate(der, "test", "vendor");
  return { ekType, spki, identity: hex(await sha256(spki)), certificate: der };
}

async function issuerOf(read: Read, path: string, attributes: readonly NameAttribute[]): Promise<EkIssuer> {
  return { certificate: readCertificate(derOf(await read(path)), "test", "vendor"), attributes };
}

function codeOf(issuers: readonly EkIssuer[], evidence: EkEvidence, now = AT): Promise<string> {
  const trust = { identities: new Set<string>(), issuers };
  return checkEkTrust(trust, evidence, now).then(() => "trusted", (error) => error.code);
}

oracleTest(
  "checkEkIssuer() accepts authorities of vendors and clouds, and refuses an endorsement key's certificate",
  async (read) => {
    const authorities = [
      "IFX_ECC_042.pem",
      "IFX_RSA_042.pem",
      "IFX_RSA_RT.pem",
      "INTEL_RT.pem",
      "NTC1.pem",
      "NUVO_2110.pem",
      "STM_ECC_01RT.pem",
      "STM_RSA_RT.pem",
      "gcp_ek_ak_ca_intermediate_v3.crt",
      "gcp_ek_ak_ca_root.crt",
      "tpm_ek_intermediate_2.crt",
      "tpm_ek_intermediate_3.crt",
      "tpm_ek_root_1.cer",
    ];
    for (const name of authorities) {
      const bytes = await read(`ek-roots/${name}`);
      const der = bytes[0] === 0x30 ? bytes : derOf(bytes);
      checkEkIssuer(readCertificate(der, name, "vendor"));
    }
    for (
      const name of ["pca_tpm_ecc_enc_cert", "pca_tpm_ecc_sign_cert", "uca_tpm_rsa_enc_cert", "uca_tpm_rsa_sign_cert"]
    ) {
      const certificate = readCertificate(derOf(await read(`ek-roots/${name}.pem`)), name, "vendor");
      assert.equal((await errorOf(() => checkEkIssuer(certificate))).code, "refused/ek-issuer-constraints");
    }
  },
);

oracleTest(
  "checkEkTrust() accepts real endorsement keys under their authority, with their machine's attributes",
  async (read) => {
    const cases = [
      ["ek-roots/pca_tpm_ecc_enc_cert.pem", "ecc-p256", "ek-roots/gcp_ek_ak_ca_intermediate_v3.crt", GCE],
      ["ek-roots/uca_tpm_rsa_enc_cert.pem", "rsa2048", "ek-roots/tpm_ek_intermediate_3.crt", VTPM],
      ["swtpm/ek_rsa_cert.der", "rsa2048", "swtpm/issuercert.pem", SWTPM],
      ["swtpm/ek_ecc384_cert.der", "ecc-p384", "swtpm/issuercert.pem", SWTPM],
    ] as const;
    for (const [path, ekType, issuerPath, attributes] of cases) {
      const bytes = await read(path);
      const evidence = await evidenceOf(path.endsWith(".der") ? bytes : derOf(bytes), ekType);
      const issuer = await issuerOf(read, issuerPath, attributes);
      assert.equal(await codeOf([issuer], evidence), "trusted", path);
      const wrong = await issuerOf(read, issuerPath, [...attributes, { oid: "2.5.4.10", value: "somebody else" }]);
      assert.equal(await codeOf([wrong], evidence), "refused/ek-attributes");
      assert.equal(await codeOf([wrong, issuer], evidence), "trusted");
      assert.equal(await codeOf([issuer], evidence, new Date("2020-01-01")), "refused/ek-issuer-validity");
      assert.equal(await codeOf([issuer], { ...evidence, certificate: new Uint8Array() }), "refused/ek-certificate");
      assert.equal(await codeOf([], evidence), "refused/ek-identity");
    }
  },
);

oracleTest("checkEkTrust() refuses the certificate of a signing key", async (read) => {
  const pca = await evidenceOf(derOf(await read("ek-roots/pca_tpm_ecc_sign_cert.pem")), "ecc-p256");
  const uca = await evidenceOf(derOf(await read("ek-roots/uca_tpm_rsa_sign_cert.pem")), "rsa2048");
  const pcaIssuer = await issuerOf(read, "ek-roots/gcp_ek_ak_ca_intermediate_v3.crt", GCE);
  const ucaIssuer = await issuerOf(read, "ek-roots/tpm_ek_intermediate_3.crt", VTPM);
  assert.equal(await codeOf([pcaIssuer], pca), "refused/ek-certificate-key-usage");
  assert.equal(await codeOf([ucaIssuer], uca), "refused/ek-certificate-key-usage");
});

oracleTest(
  "checkEkTrust() refuses a certificate of another authority, of an authority's issuer, or outside its validity",
  async (read) => {
    const evidence = await evidenceOf(derOf(await read("ek-roots/uca_tpm_rsa_enc_cert.pem")), "rsa2048");
    const other = await issuerOf(read, "ek-roots/gcp_ek_ak_ca_intermediate_v3.crt", VTPM);
    const sibling = await issuerOf(read, "ek-roots/tpm_ek_intermediate_2.crt", VTPM);
    const root = {
      certificate: readCertificate(derOf(await read("ek-roots/tpm_ek_root_1.cer")), "root", "vendor"),
      attributes: VTPM,
    };
    for (const issuer of [other, sibling, root]) assert.equal(await codeOf([issuer], evidence), "refused/ek-issuer");
    const renamed = {
      ...sibling,
      certificate: { ...sibling.certificate, subject: readCertificate(evidence.certificate, "", "vendor").issuer },
    };
    assert.equal(await codeOf([renamed], evidence), "refused/certificate-signature");
    const issuer = await issuerOf(read, "ek-roots/tpm_ek_intermediate_3.crt", VTPM);
    assert.match(
      await codeOf([issuer], evidence, new Date("2053-01-01")),
      /^refused\/ek-(certificate|issuer)-validity$/,
    );
  },
);

oracleTest("checkEkTrust() requires a certificate for the key, unless the policy lists the identity", async (read) => {
  const evidence = await evidenceOf(derOf(await read("ek-roots/uca_tpm_rsa_enc_cert.pem")), "rsa2048");
  const trust = { identities: new Set([evidence.identity]), issuers: [] };
  assert.deepEqual(await checkEkTrust(trust, evidence, AT), []);
  assert.deepEqual(await checkEkTrust(trust, { ...evidence, certificate: new Uint8Array() }, AT), []);
  const other = { ...evidence, certificate: await read("swtpm/ek_rsa_cert.der") };
  const [remark = "", ...more] = await checkEkTrust(trust, other, AT);
  assert.match(remark, /is for another key.*by its identity/);
  assert.deepEqual(more, []);
  const issuer = await issuerOf(read, "ek-roots/tpm_ek_intermediate_3.crt", VTPM);
  assert.equal(await codeOf([issuer], other), "refused/ek-certificate-key");
});

oracleTest("checkEkTrust() refuses a certificate when any byte of it is flipped", async (read) => {
  const der = await read("swtpm/ek_rsa_cert.der");
  const evidence = await evidenceOf(der, "rsa2048");
  const issuer = await issuerOf(read, "swtpm/issuercert.pem", SWTPM);
  for (let index = 0; index < der.length; index++) {
    const code = await codeOf([issuer], { ...evidence, certificate: flipped(der, index) });
    assert.match(code, /^(refused|malformed)\//, `byte ${index}`);
  }
});
