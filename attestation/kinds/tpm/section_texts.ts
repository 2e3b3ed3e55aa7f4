/**
 * What an editor shows of the keys of a policy's TPM section.
 *
 * @module
 */
import type { SectionTexts } from "../../kind.ts";

/** By the key's path in the section; the empty one is the section itself. */
export const TPM_TEXTS: SectionTexts = {
  "": "What a TPM must show. Required for the variant tpm.",
  "ekType": "The endorsement key that is a machine's identity.",
  "pcrs":
    "The allowed values of PCRs, by their numbers in quotes, in hexadecimal digits in quotes. PCR 12 and 15 are always checked by the protocol itself.",
  "trust": "Which TPMs are trusted: identities, issuers, or both.",
  "trust.identities": "SHA-256 digests of endorsement keys, as `bootstrapper evidence` prints them.",
  "trust.issuers": "Makers of TPMs whose certificates are believed, with what tells your machines apart.",
  "trust.issuers[].certificate": "The maker's CA certificate, PEM.",
  "trust.issuers[].attributes": "Attributes that a certificate's subject must have, such as O, OU or an OID.",
  "trust.issuers[].allowExpired": "Whether the maker's CA may have expired.",
  "trust.intermediates": "CA certificates between issuers and endorsement keys, PEM.",
};
