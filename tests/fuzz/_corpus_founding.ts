/**
 * Inputs of founding among equals. Where a signature is empty, the target signs.
 *
 * @module
 */
import { createFounderCertificate } from "../../certificate/founder_certificate.ts";
import { makeCard } from "../../founding/card.ts";
import { keyDigestOf } from "../../founding/entry.ts";
import { shownTrust } from "../../founding/trust_comparison.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { hex } from "../../platform/bytes.ts";
import { FoundClientMessage, FoundServerMessage } from "../../proto/gen/bootstrapper.ts";
import type { CorpusFiles } from "./_corpus_signed.ts";
import { NOW } from "./_corpus_signed.ts";
import { fixedKeys } from "./_keys.ts";
import { writeScript } from "./_script.ts";
import { FOUNDING_TRUST } from "./targets/_founding_trust.ts";

const EMPTY: Bytes = new Uint8Array();

/** A card, and a whole exchange from each end. */
export async function foundingFiles(): Promise<CorpusFiles> {
  const { der: certificate } = await createFounderCertificate(await fixedKeys("p-256", 8), "192.0.2.8");
  const keyDigest = await keyDigestOf({ certificate });
  const entry = { identity: hex(keyDigest), name: "peer", address: "192.0.2.8:9444", certificate };
  const card = (serial: bigint) =>
    makeCard({
      ...{ name: entry.name, address: entry.address, timeMs: BigInt(NOW.getTime()), serial, state: "pledged" },
      ...{ instance: new Uint8Array(16).fill(2), clusterId: new Uint8Array(), hindrances: ["etcd's image is missing"] },
      ...{ view: [entry], pledges: [{ keyDigest, signature: new Uint8Array(64) }] },
    });
  const statement = {
    ...{ certificate, card: await card(1n), evidence: { variant: "none", payload: new Uint8Array(32) } },
    ...{ signature: EMPTY, tokenSignature: EMPTY },
  };
  const instance = new Uint8Array(16).fill(2);
  const hello = { nonce: new Uint8Array(32), trust: shownTrust(FOUNDING_TRUST), tokenSignature: EMPTY, instance };
  const messages = [
    { $case: "hello", hello },
    { $case: "statement", statement },
    { $case: "card", card: await card(2n) },
  ] as const;
  return {
    "founder-card/card.bin": await card(1n),
    "founding-server/found.bin": writeScript(
      messages.map((message) => FoundClientMessage.encode({ message }).finish()),
    ),
    "founding-client/found.bin": writeScript(
      messages.map((message) => FoundServerMessage.encode({ message }).finish()),
    ),
  };
}
