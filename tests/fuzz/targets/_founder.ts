import { createInsecureIssuer } from "../../../attestation/kinds/none/issuer.ts";
import { createInsecureVerifier } from "../../../attestation/kinds/none/verifier.ts";
import { createFounderCertificate } from "../../../certificate/founder_certificate.ts";
import { privateKeyPem } from "../../../certificate/keys.ts";
import { writePem } from "../../../certificate/pem.ts";
import { makeCard } from "../../../founding/card.ts";
import { ownEntry } from "../../../founding/entry.ts";
import { EvidenceRate } from "../../../founding/evidence_rate.ts";
import type { Founder } from "../../../founding/founder.ts";
import { FOUNDER_DEADLINES } from "../../../founding/founder.ts";
import { OwnDials } from "../../../founding/own_dials.ts";
import { VerificationTurns } from "../../../founding/verification_turns.ts";
import { trustDigest } from "../../../protocol/transcript.ts";
import { fixedKeys } from "../_keys.ts";
import { FOUNDING_TRUST } from "./_founding_trust.ts";

/** The time of day of the fuzzed founder, which stands still. */
export const NOW = new Date("2026-05-01T00:00:00Z");
const ZERO = new Uint8Array(32);
const clock = { now: () => NOW, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const token = await fixedKeys("ed25519", 9);

/** The fuzzed founder, with a key of its own. */
export async function newFounder(): Promise<Founder> {
  const keys = await fixedKeys("p-256", 7);
  const { der: certificate } = await createFounderCertificate(keys, "own.example");
  const key = {
    keys,
    certificate,
    keyPem: await privateKeyPem(keys),
    certificatePem: writePem("CERTIFICATE", certificate),
  };
  const issuer = createInsecureIssuer(ZERO);
  const entry = await ownEntry({ name: "own", address: "own.example:9444" }, certificate, issuer);
  const instance = new Uint8Array(16).fill(1);
  const card = await makeCard({
    ...{
      name: entry.name,
      address: entry.address,
      timeMs: BigInt(NOW.getTime()),
      serial: 1n,
      instance,
      state: "meeting",
    },
    ...{ clusterId: new Uint8Array(), hindrances: [], view: [entry], pledges: [] },
  });
  return {
    ...{ trust: FOUNDING_TRUST, trustDigest: await trustDigest(FOUNDING_TRUST), entry, key, token, instance, clock },
    attestation: { issuer, verifier: createInsecureVerifier(), rate: new EvidenceRate(clock) },
    ...{ verifications: new VerificationTurns(), ownDials: new OwnDials(), deadlines: FOUNDER_DEADLINES },
    pledged: () => undefined,
    nextCard: () => Promise.resolve(card),
    noteOwnKey: () => {},
  };
}

/** The founder before it has made evidence. */
export function afresh({ attestation, ...own }: Founder): Founder {
  if (attestation === undefined) return own;
  return { ...own, ownDials: new OwnDials(), attestation: { ...attestation, rate: new EvidenceRate(clock) } };
}
