/**
 * The settings of evidence of nodes in tests that are about other things: a TPM, without switches.
 *
 * @module
 */
import type { EvidenceSettings } from "../../protocol/transcript.ts";
import { KINDS } from "../kinds.ts";
import { TPM } from "../kinds/tpm/kind.ts";
import type { AcceptedTrust } from "../policy/accepted_trust.ts";
import { acceptedTrustOf } from "../policy/accepted_trust.ts";

/** The settings of a node with a TPM. */
export const TPM_SETTINGS: EvidenceSettings = Object.freeze({ variants: ["tpm"], switches: [] });
/** What a policy for machines with a TPM accepts. */
export const TPM_ACCEPTED: AcceptedTrust = acceptedTrustOf([TPM], [], KINDS);
