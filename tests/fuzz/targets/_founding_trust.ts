import type { FounderTrust } from "../../../founding/trust_comparison.ts";
import { fixedKeys } from "../_keys.ts";

/** The trust part of all founders here: a policy and a token key. */
export const FOUNDING_TRUST: FounderTrust = {
  ...{ clusterName: "fuzz", clusterId: new Uint8Array(), operatorKeys: [], variants: ["none"] },
  switches: ["allowInsecure"],
  founding: {
    size: 3,
    policyDigest: new Uint8Array(32).fill(7),
    tokenKey: (await fixedKeys("ed25519", 9)).spki,
  },
};
