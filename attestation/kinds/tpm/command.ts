/**
 * One command and its response: handles, authorisations, parameters (TPM 2.0 Part 1, 18).
 *
 * @module
 */
import type { Bytes } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { HANDLE, MAXIMUM_DIGEST_BYTES, MAXIMUM_MESSAGE_BYTES, TAG } from "./constants.ts";
import { responseError } from "./response_code.ts";
import { tpmError, TpmReader, TpmWriter } from "./wire.ts";

/** A command. */
export interface TpmCommand {
  /** Its name, for errors. */
  readonly name: string;
  /** TPM_CC. */
  readonly code: number;
  /** The handles that it is about. */
  readonly handles?: readonly number[];
  /** One session handle for each handle that wants authorisation: {@linkcode HANDLE}`.password` for an empty password. */
  readonly sessions?: readonly number[];
  /** The encoded parameters. */
  readonly parameters?: Uint8Array;
  /** How many handles the response has. Default: 0. */
  readonly responseHandles?: number;
}

/** A successful response. */
export interface TpmResponse {
  /** The handles. */
  readonly handles: readonly number[];
  /** The parameters, to be read to their end. */
  readonly parameters: TpmReader;
}

/** TPMA_SESSION, continueSession: sessions are flushed by whoever started them. */
const CONTINUE_SESSION = 1;
const SUCCESS = 0;
const HEADER_BYTES = 10;

/** The bytes of a command. Sessions carry neither nonce nor HMAC: passwords are empty, policies need none. */
export function encodeCommand({ code, handles = [], sessions = [], parameters = new Uint8Array() }: TpmCommand): Bytes {
  const authorisations = new TpmWriter();
  for (const session of sessions) {
    const attributes = session === HANDLE.password ? 0 : CONTINUE_SESSION;
    authorisations.u32(session).u16(0).u8(attributes).u16(0);
  }
  const area = authorisations.done();
  const body = new TpmWriter();
  for (const handle of handles) body.u32(handle);
  if (area.length > 0) body.u32(area.length).bytes(area);
  const bytes = body.bytes(parameters).done();
  const size = HEADER_BYTES + bytes.length;
  if (size > MAXIMUM_MESSAGE_BYTES) throw new BootstrapError("internal/tpm-field", `A command has ${size} bytes`);
  const tag = area.length > 0 ? TAG.sessions : TAG.noSessions;
  return new TpmWriter().u16(tag).u32(size).u32(code).bytes(bytes).done();
}

/**
 * Reads the response to a command.
 *
 * @throws {BootstrapError} what {@linkcode responseError} makes of the response's code; `malformed/tpm` for a response that is
 *   none to this command.
 */
export function readResponse(bytes: Uint8Array, command: TpmCommand): TpmResponse {
  const { name, sessions = [], responseHandles = 0 } = command;
  const what = `response to ${name}`;
  const reader = new TpmReader(bytes, what);
  const tag = reader.u16();
  const size = reader.u32();
  const code = reader.u32();
  if (size !== bytes.length) throw tpmError(what, `its header says ${size} bytes where it has ${bytes.length}`);
  if (code !== SUCCESS) throw responseError(name, code);
  const expectedTag = sessions.length > 0 ? TAG.sessions : TAG.noSessions;
  if (tag !== expectedTag) throw tpmError(what, `its tag is ${tag.toString(16)}, not ${expectedTag.toString(16)}`);
  const handles = Array.from({ length: responseHandles }, () => reader.u32());
  if (sessions.length === 0) return { handles, parameters: rest(reader, reader.remaining, what) };
  const parameters = rest(reader, reader.u32(), what);
  for (let i = 0; i < sessions.length; i++) {
    reader.sized(MAXIMUM_DIGEST_BYTES);
    reader.u8();
    reader.sized(MAXIMUM_DIGEST_BYTES);
  }
  reader.end();
  return { handles, parameters };
}

function rest(reader: TpmReader, length: number, what: string): TpmReader {
  return new TpmReader(reader.bytes(length), what);
}
