/**
 * One TPM command and its response: handles, authorisations, parameters (TPM 2.0 Part 1, 18).
 *
 * @module
 */
import type { ByteReader } from "../../../platform/byte_reader.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { HANDLE, MAXIMUM_DIGEST_BYTES, MAXIMUM_MESSAGE_BYTES, TAG } from "./constants.ts";
import { responseError } from "./response_code.ts";
import { tpmReader, tpmWriter } from "./wire.ts";

/** A TPM command, before it is encoded. */
export interface TpmCommand {
  /** The command's name, for errors. */
  readonly name: string;
  /** TPM_CC. */
  readonly code: number;
  /** The handles that the command acts on. */
  readonly handles?: readonly number[];
  /**
   * One session handle for each handle that needs authorisation. {@linkcode HANDLE}`.password` means an empty password.
   */
  readonly sessions?: readonly number[];
  /** The encoded parameters. */
  readonly parameters?: Uint8Array;
  /** The number of handles in the response. Default: 0. */
  readonly responseHandles?: number;
}

/** A successful response. */
export interface TpmResponse {
  readonly handles: readonly number[];
  /** The parameters. The caller must read them to the end. */
  readonly parameters: ByteReader;
}

/** TPMA_SESSION, continueSession: the code that started a session flushes it. */
const CONTINUE_SESSION = 1;
const SUCCESS = 0;
const HEADER_BYTES = 10;

/** Encodes a command. Its sessions carry no nonce and no HMAC: passwords are empty, and policies need neither. */
export function encodeCommand({ code, handles = [], sessions = [], parameters = new Uint8Array() }: TpmCommand): Bytes {
  const authorisations = tpmWriter();
  for (const session of sessions) {
    const attributes = session === HANDLE.password ? 0 : CONTINUE_SESSION;
    authorisations.u32(session).u16(0).u8(attributes).u16(0);
  }
  const area = authorisations.done();
  const body = tpmWriter();
  for (const handle of handles) body.u32(handle);
  if (area.length > 0) body.u32(area.length).bytes(area);
  const bytes = body.bytes(parameters).done();
  const size = HEADER_BYTES + bytes.length;
  if (size > MAXIMUM_MESSAGE_BYTES) throw new BootstrapError("internal/tpm-field", `A command has ${size} bytes`);
  const tag = area.length > 0 ? TAG.sessions : TAG.noSessions;
  return tpmWriter().u16(tag).u32(size).u32(code).bytes(bytes).done();
}

/**
 * Reads the response to a command.
 *
 * @throws {BootstrapError} the error that {@linkcode responseError} makes from the response code; `malformed/tpm` for
 *   bytes that are not a response to this command.
 */
export function readResponse(bytes: Uint8Array, command: TpmCommand): TpmResponse {
  const { name, sessions = [], responseHandles = 0 } = command;
  const reader = tpmReader(bytes, `response to ${name}`);
  const tag = reader.u16("tag");
  const size = reader.u32("responseSize");
  const code = reader.u32("responseCode");
  if (size !== bytes.length) throw reader.error(`its header says ${size} bytes where it has ${bytes.length}`);
  if (code !== SUCCESS) throw responseError(name, code);
  const expectedTag = sessions.length > 0 ? TAG.sessions : TAG.noSessions;
  if (tag !== expectedTag) throw reader.error(`its tag is ${tag.toString(16)}, not ${expectedTag.toString(16)}`);
  const handles = Array.from({ length: responseHandles }, () => reader.u32("handle"));
  if (sessions.length === 0) return { handles, parameters: reader.part(reader.remaining, "parameters") };
  const parameters = reader.part(reader.u32("parameterSize"), "parameters");
  for (let i = 0; i < sessions.length; i++) {
    reader.sized16(MAXIMUM_DIGEST_BYTES, "session's nonce");
    reader.u8("session's attributes");
    reader.sized16(MAXIMUM_DIGEST_BYTES, "session's HMAC");
  }
  reader.end();
  return { handles, parameters };
}
