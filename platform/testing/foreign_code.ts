import type { PeerErrorCode } from "../errors.ts";
import { isErrorCode, readErrorCode } from "../errors.ts";

/** A code that is not of the catalogue: of a peer of another version, or of a program that is for tests. */
export function foreignCode(text: string): PeerErrorCode {
  const code = readErrorCode(text);
  if (code === undefined || isErrorCode(code)) throw new TypeError(`"${text}" is no code of another program`);
  return code;
}
