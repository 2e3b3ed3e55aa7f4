/**
 * A machine for tests of the Init. It shows its registers and answers challenges, and proves nothing.
 *
 * @module
 */
import { refusal } from "../../protocol/refusal.ts";
import { extendedOnce } from "../../protocol/transcript.ts";
import type {
  ActivationChallenge,
  Evidence,
  EvidenceIssuer,
  EvidenceVerifier,
  MeasurementRegisters,
} from "../../attestation/evidence.ts";
import { FRESH, LOCK_REGISTER, TRUST_REGISTER } from "../../attestation/evidence.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { concat, copyOf, equalBytes, hex, isZero, randomBytes, sha256 } from "../../platform/bytes.ts";

const LENGTH = 32;

/** A machine with registers in memory, which a reboot clears. */
export class ShownMachine implements EvidenceIssuer, MeasurementRegisters {
  readonly variant = "tpm";
  readonly isChallenged = true;
  readonly #registers = new Map<number, Bytes>();

  /** Creates a fresh machine; `resetCount` is that of its next boot, up to 255. */
  constructor(readonly identity: Bytes = randomBytes(LENGTH), public resetCount = 1) {}

  read(index: number): Promise<Bytes> {
    return Promise.resolve(this.#registers.get(index) ?? new Uint8Array(LENGTH));
  }

  async extend(index: number, digest: Uint8Array): Promise<void> {
    this.#registers.set(index, await sha256(await this.read(index), digest));
  }

  /** Clears the registers. */
  reboot(): void {
    this.#registers.clear();
    this.resetCount++;
  }

  async issue(statement: Uint8Array): Promise<Evidence> {
    const registers = [await this.read(TRUST_REGISTER), await this.read(LOCK_REGISTER)];
    const payload = concat(statement, this.identity, ...registers, Uint8Array.of(this.resetCount));
    return { variant: this.variant, payload };
  }

  ownIdentity(): Promise<string> {
    return Promise.resolve(hex(this.identity));
  }

  /** The secret is not hidden. */
  activate({ credentialBlob }: ActivationChallenge): Promise<Bytes> {
    return Promise.resolve(copyOf(credentialBlob));
  }
}

/** Believes a {@linkcode ShownMachine}, but checks its registers against the expected ones. */
export const shownVerifier: EvidenceVerifier = {
  variant: "tpm",
  async verify({ variant, payload }, statement, expectation) {
    if (variant !== "tpm") throw refusal("variant", "The evidence is of another variant", "tpm", variant);
    const part = (index: number) => payload.subarray(LENGTH * index, LENGTH * (index + 1));
    const [seen, identity, trust, lock] = [part(0), part(1), part(2), part(3)];
    if (!equalBytes(seen, statement)) {
      throw refusal("statement", "The evidence is of another connection", hex(statement), hex(seen));
    }
    const allowedTrust = await Promise.all(expectation.trust.map(extendedOnce));
    const allowedLocks = await Promise.all(
      expectation.lock.map((digest) => digest === FRESH ? new Uint8Array(LENGTH) : extendedOnce(digest)),
    );
    for (const [index, value, allowed] of [[12, trust, allowedTrust], [15, lock, allowedLocks]] as const) {
      if (allowed.some((one) => equalBytes(one, value))) continue;
      throw refusal(`pcr-${index}`, `PCR ${index} differs`, allowed.map(hex).join(), hex(value));
    }
    const secret = randomBytes(LENGTH);
    return {
      claims: { variant: "tpm", identity: hex(identity), fresh: isZero(lock), resetCount: payload[4 * LENGTH] ?? 0 },
      challenge: { message: { credentialBlob: secret, encryptedSecret: new Uint8Array() }, secret },
    };
  },
};
