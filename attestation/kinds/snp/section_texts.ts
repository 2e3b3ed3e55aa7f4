/**
 * What an editor shows of the keys of a policy's SEV-SNP section.
 *
 * @module
 */
import type { SectionTexts } from "../../kind.ts";

/** By the key's path in the section; the empty one is the section itself. */
export const SNP_TEXTS: SectionTexts = {
  "": "What AMD's secure processor must say. Required for the variant snp.",
  "products": "The lines of processors that are let in, each with its oldest firmware.",
  "signingKeys": "The kinds of keys that may sign reports.",
  "providers": "The clouds whose keys may sign, if signingKeys has vlek.",
  "allowsLaggingTcb": "Whether a host may sign with the key of an older firmware than the one that runs.",
  "measurements": "Allowed launch digests, 96 hexadecimal digits.",
  "guestPolicy": "Rules for the bits of the guest policy: names, or numbers from 0.",
  "platformInfo": "Rules for the bits of the platform information: names, or numbers from 0.",
  "requiresZeroReserved": "Whether reserved bits must be zero.",
  "idKeys": "SHA-384 digests of allowed ID keys.",
  "authorKeys": "SHA-384 digests of allowed author keys.",
  "chipIds": "The only processors that are let in, by their chip IDs.",
  "bannedChipIds": "Processors that are never let in.",
};
