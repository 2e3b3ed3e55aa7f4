import type { PeerErrorCode } from "../errors.ts";
import { isErrorCode, readErrorCode } from "../errors.ts";

/**
 * Returns a code that the catalogue does not contain, such as that of a peer of another version or of a test program.
 */
export function foreignCode(text: string): PeerErrorCode {
  const code = readErrorCode(text);
  if (code === undefined || isErrorCode(code)) throw new TypeError(`"${text}" is not a code of another program`);
  return code;
}
