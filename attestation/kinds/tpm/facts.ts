/**
 * The facts in a TPM's evidence that do not go into a policy, for people who make policies.
 *
 * @module
 */
import { writePem } from "../../../certificate/pem.ts";
import { hex, sha256 } from "../../../platform/bytes.ts";
import type { EvidenceFacts } from "../../kind.ts";
import { certificateIn } from "./ek_certificate.ts";
import { decodePayload } from "./payload.ts";
import { readPublicArea, spkiOf } from "./public_area.ts";
import { PROTOCOL_PCRS, unmeasuredWarning } from "./registers.ts";
import { readQuoteInfo } from "./quote_info.ts";

/** Reads the facts from a TPM's evidence. @throws {BootstrapError} `malformed/…`. */
export async function tpmFacts(bytes: Uint8Array): Promise<EvidenceFacts> {
  const payload = decodePayload(bytes);
  const { resetCount, restartCount } = readQuoteInfo(payload.attest);
  const identity = hex(await sha256(spkiOf(readPublicArea(payload.endorsementKey, "endorsement key").key)));
  const pcrs = payload.pcrs.map(hex);
  const warning = unmeasuredWarning("this machine", payload.pcrs);
  const stored = certificateIn(payload.certificate);
  const ekCertificate = stored.length === 0 ? null : writePem("CERTIFICATE", stored);
  const ekChain = (payload.chain ?? []).map((certificate) => writePem("CERTIFICATE", certificate));
  return {
    identity,
    warnings: warning === undefined ? [] : [warning],
    facts: {
      identity,
      pcrs: Object.fromEntries(pcrs.map((value, index) => [String(index), value])),
      ...{ resetCount, restartCount, ekCertificate, ekChain },
    },
    remarks: [
      "Remove registers that differ from boot to boot, and control planes that are to be workers.",
      "",
      ...PROTOCOL_PCRS.map((index) => `PCR ${index}, which no policy names: ${pcrs[index] ?? ""}`),
      `The TPM was reset ${resetCount} times, and restarted ${restartCount} times since.`,
      ekCertificate === null ? "The TPM has no EK certificate." : `The EK certificate:\n${ekCertificate.trimEnd()}`,
      ...ekChain.map((pem) => `An authority that the TPM stores:\n${pem.trimEnd()}`),
    ],
  };
}
