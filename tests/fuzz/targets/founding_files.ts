/**
 * What founders write: files of the own folder, and the values of their etcd.
 *
 * @module
 */
import {
  decodeComplete,
  decodeDecision,
  decodeLeader,
  decodeResigned,
  encodeRecord,
} from "../../../founding/_records.ts";
import { decodePledge, decodeRoster, encodePledge, encodeRoster } from "../../../founding/_roster_files.ts";
import { decodeCompleted, decodeStaged } from "../../../founding/founder_journal.ts";
import { equalBytes, utf8 } from "../../../platform/bytes.ts";
import { type FuzzTarget, promise } from "../target.ts";
import { eachOf } from "./_checks.ts";

export const foundingFileTargets: readonly FuzzTarget[] = [
  {
    name: "founding-files",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) =>
      eachOf(
        () => {
          const pledge = encodePledge(decodePledge(input, "fuzz"));
          promise(
            equalBytes(encodePledge(decodePledge(pledge, "fuzz")), pledge),
            "a pledge changes when it is written",
          );
        },
        () => {
          const roster = encodeRoster(decodeRoster(input, "fuzz"));
          promise(
            equalBytes(encodeRoster(decodeRoster(roster, "fuzz")), roster),
            "a roster changes when it is written",
          );
        },
        () => void decodeStaged(input, "fuzz"),
        () => void decodeCompleted(input, "fuzz"),
      ),
  },
  {
    name: "founding-decision",
    form: "json",
    maximumBytes: 20 << 10,
    open: () => (input) =>
      eachOf(
        () => {
          const record = decodeDecision(input);
          const again = decodeDecision(encodeRecord(record));
          promise(JSON.stringify(again) === JSON.stringify(record), "a decision changes when it is written");
        },
        () => void decodeComplete(input),
        () => void decodeLeader(input),
        () => void promise(utf8(decodeResigned(input)).length <= 20 << 10, "a reason is longer than its input"),
      ),
  },
];
