/**
 * A control plane's kit in transit: sealed to the node's attested key E_c, and bound by A2 to the one exchange.
 *
 * HPKE (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. `info` is the label
 * and the direction; the associated data is A2.
 *
 * @module
 */
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { LABEL } from "./transcript.ts";
import type { Bytes } from "../platform/bytes.ts";
import { concat, copyOf, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { SealedKit } from "../proto/gen/bootstrapper.ts";
import type { ControlPlaneKit } from "./control_plane_kit.ts";
import { decodeControlPlaneKit, encodeControlPlaneKit, MAXIMUM_KIT_BYTES } from "./control_plane_kit.ts";
import { SEALING_KEY_BYTES, type SealingKeyPair } from "./node_keys.ts";

/** The content, sender and recipient: the part of HPKE's `info` after the label. */
export const KIT_DIRECTION = "control-plane kit, service to node";

/** The length of AES-GCM's tag, which follows the ciphertext. */
const TAG_BYTES = 16;

/**
 * Seals a kit to a node.
 *
 * @param recipient E_c, 32 bytes, from a request with verified evidence.
 * @param a2 A2 of that request.
 * @param kit The kit. It is not changed.
 * @throws {BootstrapError} `malformed/sealing-key` if E_c is not a usable key, such as a point of small order;
 *   `malformed/sealed-kit` with `field` if the kit is malformed.
 */
export async function sealKit(recipient: Uint8Array, a2: Uint8Array, kit: ControlPlaneKit): Promise<SealedKit> {
  const plaintext = encodeControlPlaneKit(kit);
  try {
    const sender = await createSender(recipient);
    const ciphertext = await sender.seal(plaintext.buffer, a2);
    return { encapsulatedKey: new Uint8Array(sender.enc), ciphertext: new Uint8Array(ciphertext) };
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Opens a kit. `checkControlPlaneKit()` checks that its parts belong together.
 *
 * @param keys The node's E_c.
 * @param a2 A2 of the node's own request.
 * @param sealed The sealed kit from the service.
 * @throws {BootstrapError} `malformed/sealed-kit` with `field` if it is malformed; `refused/sealed-kit` if it was
 *   sealed to another key, for another exchange or purpose, or was changed in transit.
 */
export async function openKit(keys: SealingKeyPair, a2: Uint8Array, sealed: SealedKit): Promise<ControlPlaneKit> {
  const { encapsulatedKey, ciphertext } = sealed;
  if (encapsulatedKey.length !== SEALING_KEY_BYTES) {
    throw malformed("encapsulated_key", `has ${encapsulatedKey.length} bytes instead of ${SEALING_KEY_BYTES}`);
  }
  if (ciphertext.length <= TAG_BYTES || ciphertext.length > MAXIMUM_KIT_BYTES + TAG_BYTES) {
    throw malformed("ciphertext", `has ${ciphertext.length} bytes`);
  }
  const plaintext = await open(keys, a2, sealed);
  try {
    return decodeControlPlaneKit(plaintext);
  } finally {
    plaintext.fill(0);
  }
}

async function createSender(recipient: Uint8Array) {
  try {
    const suite = createSuite();
    const recipientPublicKey = await suite.kem.deserializePublicKey(copyOf(recipient));
    // The shared secret of a point of small order is zero, which WebCrypto refuses (RFC 7748, 6.1).
    return await suite.createSenderContext({ recipientPublicKey, info: info() });
  } catch (cause) {
    throw new BootstrapError("malformed/sealing-key", "Cannot seal to a node's key as it is not an X25519 public key", {
      cause,
      details: { field: "sealing_key" },
    });
  }
}

async function open(keys: SealingKeyPair, a2: Uint8Array, sealed: SealedKit): Promise<Bytes> {
  try {
    const suite = createSuite();
    const publicKey = await suite.kem.deserializePublicKey(keys.publicKey);
    const recipient = await suite.createRecipientContext({
      recipientKey: { publicKey, privateKey: keys.privateKey },
      enc: copyOf(sealed.encapsulatedKey),
      info: info(),
    });
    return new Uint8Array(await recipient.open(copyOf(sealed.ciphertext), a2));
  } catch (cause) {
    const message =
      "Cannot open a control plane's kit as it was sealed to another key, for another exchange, or changed";
    throw new BootstrapError("refused/sealed-kit", message, { cause, details: { field: "ciphertext" } });
  }
}

/** Each use gets its own suite, because suites have state. */
function createSuite(): CipherSuite {
  return new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
}

function info(): Bytes {
  return concat(LABEL, utf8(KIT_DIRECTION));
}

function malformed(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/sealed-kit", `Cannot read a control plane's kit as "${field}" ${problem}`, {
    details: { field },
  });
}
