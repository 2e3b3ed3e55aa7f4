/**
 * Private keys in the form of OpenSSH, for tests.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { concat, u32be, utf8 } from "../../platform/bytes.ts";
import type { KeyPair } from "../keys.ts";

/** The parts of a key that may differ from what ssh-keygen writes. */
export interface OpensshForm {
  readonly cipher?: string;
  readonly count?: number;
  readonly type?: string;
  readonly checks?: readonly [number, number];
  readonly publicKey?: Uint8Array;
  readonly padding?: Uint8Array;
  readonly trailing?: Uint8Array;
}

/** Encodes an Ed25519 key as ssh-keygen does, without a passphrase. */
export async function opensshKeyOf({ privateKey, spki }: KeyPair, form: OpensshForm = {}): Promise<Bytes> {
  const field = (bytes: Uint8Array) => concat(u32be(bytes.length), bytes);
  const seed = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)).slice(-32);
  const [own, type] = [form.publicKey ?? spki.slice(-32), form.type ?? "ssh-ed25519"];
  const [first, second] = form.checks ?? [77, 77];
  const secret = concat(
    u32be(first),
    u32be(second),
    field(utf8(type)),
    field(own),
    field(concat(seed, spki.slice(-32))),
    field(utf8("josé@büro")),
  );
  const padding = Uint8Array.from({ length: (8 - secret.length % 8) % 8 }, (_, index) => index + 1);
  return concat(
    utf8("openssh-key-v1\0"),
    field(utf8(form.cipher ?? "none")),
    field(utf8(form.cipher === undefined ? "none" : "bcrypt")),
    field(new Uint8Array()),
    u32be(form.count ?? 1),
    field(concat(field(utf8(type)), field(own))),
    field(concat(secret, form.padding ?? padding)),
    form.trailing ?? new Uint8Array(),
  );
}
