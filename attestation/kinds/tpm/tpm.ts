/**
 * The TPM 2.0 commands that this program needs (TPM 2.0 Part 3).
 *
 * @module
 */
import type { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { randomBytes } from "../../../platform/bytes.ts";
import type { Clock } from "../../../platform/clock.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { BackOff } from "../../../platform/retry.ts";
import { retry } from "../../../platform/retry.ts";
import type { ActivationChallenge } from "../../evidence.ts";
import type { TpmCommand, TpmResponse } from "./command.ts";
import { encodeCommand, readResponse } from "./command.ts";
import {
  ALGORITHM,
  COMMAND,
  HANDLE,
  MAXIMUM_DIGEST_BYTES,
  MAXIMUM_MESSAGE_BYTES,
  MAXIMUM_NAME_BYTES,
  MAXIMUM_PUBLIC_BYTES,
  PCR_BYTES,
} from "./constants.ts";
import { encodePcrSelection, readPcrSelection } from "./pcr_selection.ts";
import { FAILURE_RESPONSE_CODE, INITIALIZE_RESPONSE_CODE, TpmResponseError } from "./response_code.ts";
import type { TpmTransport } from "./transport.ts";
import { COMMAND_DEADLINE_MS, TpmTransportError } from "./transport.ts";
import { tpmError, tpmReader, tpmWriter } from "./wire.ts";

/** A key that is loaded in the TPM. */
export interface LoadedKey {
  /** The key's handle. A transient handle must be flushed. */
  readonly handle: number;
  /** TPMT_PUBLIC as the TPM returned it. */
  readonly publicArea: Bytes;
}

/** A quote and its signature. */
export interface Quote {
  /** TPMS_ATTEST. */
  readonly attest: Bytes;
  /** TPMT_SIGNATURE. */
  readonly signature: Bytes;
}

const SESSION_POLICY = 1;
const STARTUP_CLEAR = 0;
/** The size of nonceCaller of a policy session. */
const SESSION_NONCE_BYTES = 32;
/** A TPM returns at most eight digests at once (Part 2, TPML_DIGEST). */
const PCRS_AT_ONCE = 8;
/** The smallest known TPM2_PT_NV_BUFFER_MAX. The largest NV index is 2 KiB in swtpm and below 4 KiB elsewhere. */
const NV_CHUNK_BYTES = 512;
const MAXIMUM_NV_BYTES = 4096;
/** 20 ms, doubled each time: 5 seconds in all, which self-tests need. No other machine waits for the same TPM. */
const BACK_OFF: BackOff = Object.freeze({ firstMs: 20, factor: 2, longestMs: 2_560, jitter: 0 });
const MAXIMUM_TRIES = 9;
const NO_JITTER = () => 0;
/** A TPM of hardware may need a minute to make an RSA key, and Linux gives it five (`tpm2-cmd.c`). */
const KEY_DEADLINE_MS = 180_000;
const EMPTY = new Uint8Array();

/** A TPM behind a transport. Its methods throw the errors of {@linkcode readResponse} and of the transport. */
export class Tpm {
  readonly #transport: TpmTransport;
  readonly #clock: Pick<Clock, "sleep">;

  /**
   * Sends nothing yet.
   *
   * @param transport The connection to the TPM.
   * @param clock Used to wait while the TPM is busy.
   */
  constructor(transport: TpmTransport, clock: Pick<Clock, "sleep">) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /**
   * Starts the TPM if it is not started (`TPM_SU_CLEAR`). Firmware starts the TPM of a machine; a bare software TPM has
   * no firmware.
   */
  async startup(): Promise<void> {
    const parameters = tpmWriter().u16(STARTUP_CLEAR).done();
    try {
      await this.#run({ name: "Startup", code: COMMAND.startup, parameters });
    } catch (error) {
      if (!hasResponseCode(error, INITIALIZE_RESPONSE_CODE)) throw error;
    }
  }

  /** Creates the primary key of a template (TPMT_PUBLIC) in a hierarchy. The same template gives the same key. */
  async createPrimary(hierarchy: number, template: Uint8Array): Promise<LoadedKey> {
    const sensitive = tpmWriter().sized16(EMPTY).sized16(EMPTY).done();
    const parameters = tpmWriter().sized16(sensitive).sized16(template).sized16(EMPTY).u32(0).done();
    const { handles: [handle = 0], parameters: response } = await this.#run({
      name: "CreatePrimary",
      code: COMMAND.createPrimary,
      handles: [hierarchy],
      sessions: [HANDLE.password],
      parameters,
      responseHandles: 1,
    });
    // The rest (creation data, its hash and ticket, the key's name) proves nothing to this program.
    return { handle, publicArea: response.sized16(MAXIMUM_PUBLIC_BYTES, "outPublic") };
  }

  /** Reads TPMT_PUBLIC of a loaded or persistent key. */
  async readPublic(handle: number): Promise<Bytes> {
    const { parameters } = await this.#run({ name: "ReadPublic", code: COMMAND.readPublic, handles: [handle] });
    const publicArea = parameters.sized16(MAXIMUM_PUBLIC_BYTES, "outPublic");
    parameters.sized16(MAXIMUM_NAME_BYTES, "name");
    parameters.sized16(MAXIMUM_NAME_BYTES, "qualifiedName");
    parameters.end();
    return publicArea;
  }

  /** Removes a transient object or a session from the TPM. */
  async flushContext(handle: number): Promise<void> {
    const parameters = tpmWriter().u32(handle).done();
    (await this.#run({ name: "FlushContext", code: COMMAND.flushContext, parameters })).parameters.end();
  }

  /** Signs SHA-256 PCRs and `qualifyingData`, with ECDSA and SHA-256, by a key without a password. */
  async quote(key: number, qualifyingData: Uint8Array, pcrs: readonly number[]): Promise<Quote> {
    const scheme = tpmWriter().u16(ALGORITHM.ecdsa).u16(ALGORITHM.sha256).done();
    const parameters = tpmWriter().sized16(qualifyingData).bytes(scheme).bytes(encodePcrSelection(pcrs)).done();
    const sessions = [HANDLE.password];
    const { parameters: response } = await this.#run({
      name: "Quote",
      code: COMMAND.quote,
      handles: [key],
      sessions,
      parameters,
    });
    const attest = response.sized16(MAXIMUM_MESSAGE_BYTES, "quoted");
    return { attest, signature: response.rest("signature") };
  }

  /** Reads the values of SHA-256 PCRs, in the order of `pcrs`, which must be ascending. */
  async pcrRead(pcrs: readonly number[]): Promise<Bytes[]> {
    const values: Bytes[] = [];
    while (values.length < pcrs.length) {
      const wanted = pcrs.slice(values.length, values.length + PCRS_AT_ONCE);
      const parameters = encodePcrSelection(wanted);
      const { parameters: response } = await this.#run({ name: "PCR_Read", code: COMMAND.pcrRead, parameters });
      response.u32("pcrUpdateCounter"); // The quote's digest reveals a change.
      const [selection, ...others] = readPcrSelection(response);
      const given = selection?.hash === ALGORITHM.sha256 && others.length === 0 ? selection.pcrs : [];
      const count = response.u32("count of PCRs");
      const isPrefix = count > 0 && count === given.length && given.every((pcr, index) => pcr === wanted[index]);
      if (!isPrefix) throw new BootstrapError("system/tpm-pcr", "The TPM has no SHA-256 bank for all of its PCRs");
      for (let i = 0; i < count; i++) values.push(readPcr(response));
      response.end();
    }
    return values;
  }

  /** Extends a SHA-256 PCR. */
  async pcrExtend(pcr: number, digest: Uint8Array): Promise<void> {
    const parameters = tpmWriter().u32(1).u16(ALGORITHM.sha256).bytes(digest).done();
    const sessions = [HANDLE.password];
    await this.#run({ name: "PCR_Extend", code: COMMAND.pcrExtend, handles: [pcr], sessions, parameters });
  }

  /** Reads the content of an NV index that its own empty password may read. */
  async nvRead(index: number): Promise<Bytes> {
    const size = await this.#nvSize(index);
    const content = tpmWriter();
    for (let offset = 0; offset < size; offset += NV_CHUNK_BYTES) {
      const length = Math.min(NV_CHUNK_BYTES, size - offset);
      const { parameters } = await this.#run({
        name: "NV_Read",
        code: COMMAND.nvRead,
        handles: [index, index],
        sessions: [HANDLE.password],
        parameters: tpmWriter().u16(length).u16(offset).done(),
      });
      const chunk = parameters.sized16(NV_CHUNK_BYTES, "data");
      parameters.end();
      if (chunk.length !== length) {
        throw tpmError("NV index", `the TPM returned ${chunk.length} bytes, not ${length}`);
      }
      content.bytes(chunk);
    }
    return content.done();
  }

  /** Starts a policy session of a hash algorithm, without salt or binding. */
  async startPolicySession(hash: number): Promise<number> {
    const { handles: [session = 0], parameters } = await this.#run({
      name: "StartAuthSession",
      code: COMMAND.startAuthSession,
      handles: [HANDLE.null, HANDLE.null],
      parameters: encodePolicySession(randomBytes(SESSION_NONCE_BYTES), hash),
      responseHandles: 1,
    });
    parameters.sized16(MAXIMUM_DIGEST_BYTES, "nonceTPM");
    parameters.end();
    return session;
  }

  /** Satisfies PolicySecret of a hierarchy that has no password, in a policy session. */
  async policySecret(hierarchy: number, session: number): Promise<void> {
    const parameters = tpmWriter().sized16(EMPTY).sized16(EMPTY).sized16(EMPTY).u32(0).done();
    const handles = [hierarchy, session];
    await this.#run({
      name: "PolicySecret",
      code: COMMAND.policySecret,
      handles,
      sessions: [HANDLE.password],
      parameters,
    });
  }

  /**
   * Opens a challenge for `key`, whose name the challenge contains, with `endorsementKey`.
   *
   * @param endorsementSession How the endorsement key is authorised: a policy session, or `HANDLE.password`.
   * @throws {BootstrapError} `refused/tpm-value` if the challenge is for another key or another TPM.
   */
  async activateCredential(
    key: number,
    endorsementKey: number,
    endorsementSession: number,
    challenge: ActivationChallenge,
  ): Promise<Bytes> {
    const { parameters } = await this.#run({
      name: "ActivateCredential",
      code: COMMAND.activateCredential,
      handles: [key, endorsementKey],
      sessions: [HANDLE.password, endorsementSession],
      parameters: tpmWriter().bytes(challenge.credentialBlob).bytes(challenge.encryptedSecret).done(),
    }).catch((cause) => {
      // If RSA cannot decrypt the secret, libtpms 0.9 with OpenSSL 3 reports a failure, and then continues to work.
      if (!hasResponseCode(cause, FAILURE_RESPONSE_CODE)) throw cause;
      throw new BootstrapError(
        "refused/tpm-value",
        "The TPM failed to open a challenge, which may be for another TPM",
        { cause },
      );
    });
    const secret = parameters.sized16(MAXIMUM_DIGEST_BYTES, "certInfo");
    parameters.end();
    return secret;
  }

  async #nvSize(index: number): Promise<number> {
    const { parameters } = await this.#run({ name: "NV_ReadPublic", code: COMMAND.nvReadPublic, handles: [index] });
    const area = tpmReader(parameters.sized16(MAXIMUM_PUBLIC_BYTES, "nvPublic"), "NV public area");
    parameters.sized16(MAXIMUM_NAME_BYTES, "nvName");
    parameters.end();
    area.u32("nvIndex");
    area.u16("nameAlg");
    area.u32("attributes");
    area.sized16(MAXIMUM_DIGEST_BYTES, "authPolicy");
    const size = area.u16("dataSize");
    area.end();
    if (size > MAXIMUM_NV_BYTES) {
      throw area.error(`an index of ${size} bytes is larger than ${MAXIMUM_NV_BYTES}`);
    }
    return size;
  }

  async #run(command: TpmCommand): Promise<TpmResponse> {
    const bytes = encodeCommand(command);
    const deadlineMs = command.code === COMMAND.createPrimary ? KEY_DEADLINE_MS : COMMAND_DEADLINE_MS;
    // A second extension would make another value: its caller reads the register first.
    let mayRepeat = command.code !== COMMAND.pcrExtend;
    return await retry(async () => readResponse(await this.#transport.transmit(bytes, deadlineMs), command), {
      clock: this.#clock,
      random: NO_JITTER,
      backOff: BACK_OFF,
      maximumTries: MAXIMUM_TRIES,
      isRetriable: (error) => {
        if (error.code === "unavailable/tpm-busy") return true;
        const isPassing = mayRepeat && error instanceof TpmTransportError && error.mayRepeat;
        mayRepeat = false;
        return isPassing;
      },
    });
  }
}

function hasResponseCode(error: unknown, responseCode: number): boolean {
  return error instanceof TpmResponseError && error.responseCode === responseCode;
}

function readPcr(response: ByteReader): Bytes {
  const value = response.sized16(PCR_BYTES, "PCR");
  if (value.length !== PCR_BYTES) throw response.error(`a PCR has ${value.length} bytes, not ${PCR_BYTES}`);
  return value;
}

function encodePolicySession(nonce: Uint8Array, hash: number): Bytes {
  return tpmWriter().sized16(nonce).sized16(EMPTY).u8(SESSION_POLICY).u16(ALGORITHM.null).u16(hash).done();
}
