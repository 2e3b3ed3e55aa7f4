/**
 * Event logs, images, and evidence files.
 *
 * @module
 */
import { describeEvent, isVouchedFor } from "../../../attestation/eventlog/describe.ts";
import { readEventLog } from "../../../attestation/eventlog/event_log.ts";
import { eventTypeName } from "../../../attestation/eventlog/event_types.ts";
import { replay } from "../../../attestation/eventlog/replay.ts";
import { readEvidenceFile, writeEvidenceFile } from "../../../attestation/evidence_file.ts";
import { explainEvidence } from "../../../attestation/explain/explain.ts";
import { replayLog, REPLAYS } from "../../../attestation/explain/replayed_log.ts";
import { readPolicy } from "../../../attestation/policy/policy.ts";
import { imageHash } from "../../../attestation/uki/authenticode.ts";
import { readBootLoader, readShim } from "../../../attestation/uki/boot_chain.ts";
import { ukiRegisters } from "../../../attestation/uki/measurements.ts";
import { readPeImage } from "../../../attestation/uki/pe.ts";
import { CONFIGURATION_CREDENTIAL, smbiosCredential } from "../../../node/host_credentials.ts";
import { readOemStrings } from "../../../node/smbios.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../../../platform/document.ts";
import { equalBytes, fromUtf8 } from "../../../platform/bytes.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf } from "./_checks.ts";

const PCRS = Array.from({ length: 16 }, () => new Uint8Array(32));
const RTMRS = Array.from({ length: 4 }, () => new Uint8Array(48));
const NOW = new Date("2026-05-01T00:00:00Z");
const LONGEST_DESCRIPTION = 201;

export const imageTargets: readonly FuzzTarget[] = [
  {
    name: "smbios",
    form: "bytes",
    maximumBytes: 128 << 10,
    open: () => (input) => {
      const strings = readOemStrings(input);
      promise(strings.every((string) => string.length > 0 && !string.includes(0)), "a string of SMBIOS has no zero");
      const total = strings.reduce((sum, { length }) => sum + length, 0);
      promise(total <= input.length, "the strings of SMBIOS are parts of the table");
      const value = smbiosCredential(strings, CONFIGURATION_CREDENTIAL);
      promise(value === undefined || value.length <= MAXIMUM_DOCUMENT_BYTES, "a credential is as large as a document");
    },
  },
  {
    name: "event-log",
    form: "bytes",
    maximumBytes: 128 << 10,
    open: () => async (input) => {
      const log = readEventLog(input);
      for (const bank of log.banks) replay(log, bank);
      for (const event of log.events) {
        const text = describeEvent(event);
        promise(
          text.length <= LONGEST_DESCRIPTION && !/[\p{Cc}\u2028\u2029]/u.test(text),
          "a description is not one short line",
        );
        eventTypeName(event.type);
        isVouchedFor(event);
      }
      const replayed = replayLog(input, PCRS);
      for (const pcr of PCRS.keys()) await replayed.register(pcr);
      const ofVm = replayLog(input, RTMRS, REPLAYS.ccEventLog);
      for (const rtmr of RTMRS.keys()) await ofVm.register(rtmr);
    },
  },
  {
    name: "uki",
    form: "bytes",
    maximumBytes: 128 << 10,
    open: () => (input) =>
      eachOf(
        () => imageHash(readPeImage(input, "fuzz")),
        () => ukiRegisters(input, "fuzz", { phases: ["enter-initrd"] }),
        () => readBootLoader(input, "fuzz"),
        () => readShim(input, "fuzz"),
      ),
  },
  {
    name: "evidence-file",
    form: "json",
    maximumBytes: 64 << 10,
    async open(read) {
      const policy = readPolicy(fromUtf8(await read("fixtures/tpm-policy.yaml"), "policy"), "policy");
      const reference = readEvidenceFile(await read("evidence-file/tpm.json"), "reference");
      return async (input) => {
        const file = readEvidenceFile(input, "fuzz");
        const again = readEvidenceFile(writeEvidenceFile(file), "fuzz");
        promise(
          equalBytes(writeEvidenceFile(again), writeEvidenceFile(file)),
          "a file that is written again is another",
        );
        JSON.stringify(await explainEvidence({ file, policy, reference, now: () => NOW }));
      };
    },
  },
];
