/**
 * Verdicts on evidence from other programs and machines. Their quotes cover other PCRs than ours, so the tests call the
 * parts of the verifier.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, equalBytes, fromHex, fromUtf8, hex, sha256, u32be } from "../../../platform/bytes.ts";
import { derOf, oracleTest, sizedIn } from "./testing/tpm.ts";
import { errorOf, flipped } from "../../testing/evidence.ts";
import { ALGORITHM, ATTRIBUTE } from "./constants.ts";
import { makeCredential } from "./make_credential.ts";
import { nameOf, readPublicArea, spkiOf } from "./public_area.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { isSignedBy, readSignature } from "./signature.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES } from "./templates.ts";

type Read = (path: string) => Promise<Bytes>;

const QUOTES = ["quote_all", "quote_4_11_15", "quote_after_extend15", "quote_after_reboot"];

/** SHA-256 over the values in a file of tpm2-tools: TPML_PCR_SELECTION, then lists of digests, little-endian. */
async function digestOfPcrFile(file: Bytes): Promise<Bytes> {
  const view = new DataView(file.buffer, file.byteOffset);
  const [selectionBytes, digestBytes, digestsInList] = [132, 66, 8];
  const values: Bytes[] = [];
  for (let list = 0; list < view.getUint32(selectionBytes, true); list++) {
    const start = selectionBytes + 4 + list * (4 + digestsInList * digestBytes);
    for (let i = 0; i < view.getUint32(start, true); i++) {
      const at = start + 4 + i * digestBytes;
      values.push(file.slice(at + 2, at + 2 + view.getUint16(at, true)));
    }
  }
  return await sha256(...values);
}

async function nonceIn(read: Read): Promise<Bytes> {
  return fromHex(fromUtf8(await read("swtpm/nonce.hex"), "nonce").trim(), "nonce");
}

oracleTest("swtpm's quotes have the right signature, nonce, signer and PCRs; two have a high s", async (read) => {
  const spki = derOf(await read("swtpm/ak.pem"));
  const nonce = await nonceIn(read);
  const halfOrder = fromHex("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8", "n/2");
  let highCount = 0;
  for (const quote of QUOTES) {
    const attest = await read(`swtpm/${quote}.attest`);
    const signature = readSignature(await read(`swtpm/${quote}.sig`));
    assert.ok(await isSignedBy(spki, signature, attest), quote);
    if (hex(signature.subarray(32)) > hex(halfOrder)) highCount++;
    const info = readQuoteInfo(attest);
    assert.ok(equalBytes(info.extraData, nonce));
    assert.ok(equalBytes(info.qualifiedSigner, await read("swtpm/ak.qname")));
    assert.ok(equalBytes(info.pcrDigest, await digestOfPcrFile(await read(`swtpm/${quote}.pcrs`))), quote);
    const pcrs = quote === "quote_all" ? Array.from({ length: 24 }, (_, i) => i) : [4, 11, 15];
    assert.deepEqual(info.selections, [{ hash: ALGORITHM.sha256, pcrs }]);
  }
  assert.equal(highCount, 2);
});

oracleTest("a quote does not match another quote's PCRs, another nonce, or another key", async (read) => {
  const attest = await read("swtpm/quote_after_extend15.attest");
  const signature = readSignature(await read("swtpm/quote_after_extend15.sig"));
  const info = readQuoteInfo(attest);
  assert.ok(!equalBytes(info.pcrDigest, await digestOfPcrFile(await read("swtpm/quote_4_11_15.pcrs"))));
  assert.ok(!equalBytes(info.extraData, flipped(await nonceIn(read), 31)));
  assert.ok(!await isSignedBy(derOf(await read("swtpm/unrestricted.pem")), signature, attest));
});

oracleTest("a quote is refused when any byte of it is flipped", async (read) => {
  const spki = derOf(await read("swtpm/ak.pem"));
  const attest = await read("swtpm/quote_4_11_15.attest");
  const signature = await read("swtpm/quote_4_11_15.sig");
  for (let index = 0; index < attest.length; index++) {
    assert.ok(!await isSignedBy(spki, readSignature(signature), flipped(attest, index)), `attest ${index}`);
  }
  for (let index = 0; index < signature.length; index++) {
    const isAccepted = await Promise.resolve(flipped(signature, index)).then(readSignature)
      .then((raw) => isSignedBy(spki, raw, attest), () => false);
    assert.ok(!isAccepted, `signature ${index}`);
  }
});

