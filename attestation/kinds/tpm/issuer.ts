/**
 * Evidence from a TPM: a quote over the PCRs by a key of the endorsement hierarchy, and the data that a verifier needs
 * to trust that key.
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { concat, equalBytes, hex, sha256 } from "../../../platform/bytes.ts";
import type { Clock } from "../../../platform/clock.ts";
import { systemClock } from "../../../platform/clock.ts";
import { BootstrapError, hasCode } from "../../../platform/errors.ts";
import type { ActivationChallenge, Evidence, EvidenceIssuer, MeasurementRegisters } from "../../evidence.ts";
import { createQueue } from "./_queue.ts";
import { HANDLE, PCR_BYTES, QUOTED_PCRS } from "./constants.ts";
import { certificateIn, certificatesIn } from "./ek_certificate.ts";
import { encodePayload, MAXIMUM_CERTIFICATE_BYTES, MAXIMUM_CHAIN } from "./payload.ts";
import { readPublicArea, spkiOf } from "./public_area.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { TpmResponseError } from "./response_code.ts";
import type { EkProfile, EkType } from "./templates.ts";
import { ATTESTATION_KEY_PUBLIC, EK_PROFILES } from "./templates.ts";
import type { LoadedKey, Quote } from "./tpm.ts";
import { Tpm } from "./tpm.ts";
import type { TpmTransport } from "./transport.ts";
import { tpmReader } from "./wire.ts";

/** A TPM as an issuer of evidence, and its PCRs. */
export type TpmIssuer = EvidenceIssuer & MeasurementRegisters;

/** The size of A1 and of A2. */
const STATEMENT_BYTES = 32;
/** PCRs rarely change while a machine boots, so a few quotes are enough. */
const MAXIMUM_QUOTES = 8;
/** The first of the NV indices that hold authorities. Each has 2 KiB or less, and a chain rarely needs two. */
const FIRST_CHAIN_INDEX = 0x01c00100;
const MAXIMUM_CHAIN_INDICES = 8;
/** The HMAC and the encrypted secret of a TPMS_ID_OBJECT, an RSA-2048 ciphertext, or a P-384 point. */
const MAXIMUM_BLOB_BYTES = 256;

/**
 * Creates an issuer of TPM evidence. It flushes every key that it loads, so it also works without a resource manager.
 * Its tasks run one at a time, so it never needs more than two of the three slots for keys.
 *
 * @param transport The connection to the TPM.
 * @param ekType The type of endorsement key that the cluster's policy names.
 * @param clock Used to wait while the TPM is busy.
 * @returns An issuer whose methods throw `system/tpm…`, `unavailable/tpm…`, `malformed/tpm…`. `activate` also throws
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
  const chain = certificate.length === 0 ? [] : await readChain(tpm);
  return await withAttestationKey(tpm, async ({ handle, publicArea: attestationKey }) => {
    const { quote, pcrs } = await quoteUnchanged(tpm, handle, statement);
    return {
      variant: "tpm",
      payload: encodePayload({ attestationKey, endorsementKey, certificate, chain, ...quote, pcrs }),
    };
  });
}

/**
 * Returns a quote and the PCR values that it covers. A TPM cannot read and quote PCRs in one step, so both are repeated
 * until they agree.
 */
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

/** The certificate in the TPM's NV memory; empty if there is none that can be read. */
async function readCertificateOf(tpm: Tpm, profile: EkProfile): Promise<Bytes> {
  return certificateIn(await readIfReadable(tpm, profile.certificateIndex) ?? new Uint8Array());
}

/**
 * The authorities in the TPM's NV memory: certificates one after the other, over as many indices as they need (TCG EK
 * Credential Profile 2.5, 2.2.1.5.2).
 */
async function readChain(tpm: Tpm): Promise<readonly Bytes[]> {
  const parts: Bytes[] = [];
  for (let index = FIRST_CHAIN_INDEX; index < FIRST_CHAIN_INDEX + MAXIMUM_CHAIN_INDICES; index++) {
    const part = await readIfReadable(tpm, index);
    if (part === undefined) break;
    parts.push(part);
  }
  const certificates = certificatesIn(concat(...parts), MAXIMUM_CHAIN);
  return certificates.filter(({ length }) => length <= MAXIMUM_CERTIFICATE_BYTES);
}

/**
 * Reads an NV index; `undefined` if the TPM has none, or does not let it be read. A verifier that needs its content
 * says so; a verifier that trusts the machine by its identity does not need it.
 */
async function readIfReadable(tpm: Tpm, index: number): Promise<Bytes | undefined> {
  try {
    return await tpm.nvRead(index);
  } catch (error) {
    const isAnswer = error instanceof TpmResponseError && !error.retriable || hasCode(error, "malformed/tpm");
    if (isAnswer) return undefined;
    throw error;
  }
}

async function withAttestationKey<T>(tpm: Tpm, use: (key: LoadedKey) => Promise<T>): Promise<T> {
  return await withFlush(tpm, await tpm.createPrimary(HANDLE.endorsement, ATTESTATION_KEY_PUBLIC), use);
}

/** Uses the persistent key if it matches the profile, and otherwise creates the same key again. */
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

/** Checks that the bytes are one TPM2B and nothing else: a peer's data must not reach into the rest of the command. */
function checkSized(bytes: Uint8Array, what: string): void {
  const reader = tpmReader(bytes, what);
  reader.sized16(MAXIMUM_BLOB_BYTES, "content");
  reader.end();
}
