/**
 * Recognises keys and secrets in files of their own: an operator's public key, a token key, a founding token.
 *
 * @module
 */
import { readOperatorKey } from "../certificate/operator_key.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { looksLikeFoundingToken, readTokenKey } from "../protocol/founding_token.ts";

/** What a file with one key is. */
export interface KeyText {
  /** Such as "an operator's public key". */
  readonly title: string;
  /** Why it cannot be used, as a clause that shows nothing of it. */
  readonly problem?: string;
}

const MAXIMUM_KEY_LENGTH = 8192;
/** A base64 text on a line of its own, as long as the SPKI of a small key. */
const BASE64_LINE = /^\s*[A-Za-z0-9+/]{40,200}={0,2}\s*$/;

/** Recognises a text that is a key, or a secret; `undefined` if it is neither. */
export function checkKeyText(text: string): KeyText | undefined {
  if (text.length > MAXIMUM_KEY_LENGTH) return undefined;
  const trimmed = text.trim();
  if (looksLikeFoundingToken(trimmed) && !trimmed.includes(":")) {
    return {
      title: "a founding token",
      problem: "this is a secret: keep it from everybody but founders and control planes, and give them it as the " +
        "credential bootstrapper.token",
    };
  }
  if (/^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(trimmed)) {
    return {
      title: "a private key",
      problem: "this is a secret: the public key belongs into trust.operatorKeys, and this one stays with the operator",
    };
  }
  if (/^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+\s|^-----BEGIN PUBLIC KEY-----/.test(trimmed)) {
    return checked("an operator's public key", () => readOperatorKey(trimmed, "the key"));
  }
  if (BASE64_LINE.test(text)) return checked("a token key", () => readTokenKey(trimmed, "the key"));
  return undefined;
}

function checked(title: string, read: () => unknown): KeyText {
  try {
    read();
    return { title };
  } catch (error) {
    return { title, problem: asBootstrapError(error).message };
  }
}
