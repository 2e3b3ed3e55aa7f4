/**
 * Evidence of a TPM: a quote over the PCRs by a key of the endorsement hierarchy, and what a verifier needs to trust that key.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { copyOf, equalBytes, hex, sha256 } from "../../../platform/bytes.ts";
import type { Clock } from "../../../platform/clock.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError, hasCode } from "../../../platform/errors.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer, MeasurementRegisters } from "../../evidence.ts";
import { createQueue } from "./_queue.ts";
import { HANDLE, PCR_BYTES, QUOTED_PCRS } from "./constants.ts";
import { encodePayload } from "./payload.ts";
import { readPublicArea, spkiOf } from "./public_area.ts";
import { readQuoteInfo } from "./quote_info.ts";
import type { EkProfile, EkType } from "./templates.ts";
import { ATTESTATION_KEY_PUBLIC, EK_PROFILES } from "./templates.ts";
import type { LoadedKey, Quote } from "./tpm.ts";
import { Tpm } from "./tpm.ts";
import type { TpmTransport } from "./transport.ts";
import { tpmReader } from "./wire.ts";

/** A TPM as issuer of evidence, and its PCRs. */
export type TpmIssuer = EvidenceIssuer & MeasurementRegisters;

/** A1 and A2. */
const STATEMENT_BYTES = 32;
/** PCRs change while a machine boots, but not often. */
const MAXIMUM_QUOTES = 8;
/** HMAC and encrypted secret of a TPMS_ID_OBJECT; an RSA-2048 ciphertext or a P-384 point. */
const MAXIMUM_BLOB_BYTES = 256;

/**
 * The evidence of a TPM. Every key that it loads it flushes again, so it also works without a resource manager; its tasks go
 * one after the other, so it never needs more than two of the three slots for keys.
 *
 * @param transport The way to the TPM.
 * @param ekType The kind of endorsement key that the cluster's policy names.
 * @param clock For waiting while the TPM is busy.
 * @returns An issuer whose methods throw `system/tpm…`, `unavailable/tpm…`, `malformed/tpm…`, and `activate` also
 *   `refused/tpm-value` for a challenge to another TPM or key.
 */
export function createTpmIssuer(
  transport: TpmTransport,
  ekType: EkType,
  clock: Pick<Clock, "sleep"> = systemClock,
): TpmIssuer {
  const tpm = new Tpm(transport, clock);
  const profile = EK_PROFILES[ekType];
  const queue = createQueue();
  return {
    variant: "tpm",
    isChallenged: true,
    issue: (statement) => queue(() => issue(tpm, profile, statement)),
    activate: (challenge) => queue(() => activate(tpm, profile, challenge)),
    ownIdentity: () =>
      queue(() =>
        withEndorsementKey(tpm, profile, async ({ publicArea }) => {
          const { key } = readPublicArea(publicArea, "endorsement key");
          return hex(await sha256(spkiOf(key)));
        })
      ),
    read: (index) => queue(() => readRegister(tpm, index)),
    extend(index, digest) {
      if (digest.length !== PCR_BYTES) throw new BootstrapError("internal/digest", "A PCR is extended by 32 bytes");
      return queue(() => tpm.pcrExtend(index, digest));
    },
  };
}

async function issue(tpm: Tpm, profile: EkProfile, statement: Uint8Array): Promise<Evidence> {
  if (statement.length !== STATEMENT_BYTES) throw new BootstrapError("internal/statement", "A statement has 32 bytes");
  const endorsementKey = await withEndorsementKey(tpm, profile, (key) => Promise.resolve(key.publicArea));
  const certificate = await readCertificateOf(tpm, profile);
  return await withAttestationKey(tpm, async ({ handle, publicArea: attestationKey }) => {
    const { quote, pcrs } = await quoteUnchanged(tpm, handle, statement);
    return { variant: "tpm", payload: encodePayload({ attestationKey, endorsementKey, certificate, ...quote, pcrs }) };
  });
}

