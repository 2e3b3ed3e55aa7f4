/**
 * Shared by tests: oracles, and a machine with a software "TPM" that can lie.
 *
 * @module
 */
import { createHash, createHmac, generateKeyPairSync, type KeyObject, privateDecrypt, sign } from "node:crypto";
import { cfb } from "@noble/ciphers/aes.js";
import { p256, p384 } from "@noble/curves/nist.js";
import type { Bytes } from "../../../../platform/bytes.ts";
import { concat, equalBytes, fromHex, hex, sha256, u32be, utf8 } from "../../../../platform/bytes.ts";
import { BootstrapError } from "../../../../platform/errors.ts";
import { present } from "../../../../platform/present.ts";
import type { ActivationChallenge, Evidence } from "../../../evidence.ts";
import { oraclesIn, type OracleTest } from "../../../testing/evidence.ts";
import { GENERATED_VALUE, HANDLE, QUOTED_PCRS, TAG } from "../constants.ts";
import { encodePayload } from "../payload.ts";
import { encodePcrSelection } from "../pcr_selection.ts";
import { nameOf, readPublicArea, spkiOf } from "../public_area.ts";
import { ATTESTATION_KEY_TEMPLATE, EK_PROFILES, type EkProfile, type EkType } from "../templates.ts";
import { tpmReader, tpmWriter } from "../wire.ts";

/** Registers a test that uses recorded TPM evidence. */
export const oracleTest: OracleTest = oraclesIn("tpm");

/** The DER in a file. The file holds DER, or PEM with any label. */
export function derOf(pem: Bytes): Bytes {
  if (pem[0] === 0x30) return pem;
  const [, body = ""] = /-----BEGIN [A-Z ]+-----([^-]+)-----END/.exec(new TextDecoder().decode(pem)) ?? [];
  return Uint8Array.fromBase64(body.replaceAll(/\s/g, ""));
}

/** The content of a file that is one TPM2B. */
export function sizedIn(bytes: Uint8Array): Bytes {
  const reader = tpmReader(bytes, "TPM2B");
  const content = reader.sized16(4096, "content");
  reader.end();
  return content;
}

/** 32 octets of one value. */
export function filled(value: number): Bytes {
  return new Uint8Array(32).fill(value);
}

/** The parts of its evidence that a lying machine may change. */
export interface Lies {
  /** TPMT_PUBLIC up to the point. */
  readonly attestationTemplate?: Uint8Array;
  /** The first field of the attestation. */
  readonly magic?: number;
  /** The second field of the attestation. */
  readonly type?: number;
  readonly qualifiedSigner?: Uint8Array;
  /** TPML_PCR_SELECTION. */
  readonly selection?: Uint8Array;
  /** The PCR values that are quoted. */
  readonly quotedPcrs?: readonly Uint8Array[];
  /** Bytes after the attestation. */
  readonly trailing?: Uint8Array;
  /** The hash of the signature. */
  readonly signatureHash?: "sha256" | "sha384";
  /** The endorsement key in the evidence. */
  readonly endorsementKey?: Uint8Array;
  /** The certificate in the evidence. */
  readonly certificate?: Uint8Array;
  /** The authorities in the evidence. */
  readonly chain?: readonly Uint8Array[];
}

/** A machine with software keys. */
export interface SoftwareMachine {
  /** TPMT_PUBLIC of the endorsement key. */
  readonly endorsementKey: Bytes;
  /** SPKI of the endorsement key. */
  readonly spki: Bytes;
  readonly identity: string;
  /** Makes evidence over a statement, with the given lies. */
  issue(statement: Uint8Array, pcrs: readonly Uint8Array[], lies?: Lies): Promise<Evidence>;
  /** Opens a challenge as a TPM does. */
  activate(challenge: ActivationChallenge): Promise<Bytes>;
}