oracleTest("a forged attestation with a valid signature is refused only for its key's attributes", async (read) => {
  const attest = await read("swtpm/forged.attest");
  const spki = derOf(await read("swtpm/unrestricted.pem"));
  assert.ok(await isSignedBy(spki, readSignature(await read("swtpm/forged.sig")), attest));
  readQuoteInfo(attest);
  const area = readPublicArea(sizedIn(await read("swtpm/unrestricted.tpm2b_public")), "unrestricted");
  assert.ok(equalBytes(spkiOf(area.key), spki));
  assert.equal(area.attributes & ATTRIBUTE.restricted, 0);
  assert.ok(!equalBytes(area.template, ATTESTATION_KEY_TEMPLATE));
});

oracleTest("an attestation that is not a quote is refused", async (read) => {
  const error = await errorOf(async () => readQuoteInfo(await read("swtpm/ak_certifycreation.attest")));
  assert.equal(error.code, "refused/attest-type");
});

oracleTest("names, qualified names and SPKIs of swtpm's keys are right", async (read) => {
  for (const key of ["ak", "ak2"]) {
    const area = readPublicArea(sizedIn(await read(`swtpm/${key}.tpm2b_public`)), key);
    // These keys were made without noDA.
    assert.equal(hex(area.template), hex(ATTESTATION_KEY_TEMPLATE).replace("00050472", "00050072"));
    assert.ok(equalBytes(await nameOf(area.bytes), await read(`swtpm/${key}.name`)));
  }
  const name = await read("swtpm/ak.name");
  assert.ok(
    equalBytes(await read("swtpm/ak.qname"), concat(name.subarray(0, 2), await sha256(u32be(0x4000000b), name))),
  );
  const ak = readPublicArea(sizedIn(await read("swtpm/ak.tpm2b_public")), "ak");
  assert.ok(equalBytes(spkiOf(ak.key), derOf(await read("swtpm/ak.pem"))));
  for (const [file, ekType] of [["ek_rsa", "rsa2048"], ["ek_ecc384", "ecc-p384"]] as const) {
    const ek = readPublicArea(sizedIn(await read(`swtpm/${file}.tpm2b_public`)), file);
    assert.ok(equalBytes(ek.template, EK_PROFILES[ekType].template));
    assert.ok(hex(await read(`swtpm/${file}_cert.der`)).includes(hex(spkiOf(ek.key))));
  }
});

oracleTest("makeCredential() makes blobs of the sizes of those that a TPM opened", async (read) => {
  const headerBytes = 8;
  const name = await read("swtpm/ak.name");
  for (const [file, ekType] of [["rsa", "rsa2048"], ["ecc384", "ecc-p384"]] as const) {
    const ek = readPublicArea(sizedIn(await read(`swtpm/ek_${file}.tpm2b_public`)), "ek");
    const { message } = await makeCredential(ek.key, EK_PROFILES[ekType], name);
    const blob = (await read(`swtpm/cred_${file}.blob`)).subarray(headerBytes);
    const first = 2 + new DataView(blob.buffer, blob.byteOffset).getUint16(0);
    assert.equal(message.credentialBlob.length, first);
    assert.equal(message.encryptedSecret.length, blob.length - first);
  }
});

oracleTest("keylime's RSA keys and quote can be read; its signature scheme is not allowed", async (read) => {
  const ak = readPublicArea(sizedIn(await read("keylime/ak.pub")), "ak");
  assert.ok(equalBytes(await nameOf(ak.bytes), await read("keylime/ak.name")));
  assert.ok(equalBytes(spkiOf(ak.key), derOf(await read("keylime/akpub.pem"))));
  const ek = readPublicArea(sizedIn(await read("keylime/ek.pub")), "ek");
  assert.ok(equalBytes(spkiOf(ek.key), derOf(await read("keylime/ekpub.pem"))));
  assert.ok(equalBytes(ek.template, EK_PROFILES.rsa2048.template));

  const attest = await read("keylime/quote.out");
  const info = readQuoteInfo(attest);
  assert.match(hex(info.extraData), /^db1db298.*8003$/);
  assert.deepEqual(info.selections.map(({ hash, pcrs }) => ({ hash, pcrs })), [{
    hash: ALGORITHM.sha256,
    pcrs: [15, 16, 22],
  }]);
  assert.ok(equalBytes(info.pcrDigest, await digestOfPcrFile(await read("keylime/quotepcr.out"))));
  const signature = await read("keylime/quotesig.out");
  const rsaHeaderBytes = 6;
  const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("spki", spkiOf(ak.key), rsa, false, ["verify"]);
  assert.ok(await crypto.subtle.verify(rsa, key, signature.slice(rsaHeaderBytes), attest));
  assert.equal((await errorOf(() => readSignature(signature))).code, "refused/signature-algorithm");
});