/** A quote and the values that it is over: PCRs cannot be read and quoted in one step, so both are done again if they differ. */
async function quoteUnchanged(tpm: Tpm, key: number, statement: Uint8Array): Promise<{ quote: Quote; pcrs: Bytes[] }> {
  for (let tries = 0; tries < MAXIMUM_QUOTES; tries++) {
    const pcrs = await tpm.pcrRead(QUOTED_PCRS);
    const quote = await tpm.quote(key, statement, QUOTED_PCRS);
    if (equalBytes(readQuoteInfo(quote.attest).pcrDigest, await sha256(...pcrs))) return { quote, pcrs };
  }
  throw new BootstrapError("unavailable/tpm-pcrs", `The PCRs changed during each of ${MAXIMUM_QUOTES} quotes`);
}

async function activate(tpm: Tpm, profile: EkProfile, challenge: ActivationChallenge): Promise<Bytes> {
  checkSized(challenge.credentialBlob, "credential blob");
  checkSized(challenge.encryptedSecret, "encrypted secret");
  return await withAttestationKey(
    tpm,
    (attestationKey) =>
      withEndorsementKey(
        tpm,
        profile,
        (endorsementKey) =>
          withAuthorisation(tpm, profile, (session) =>
            tpm.activateCredential(attestationKey.handle, endorsementKey.handle, session, challenge)),
      ),
  );
}

async function readRegister(tpm: Tpm, index: number): Promise<Bytes> {
  const [value] = await tpm.pcrRead([index]);
  if (value === undefined) throw new BootstrapError("system/tpm-pcr", `The TPM has no PCR ${index}`);
  return value;
}

/** The certificate in the TPM's memory, or nothing. */
async function readCertificateOf(tpm: Tpm, profile: EkProfile): Promise<Bytes> {
  try {
    return withoutPadding(await tpm.nvRead(profile.certificateIndex));
  } catch (error) {
    if (error instanceof BootstrapError && error.code === "precondition/tpm-handle") return new Uint8Array();
    throw error;
  }
}

/** The DER element at the start: some manufacturers fill the rest of the index with 00 or FF. */
function withoutPadding(content: Bytes): Bytes {
  const [tag, form, high = 0, low = 0] = content;
  const length = 4 + high * 256 + low;
  return tag === 0x30 && form === 0x82 && length < content.length ? copyOf(content.subarray(0, length)) : content;
}

async function withAttestationKey<T>(tpm: Tpm, use: (key: LoadedKey) => Promise<T>): Promise<T> {
  return await withFlush(tpm, await tpm.createPrimary(HANDLE.endorsement, ATTESTATION_KEY_PUBLIC), use);
}

/** The persistent key if it is the profile's, otherwise the same key made anew. */
async function withEndorsementKey<T>(tpm: Tpm, profile: EkProfile, use: (key: LoadedKey) => Promise<T>): Promise<T> {
  const persistent = await findPersistentKey(tpm, profile);
  if (persistent !== undefined) return await use(persistent);
  return await withFlush(tpm, await tpm.createPrimary(HANDLE.endorsement, profile.publicArea), use);
}

async function findPersistentKey(tpm: Tpm, profile: EkProfile): Promise<LoadedKey | undefined> {
  const { persistentHandle: handle, template } = profile;
  if (handle === undefined) return undefined;
  try {
    const publicArea = await tpm.readPublic(handle);
    return equalBytes(readPublicArea(publicArea, "persistent key").template, template)
      ? { handle, publicArea }
      : undefined;
  } catch (error) {
    if (hasCode(error, "precondition/tpm-handle", "malformed/tpm")) return undefined;
    throw error;
  }
}

async function withAuthorisation<T>(tpm: Tpm, profile: EkProfile, use: (session: number) => Promise<T>): Promise<T> {
  if (profile.authorisation === "password") return await use(HANDLE.password);
  const session = await tpm.startPolicySession(profile.nameAlgorithm);
  try {
    await tpm.policySecret(HANDLE.endorsement, session);
    return await use(session);
  } finally {
    await tpm.flushContext(session);
  }
}

async function withFlush<T>(tpm: Tpm, key: LoadedKey, use: (key: LoadedKey) => Promise<T>): Promise<T> {
  try {
    return await use(key);
  } finally {
    await tpm.flushContext(key.handle);
  }
}

/** A TPM2B and nothing behind it: what a peer sent must not reach into the rest of the command. */
function checkSized(bytes: Uint8Array, what: string): void {
  const reader = tpmReader(bytes, what);
  reader.sized16(MAXIMUM_BLOB_BYTES, "content");
  reader.end();
}
