/**
 * A kind of evidence that lives in tests alone: a machine in memory that signs what it shows. It is added by one line,
 * `kinds: [...KINDS, machine.kind]`, and everything else must take it as it takes the real ones.
 *
 * @module
 */
import * as v from "valibot";
import { createChecks } from "../../attestation/checks.ts";
import type { Evidence, EvidenceIssuer, ExplainingVerifier, MeasurementRegisters } from "../../attestation/evidence.ts";
import { AS_SHOWN, LOCK_REGISTER, TRUST_REGISTER } from "../../attestation/evidence.ts";
import { checkExpectation, type RegisterForms, registerValues } from "../../attestation/expectation.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { bytesOf, hexOf, listOf, type Part, setOf } from "../../attestation/policy/_policy_parts.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { concat, equalBytes, hex, isZero, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { refusal } from "../../protocol/refusal.ts";

/** What a policy wants of a toy. */
export interface ToyPolicy {
  /** Allowed images, 32 bytes each. */
  readonly images: readonly Uint8Array[];
  /** Identities that are let in, lower-case hexadecimal. */
  readonly machines: ReadonlySet<string>;
}

const NAME = "toy";
/** The toy's registers: the names of its checks are among those of the catalogue of errors. */
const [TRUST_CHECK, LOCK_CHECK, IMAGE_CHECK] = ["pcr-20", "pcr-21", "pcr-22"] as const;
const LENGTH = 32;
const SIGNATURE_LENGTH = 64;
const SIGNED_PARTS = 4;

/** Unlike that of any other kind: a digest is hashed with the kind's name, and kept, not extended. */
async function shown(digest: Uint8Array): Promise<Bytes> {
  return await sha256(utf8(NAME), digest);
}

const FORMS: RegisterForms = { trust: shown, lock: shown, fresh: new Uint8Array(LENGTH) };

const schema = v.strictObject({
  images: listOf(bytesOf(LENGTH, "an image's digest")),
  machines: setOf(hexOf(LENGTH, "an identity")),
}) as Part<ToyPolicy>;

/** What a toy signs, then its public key, 32 bytes, and the signature. */
interface ToyPayload {
  readonly statement: Uint8Array;
  readonly image: Uint8Array;
  readonly trust: Uint8Array;
  readonly lock: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  /** The first four, as they are signed. */
  readonly signed: Uint8Array;
}

function readPayload(payload: Uint8Array): ToyPayload {
  if (payload.length !== (SIGNED_PARTS + 1) * LENGTH + SIGNATURE_LENGTH) {
    throw new BootstrapError("malformed/evidence", "Evidence of a toy has another length");
  }
  const part = (index: number) => payload.slice(LENGTH * index, LENGTH * (index + 1));
  const signature = payload.slice(-SIGNATURE_LENGTH);
  const signed = payload.slice(0, SIGNED_PARTS * LENGTH);
  return { statement: part(0), image: part(1), trust: part(2), lock: part(3), publicKey: part(4), signature, signed };
}

function createToyVerifier(policy: ToyPolicy): ExplainingVerifier {
  return {
    variant: NAME,
    identityCheck: "identity",
    async verify({ variant, payload }, statement, expectation, report) {
      checkExpectation(statement, expectation);
      const checks = createChecks(report);
      checks.expect("variant", variant, NAME, "The evidence is of another variant");
      const toy = await checks.need("form", () => readPayload(payload));
      const allowed = expectation === AS_SHOWN
        ? { trust: [toy.trust], lock: [toy.lock] }
        : await registerValues(expectation, FORMS);
      await checks.run("quote-signature", "its signature", async () => {
        const key = await crypto.subtle.importKey("raw", concat(toy.publicKey), "Ed25519", false, ["verify"]);
        if (await crypto.subtle.verify("Ed25519", key, concat(toy.signature), concat(toy.signed))) return;
        throw refusal("quote-signature", "The toy did not sign this", "its signature", "another");
      });
      const identity = hex(await sha256(toy.publicKey));
      checks.expect("statement", hex(toy.statement), hex(statement), "It is of another connection");
      checks.expectOneOf(IMAGE_CHECK, hex(toy.image), policy.images.map(hex), "The image is not allowed");
      checks.expectOneOf("identity", identity, [...policy.machines], "The machine is not known");
      checks.expectOneOf(TRUST_CHECK, hex(toy.trust), allowed.trust.map(hex), "It was configured otherwise");
      checks.expectOneOf(LOCK_CHECK, hex(toy.lock), allowed.lock.map(hex), "Its lock is not allowed");
      checks.end();
      return { claims: { variant: NAME, identity, fresh: isZero(toy.lock) } };
    },
  };
}

/** A machine in memory, and the kind of its evidence. */
export class ToyMachine implements EvidenceIssuer, MeasurementRegisters {
  readonly variant = NAME;
  readonly isChallenged = false;
  readonly #registers = new Map<number, Bytes>();

  private constructor(
    readonly identity: string,
    readonly publicKey: Bytes,
    readonly key: CryptoKey,
    public image: Bytes,
  ) {}

  /** Makes a machine with a key of its own. */
  static async create(image = new Uint8Array(LENGTH).fill(7)): Promise<ToyMachine> {
    const keys = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
    return new ToyMachine(hex(await sha256(publicKey)), publicKey, keys.privateKey, image);
  }

  read(index: number): Promise<Bytes> {
    return Promise.resolve(this.#registers.get(index) ?? new Uint8Array(LENGTH));
  }

  async extend(index: number, digest: Uint8Array): Promise<void> {
    this.#registers.set(index, await shown(digest));
  }

  extended(_index: number, digest: Uint8Array): Promise<Bytes> {
    return shown(digest);
  }

  async issue(statement: Uint8Array): Promise<Evidence> {
    const signed = concat(statement, this.image, await this.read(TRUST_REGISTER), await this.read(LOCK_REGISTER));
    const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", this.key, signed));
    return { variant: NAME, payload: concat(signed, this.publicKey, signature) };
  }

  activate(): Promise<Bytes> {
    return Promise.reject(new BootstrapError("protocol/challenge", "Evidence of a toy has no challenge"));
  }

  ownIdentity(): Promise<string> {
    return Promise.resolve(this.identity);
  }

  /** The kind, whose machine this one is. */
  get kind(): EvidenceKind<ToyPolicy> {
    return {
      name: NAME,
      registers: {
        names: "the toy's two registers",
        checks: [TRUST_CHECK, LOCK_CHECK],
        trust: { key: "toyTrust", isLaunchValue: false, valueOf: shown },
      },
      section: {
        schema,
        async make({ machines }) {
          const payloads = machines.map(({ payload }) => readPayload(payload));
          const identities = await Promise.all(payloads.map(async ({ publicKey }) => hex(await sha256(publicKey))));
          const images = payloads.map(({ image }) => hex(image));
          return { section: { images, machines: identities }, remarks: ["A toy proves nothing to anybody."] };
        },
        trusts: (section, identity) => section.machines.has(identity),
      },
      open: () => Promise.resolve({ issuer: this, registers: this }),
      createVerifier: createToyVerifier,
      async facts(payload) {
        const { image, publicKey } = readPayload(payload);
        const identity = hex(await sha256(publicKey));
        return { identity, facts: { image: hex(image) }, remarks: ["", `Image: ${hex(image)}`] };
      },
    };
  }

  /** Whether a payload is this machine's. */
  made({ payload }: Evidence): boolean {
    return equalBytes(readPayload(payload).publicKey, this.publicKey);
  }
}
