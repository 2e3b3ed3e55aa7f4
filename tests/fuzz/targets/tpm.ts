/**
 * A TPM's output: evidence, structures, and the responses of the device, which the host controls in a virtual machine.
 *
 * @module
 */
import type { Expectation } from "../../../attestation/evidence.ts";
import { FRESH, NO_IDENTITY } from "../../../attestation/evidence.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { certificateIn, certificatesIn } from "../../../attestation/kinds/tpm/ek_certificate.ts";
import { decodePayload, encodePayload, MAXIMUM_CHAIN } from "../../../attestation/kinds/tpm/payload.ts";
import { nameOf, readPublicArea, spkiOf } from "../../../attestation/kinds/tpm/public_area.ts";
import { readQuoteInfo } from "../../../attestation/kinds/tpm/quote_info.ts";
import { readSignature } from "../../../attestation/kinds/tpm/signature.ts";
import { Tpm } from "../../../attestation/kinds/tpm/tpm.ts";
import { createTpmVerifier } from "../../../attestation/kinds/tpm/verifier.ts";
import { makeCredential } from "../../../attestation/kinds/tpm/make_credential.ts";
import { EK_PROFILES, EK_TYPES } from "../../../attestation/kinds/tpm/templates.ts";
import { readPublicKey } from "../../../certificate/public_key.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { concat, copyOf, equalBytes, fromHex, hex, sha256 } from "../../../platform/bytes.ts";
import { readScript } from "../_script.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf, promiseOneOf } from "./_checks.ts";

const STATEMENT = new Uint8Array(32).fill(0xa1);
const EXPECTATION: Expectation = {
  trust: [new Uint8Array(32).fill(0xd1)],
  lock: [FRESH],
  identity: NO_IDENTITY,
};
const NOTHING = new Uint8Array();
const BOOT_LOADER = new Uint8Array(32).fill(0x04);
const NOW = new Date("2026-05-01T00:00:00Z");
/** A response with TPM_RC_FAILURE. */
const FAILED = fromHex("80010000000a00000101", "response");
const clock = { sleep: () => Promise.resolve() };

export const tpmTargets: readonly FuzzTarget[] = [
  {
    name: "tpm-evidence",
    form: "bytes",
    maximumBytes: 16 << 10,
    async open(read) {
      const made = await Promise.all(["by-identity", "by-issuer"].map((name) => read(`tpm-evidence/${name}.bin`)));
      const listedKey = decodePayload(made[0] ?? NOTHING).endorsementKey;
      const { key } = readPublicArea(listedKey, "key");
      const certificate = readCertificate(await read("fixtures/ek-issuer.der"), "issuer");
      const verifier = createTpmVerifier({
        ekType: "rsa2048",
        pcrs: new Map([[4, [BOOT_LOADER]]]),
        trust: {
          identities: new Set([hex(await sha256(spkiOf(key)))]),
          issuers: [{ certificate, attributes: [{ oid: "2.5.4.10", value: "Example" }] }],
        },
      }, () => NOW);
      // A listed machine's certificate proves nothing, nor do authorities above a certificate, so both may be anything.
      const judged = (bytes: Uint8Array) => {
        const { chain: _chain, ...payload } = decodePayload(bytes);
        const isListed = equalBytes(payload.endorsementKey, listedKey);
        return encodePayload({ ...payload, certificate: isListed ? NOTHING : certificateIn(payload.certificate) });
      };
      return async (payload) => {
        await verifier.verify({ variant: "tpm", payload }, STATEMENT, EXPECTATION);
        promiseOneOf(judged(payload), made.map(judged), "evidence");
      };
    },
  },
  {
    name: "tpm-structures",
    form: "bytes",
    maximumBytes: 8 << 10,
    open: () => (input) =>
      eachOf(
        () => {
          const payload = decodePayload(input);
          promise(equalBytes(encodePayload(payload), input), "evidence changes when it is written again");
        },
        () => {
          const certificate = certificateIn(input);
          promise(certificate.length <= input.length, "a certificate is longer than what holds it");
          promise(equalBytes(certificateIn(certificate), certificate), "a certificate is unwrapped twice");
          const split = certificatesIn(input, MAXIMUM_CHAIN);
          promise(equalBytes(concat(...split), input.subarray(0, concat(...split).length)), "a chain has other bytes");
        },
        async () => {
          const area = readPublicArea(input, "fuzz");
          promise(equalBytes(area.bytes, input), "a public area differs from the bytes that were read");
          readPublicKey(spkiOf(area.key), "fuzz");
          for (const type of EK_TYPES) {
            if (equalBytes(area.template, EK_PROFILES[type].template)) {
              await makeCredential(area.key, EK_PROFILES[type], await nameOf(input));
            }
          }
        },
        () => readQuoteInfo(input),
        () => promise(readSignature(input).length === 64, "a signature has the wrong length"),
      ),
  },
  {
    name: "tpm-device",
    form: "protobuf",
    maximumBytes: 32 << 10,
    mayEndIn: ["system", "unavailable"],
    open: () => (input) => {
      const answering = () => {
        const responses = readScript(input);
        return { transmit: () => Promise.resolve(copyOf(responses.shift() ?? FAILED)), close: () => {} };
      };
      const issuer = () => createTpmIssuer(answering(), "rsa2048", clock);
      const challenge = { credentialBlob: fromHex("0001aa", "blob"), encryptedSecret: fromHex("0001bb", "secret") };
      return eachOf(
        () => issuer().issue(STATEMENT),
        () => issuer().activate(challenge),
        () => issuer().read(12),
        () => issuer().ownIdentity(""),
        () => new Tpm(answering(), clock).startup(),
      );
    },
  },
  {
    name: "tpm-challenge",
    form: "protobuf",
    maximumBytes: 256 << 10,
    mayEndIn: ["system"],
    open: () => (input) => {
      const [credentialBlob = NOTHING, encryptedSecret = NOTHING] = readScript(input);
      const transport = { transmit: () => Promise.resolve(copyOf(FAILED)), close: () => {} };
      return createTpmIssuer(transport, "rsa2048", clock).activate({ credentialBlob, encryptedSecret });
    },
  },
];