/** Makes a machine with a fresh attestation key and a fresh endorsement key. */
export async function createSoftwareMachine(ekType: EkType = "rsa2048"): Promise<SoftwareMachine> {
  const profile = EK_PROFILES[ekType];
  const ek = createEndorsementKey(ekType);
  const endorsementKey = concat(profile.template, ek.unique);
  const spki = spkiOf(readPublicArea(endorsementKey, "test").key);
  const ak = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const point = pointOf(ak.publicKey);
  const publicAreaOf = (template: Uint8Array) => concat(template, point);
  return {
    endorsementKey,
    spki,
    identity: hex(await sha256(spki)),
    async issue(statement, pcrs, lies = {}) {
      const attestationKey = publicAreaOf(lies.attestationTemplate ?? ATTESTATION_KEY_TEMPLATE);
      const name = await nameOf(attestationKey);
      const signer = concat(fromHex("000b", ""), await sha256(u32be(HANDLE.endorsement), name));
      const attest = tpmWriter()
        .u32(lies.magic ?? GENERATED_VALUE).u16(lies.type ?? TAG.attestQuote)
        .sized16(lies.qualifiedSigner ?? signer).sized16(statement)
        .u32(0).u32(77).u32(3).u32(1).u8(1).u32(5).u32(6)
        .bytes(lies.selection ?? encodePcrSelection(QUOTED_PCRS))
        .sized16(await sha256(...lies.quotedPcrs ?? pcrs)).bytes(lies.trailing ?? new Uint8Array()).done();
      const hash = lies.signatureHash ?? "sha256";
      const raw = sign(hash, attest, { key: ak.privateKey, dsaEncoding: "ieee-p1363" });
      const signature = tpmWriter().u16(0x18).u16(hash === "sha256" ? 0xb : 0xc)
        .sized16(raw.subarray(0, 32)).sized16(raw.subarray(32)).done();
      const payload = encodePayload({
        attestationKey,
        endorsementKey: lies.endorsementKey ?? endorsementKey,
        certificate: lies.certificate ?? new Uint8Array(),
        ...present("chain", lies.chain),
        attest,
        signature,
        pcrs,
      });
      return { variant: "tpm", payload };
    },
    activate: async (challenge) =>
      openCredential(challenge, profile, ek, await nameOf(publicAreaOf(ATTESTATION_KEY_TEMPLATE))),
  };
}

interface EndorsementKey {
  readonly unique: Bytes;
  readonly seed: (encrypted: Uint8Array) => Uint8Array;
}

function createEndorsementKey(ekType: EkType): EndorsementKey {
  if (ekType === "rsa2048") {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const modulus = Uint8Array.fromBase64(String(publicKey.export({ format: "jwk" }).n), { alphabet: "base64url" });
    const oaep = { key: privateKey, oaepHash: "sha256", oaepLabel: utf8("IDENTITY\0") };
    return { unique: tpmWriter().sized16(modulus).done(), seed: (encrypted) => privateDecrypt(oaep, encrypted) };
  }
  const [curve, bytes, hash] = ekType === "ecc-p256" ? [p256, 32, "SHA-256"] as const : [p384, 48, "SHA-384"] as const;
  const secret = curve.utils.randomSecretKey();
  const own = curve.getPublicKey(secret, false).subarray(1);
  return {
    unique: tpmWriter().sized16(own.subarray(0, bytes)).sized16(own.subarray(bytes)).done(),
    seed(encrypted) {
      const reader = tpmReader(encrypted, "point");
      const [x, y] = [reader.sized16(bytes, "x"), reader.sized16(bytes, "y")];
      reader.end();
      const shared = curve.getSharedSecret(secret, concat(Uint8Array.of(4), x, y), false).subarray(1, 1 + bytes);
      return digestOf(hash, concat(u32be(1), shared, utf8("IDENTITY\0"), x, own.subarray(0, bytes)));
    },
  };
}

function digestOf(hash: "SHA-256" | "SHA-384", bytes: Uint8Array): Uint8Array {
  return createHash(hash.replace("-", "")).update(bytes).digest();
}

/** Part 3, ActivateCredential, implemented without the code under test. */
function openCredential(challenge: ActivationChallenge, profile: EkProfile, ek: EndorsementKey, name: Bytes): Bytes {
  const mac = (key: Uint8Array, ...parts: readonly Uint8Array[]) =>
    parts.reduce((hmac, part) => hmac.update(part), createHmac(profile.hash.replace("-", ""), key)).digest();
  const idObject = tpmReader(sizedIn(challenge.credentialBlob), "credential");
  const integrity = idObject.sized16(64, "integrity");
  const encrypted = idObject.rest("identity");
  const seed = ek.seed(sizedIn(challenge.encryptedSecret));
  const bits = (bytes: number) => u32be(bytes * 8);
  const macKey = mac(seed, u32be(1), utf8("INTEGRITY\0"), bits(seed.length));
  if (!equalBytes(mac(macKey, encrypted, name), integrity)) {
    throw new BootstrapError("refused/tpm-value", "The challenge is for another key");
  }
  const key = mac(seed, u32be(1), utf8("STORAGE\0"), name, bits(profile.aesKeyBytes)).subarray(0, profile.aesKeyBytes);
  return sizedIn(cfb(key, new Uint8Array(16)).decrypt(encrypted));
}

function pointOf(key: KeyObject): Bytes {
  const { x, y } = key.export({ format: "jwk" });
  const coordinate = (text: unknown) => Uint8Array.fromBase64(String(text), { alphabet: "base64url" });
  return tpmWriter().sized16(coordinate(x)).sized16(coordinate(y)).done();
}
