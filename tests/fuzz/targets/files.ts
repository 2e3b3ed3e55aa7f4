/**
 * Files that the program, kubeadm or the operator wrote, and that may have been changed since.
 *
 * @module
 */
import { join } from "node:path";
import { holdRecord } from "../../../operator/cluster_records.ts";
import { MAXIMUM_HEAD_BYTES, readHead } from "../../../backup/backup_head.ts";
import { decodeContents, encodeContents } from "../../../backup/contents.ts";
import { StagedInitFolder } from "../../../init/staged_init.ts";
import { readServiceState, SERVICE_KEY_FILE, SERVICE_STATE_FILE } from "../../../service/service_state.ts";
import { decodeJournal, encodeJournal } from "../../../journal/_journal_file.ts";
import { readKubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { parseMeasurementRecord } from "../../../node/measurement_record.ts";
import { parseMembership } from "../../../node/membership.ts";
import { parseMetadata } from "../../../node/metadata/metadata.ts";
import { readInstanceData, readOpenStackMetaData, readOpenStackNetworks } from "../../../node/metadata/sources.ts";
import type { MetadataTexts } from "../../../node/metadata/values.ts";
import { METADATA_FIELDS, readMetadataValues } from "../../../node/metadata/values.ts";
import { parseOwnMember } from "../../../node/own_etcd.ts";
import { parseNodeCertificate } from "../../../kubernetes/kubelet_credentials.ts";
import { parseControlPlaneRenewal } from "../../../node/control_plane_renewal_record.ts";
import { parseSetupRecord } from "../../../node/machine_setup_changes.ts";
import { parseRenewalRecord } from "../../../node/renewal_record.ts";
import { readResetMarker, RESET_MARKER_FILE } from "../../../node/reset_marker.ts";
import { parseStatus } from "../../../node/status.ts";
import { parseTimeline } from "../../../node/timeline.ts";
import { timelineSvg } from "../../../node/timeline_svg.ts";
import { timelineText } from "../../../node/timeline_text.ts";
import { decodeLockRecord, encodeLockRecord } from "../../../nodelock/record.ts";
import { clusterIdOf } from "../../../certificate/cluster_id.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { concat, equalBytes, fromUtf8, hex, sha256, utf8 } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { fixedPrivateKeyPem } from "../_keys.ts";
import { readScript } from "../_script.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf } from "./_checks.ts";

const NOW = new Date("2026-05-01T00:00:00Z");

/** Contents of a backup behind its head, which everyone can make: as its reader meets them when they are unsealed. */
async function readBackupParts(input: Bytes): Promise<void> {
  const head = await readHead(input, "fuzz");
  promise(head.bytes <= MAXIMUM_HEAD_BYTES, "a head is longer than is read");
  const contents = decodeContents(input.subarray(head.bytes));
  promise(equalBytes(encodeContents(contents), input.subarray(head.bytes)), "contents change when they are written");
}

/** Feeds an input as a file in a new folder. */
function inFile(name: string, run: (folder: string, path: string) => unknown): FuzzTarget["open"] {
  return async () => {
    const folder = await Deno.makeTempDir({ prefix: "fuzz-" });
    addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    const path = join(folder, name);
    return async (input) => {
      await Deno.writeFile(path, input);
      await run(folder, path);
    };
  };
}

/** A journal with this content and the matching checksum. */
async function journalOf(body: Bytes): Promise<Bytes> {
  return concat(utf8(`bootstrapper-journal 1 ${hex(await sha256(body))}\n`), body, utf8("\n"));
}

/** Reads the values that there are. */
function checkTexts(texts: MetadataTexts): void {
  readMetadataValues({ use: METADATA_FIELDS.filter((field) => texts[field] !== undefined) }, texts, "fuzz");
}

export const fileTargets: readonly FuzzTarget[] = [
  { name: "backup", form: "bytes", maximumBytes: 64 << 10, mayEndIn: ["usage"], open: () => readBackupParts },
  {
    name: "lock-record",
    form: "json",
    maximumBytes: 1 << 10,
    open: () => async (input) => {
      const record = await decodeLockRecord(input, "fuzz");
      promise(equalBytes(await encodeLockRecord(record), input), "a lock changes when it is written again");
    },
  },
  {
    name: "journal",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) =>
      eachOf(() => decodeJournal(input, "fuzz"), async () => {
        const content = await decodeJournal(await journalOf(input), "fuzz");
        const again = await decodeJournal(await encodeJournal(content), "fuzz");
        promise(JSON.stringify(again) === JSON.stringify(content), "a journal changes when it is written again");
      }),
  },
  {
    name: "renewal-record",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) => {
      const record = parseRenewalRecord(input, "fuzz");
      const again = parseRenewalRecord(utf8(JSON.stringify(record)), "fuzz");
      promise(JSON.stringify(again) === JSON.stringify(record), "a record changes when it is written again");
    },
  },
  {
    name: "setup-record",
    form: "json",
    maximumBytes: 1 << 12,
    open: () => (input) => {
      const record = parseSetupRecord(input, "fuzz");
      const again = parseSetupRecord(utf8(JSON.stringify(record)), "fuzz");
      promise(JSON.stringify(again) === JSON.stringify(record), "a record changes when it is written again");
    },
  },
  {
    name: "control-plane-renewal-record",
    form: "json",
    maximumBytes: 4 << 10,
    open: () => (input) => {
      const record = parseControlPlaneRenewal(input, "fuzz");
      const again = parseControlPlaneRenewal(utf8(JSON.stringify(record)), "fuzz");
      promise(JSON.stringify(again) === JSON.stringify(record), "a record changes when it is written again");
    },
  },
  {
    name: "membership",
    form: "json",
    maximumBytes: 20 << 10,
    open: () => (input) => {
      const { since, ...rest } = parseMembership(input, "fuzz");
      const again = parseMembership(utf8(JSON.stringify({ version: 2, since, ...rest })), "fuzz");
      promise(
        JSON.stringify(again) === JSON.stringify({ since, ...rest }),
        "a membership changes when it is written again",
      );
    },
  },
  {
    name: "machine-metadata",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) =>
      eachOf(
        () => checkTexts(readInstanceData(input, "fuzz")),
        () => checkTexts(readOpenStackMetaData(fromUtf8(input, "fuzz"), "fuzz")),
        () => checkTexts(readOpenStackNetworks(fromUtf8(input, "fuzz"), "fuzz")),
        () => {
          const { source, texts } = parseMetadata(input, "fuzz");
          const again = parseMetadata(utf8(JSON.stringify({ version: 1, source, texts })), "fuzz");
          promise(JSON.stringify(again.texts) === JSON.stringify(texts), "metadata changes when it is written again");
          checkTexts(texts);
        },
      ),
  },
  {
    name: "measurement-record",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) => {
      const record = parseMeasurementRecord(input, "fuzz");
      const again = parseMeasurementRecord(utf8(JSON.stringify(record)), "fuzz");
      promise(JSON.stringify(again) === JSON.stringify(record), "a record changes when it is written again");
    },
  },
  {
    name: "node-certificate",
    form: "text",
    maximumBytes: 64 << 10,
    open: () => (input) => void parseNodeCertificate(input, "fuzz"),
  },
  {
    name: "status",
    form: "json",
    maximumBytes: 64 << 10,
    open: () => (input) =>
      eachOf(() => parseStatus(input, "fuzz"), () => {
        const timeline = parseTimeline(input, "fuzz");
        timelineText(timeline, { nowMs: NOW.getTime() });
        timelineSvg(timeline, { title: "fuzz", nowMs: NOW.getTime() });
      }),
  },
  {
    name: "reset-marker",
    form: "json",
    maximumBytes: 20 << 10,
    open: inFile(RESET_MARKER_FILE, (folder) => readResetMarker(folder)),
  },
  {
    name: "cluster-record",
    form: "json",
    maximumBytes: 64 << 10,
    open: inFile("fuzz.json", async (folder) => {
      using held = await holdRecord(folder, "fuzz");
      promise(held.current !== undefined, "a record is missing");
    }),
  },
  {
    name: "service-state",
    form: "json",
    maximumBytes: 64 << 10,
    open: inFile(SERVICE_STATE_FILE, async (folder) => {
      await Deno.writeTextFile(join(folder, SERVICE_KEY_FILE), fixedPrivateKeyPem("p-256", 2));
      await readServiceState(folder, NOW);
    }),
  },
  {
    name: "staged-init",
    form: "protobuf",
    maximumBytes: 64 << 10,
    async open(read) {
      const clusterId = await clusterIdOf(readCertificate(await read("fixtures/ca.der"), "CA"));
      const folder = await Deno.makeTempDir({ prefix: "fuzz-" });
      addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
      await Deno.mkdir(join(folder, "init"));
      const files = ["ca.crt", "ca.key", "request.bin", "founding.bin"].map((name) => join(folder, "init", name));
      return async (input) => {
        const parts = readScript(input);
        for (const [i, file] of files.entries()) await Deno.writeFile(file, parts[i] ?? new Uint8Array());
        await new StagedInitFolder(folder).read(clusterId);
      };
    },
  },
  {
    name: "kubeconfig",
    form: "text",
    maximumBytes: 64 << 10,
    mayEndIn: ["system"],
    open: inFile("admin.conf", (_, path) => readKubeconfig(path)),
  },
  {
    name: "etcd-manifest",
    form: "text",
    maximumBytes: 64 << 10,
    open: () => (input) => parseOwnMember(input, "fuzz"),
  },
];
