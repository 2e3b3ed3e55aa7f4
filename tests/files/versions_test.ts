/**
 * Files of every version of every format, as they were written. The texts below never change: they stand for files on
 * the disks of others. A new version adds an entry.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { readEvidenceFile } from "../../attestation/evidence_file.ts";
import { decodePledge, decodeRoster } from "../../founding/_roster_files.ts";
import { decodeCompleted, decodeStaged } from "../../founding/founder_journal.ts";
import { decodeJournal } from "../../journal/_journal_file.ts";
import { parseMeasurementRecord } from "../../node/measurement_record.ts";
import { parseMembership } from "../../node/membership.ts";
import { parseMetadata } from "../../node/metadata/metadata.ts";
import { ownSelf, SELF_FILE } from "../../node/own_self.ts";
import { parseControlPlaneRenewal } from "../../node/control_plane_renewal_record.ts";
import { parseRenewalRecord } from "../../node/renewal_record.ts";
import { readResetMarker, RESET_MARKER_FILE } from "../../node/reset_marker.ts";
import { parseStatus } from "../../node/status.ts";
import { parseTimeline } from "../../node/timeline.ts";
import { LockFile } from "../../nodelock/file.ts";
import { decodeLockRecord } from "../../nodelock/record.ts";
import { holdRecord } from "../../operator/cluster_records.ts";
import { base64, utf8 } from "../../platform/bytes.ts";
import { asBootstrapError } from "../../platform/errors.ts";
import { readFoundingFile } from "../../protocol/founding_file.ts";
import { KEPT_POLICY_FILE, KeptPolicy } from "../../service/kept_policy.ts";
import { readServiceState, SERVICE_STATE_FILE } from "../../service/service_state.ts";

const ID = "ab".repeat(32);

interface Format {
  readonly name: string;
  /** The texts of files, by version. */
  readonly versions: Readonly<Record<number, string>>;
  /** Reads a text, and returns what is in it. */
  readonly read: (text: string) => unknown;
  /** What a reader must find in the file of each version. */
  readonly has: (value: unknown) => void;
  /** A reader that needs more than the file itself is tried with later versions only. */
  readonly onlyLater?: true;
}

/** Reads a file by a reader of folders. */
async function inFolder<T>(name: string, text: string, read: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, name), text);
    return await read(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function has(part: Readonly<Record<string, unknown>>): (value: unknown) => void {
  const schema = v.looseObject({});
  return (value) => {
    const found = v.parse(schema, value);
    for (const [key, expected] of Object.entries(part)) assert.deepEqual(Reflect.get(found, key), expected, key);
  };
}

const FORMATS: readonly Format[] = [
  {
    name: "node lock",
    versions: {
      1: '{"version":1,"owner":"init","clusterId":' +
        '"sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","time":"2026-01-02T03:04:05.678Z",' +
        '"checksum":"7e79d1273ad779699087289552d722a27d2cae548fc04f069a951a7ad58e4e37"}\n',
    },
    read: (text) => decodeLockRecord(utf8(text), "it"),
    has: has({ owner: "init", time: new Date("2026-01-02T03:04:05.678Z") }),
  },
  {
    name: "founder's pledge",
    versions: {
      1: `{"version":1,"founders":[{"identity":"${ID}","name":"n1","address":"192.0.2.1:9444","certificate":"MAA="}]}\n`,
    },
    read: (text) => decodePledge(utf8(text), "it")[0],
    has: has({ identity: ID, name: "n1", address: "192.0.2.1:9444" }),
  },
  {
    name: "founders' roster",
    versions: {
      1: `{"version":1,"roster":"${ID}","pledges":[{"key":"${ID}","signature":"${"AAAA".repeat(21)}AA=="}]}\n`,
    },
    read: (text) => decodeRoster(utf8(text), "it").pledges[0],
    has: has({ key: ID }),
  },
  {
    name: "founder's staged decision",
    versions: { 1: `{"version":1,"epoch":2,"revision":"7","clusterId":"sha256:${ID}"}\n` },
    read: (text) => decodeStaged(utf8(text), "it"),
    has: has({ epoch: 2, revision: 7n, clusterId: `sha256:${ID}` }),
  },
  {
    name: "founder's completed cluster",
    versions: { 1: `{"version":1,"epoch":2,"clusterId":"sha256:${ID}","endpoints":["n1:6443"]}\n` },
    read: (text) => decodeCompleted(utf8(text), "it"),
    has: has({ epoch: 2, clusterId: `sha256:${ID}`, endpoints: ["n1:6443"] }),
  },
  {
    name: "journal",
    versions: {
      1: "bootstrapper-journal 1 f71cd8e19a5751019560d9fcdf857d9a890f07d70f9e556a14942f65f5b13bf3\n" +
        `{"head":{"owner":"join","role":"worker","clusterId":"${ID}","nodeName":"w-1"},"steps":[{"name":"join-ticket",` +
        '"attempts":1,"begun":"2026-01-01T00:00:00.000Z","done":"2026-01-01T00:00:01.000Z"}],"events":[]}\n',
    },
    read: (text) => decodeJournal(utf8(text), "it"),
    has: (value) =>
      assert.equal(v.parse(v.object({ head: v.object({ nodeName: v.string() }) }), value).head.nodeName, "w-1"),
  },
  {
    name: "status",
    versions: {
      1: '{"version":1,"updated":"2026-01-01T00:00:00.000Z","phase":"racing","clusterName":"demo","nodeName":"w-1",' +
        '"address":"192.0.2.1","role":"worker","evidence":"tpm","waitsFor":"an operator\'s init","lastRefusal":{"time":' +
        '"2026-01-01T00:00:00.000Z","code":"refused/pcr-4","message":"no","retriable":false,"details":{}}}\n',
      2: '{"version":2,"updated":"2026-01-01T00:00:00.000Z","phase":"failed","failures":3,"nodeName":"w-1","error":' +
        '{"time":"2026-01-01T00:00:00.000Z","code":"system/tpm","message":"no","retriable":false,"details":{}}}\n',
      3: '{"version":3,"updated":"2026-01-01T00:00:00.000Z","phase":"racing","nodeName":"w-1","metadata":{"source":"ec2",' +
        '"name":"w-1","role":"worker"},"endpoints":[{"source":"dns:join.example.org:9444","count":1,"endpoints":' +
        '["10.77.0.11:9444"],"leftOut":2,"failure":"no answer"}]}\n',
    },
    read: (text) => parseStatus(utf8(text), "it"),
    has: has({ nodeName: "w-1" }),
  },
  {
    name: "metadata",
    versions: { 1: '{"version":1,"source":"ec2","texts":{"name":"w-1","endpoints":"10.77.0.11:9444"}}\n' },
    read: (text) => parseMetadata(utf8(text), "it"),
    has: has({ source: "ec2", texts: { name: "w-1", endpoints: "10.77.0.11:9444" } }),
  },
  {
    name: "membership",
    versions: {
      1: "2026-01-01T00:00:00.000Z\n",
      2: `{"version":2,"since":"2026-01-01T00:00:00.000Z","nodeName":"w-1","role":"worker","identity":"${ID}"}\n`,
    },
    read: (text) => parseMembership(utf8(text), "it"),
    has: has({ since: "2026-01-01T00:00:00.000Z" }),
  },
  {
    name: "timeline",
    versions: {
      1: '{"version":1,"phases":[{"name":"detect","startMs":1767225600000,"outcome":"succeeded","durationMs":12}]}\n',
    },
    read: (text) => parseTimeline(utf8(text), "it"),
    has: has({ phases: [{ name: "detect", startMs: 1767225600000, outcome: "succeeded", durationMs: 12 }] }),
  },
  {
    name: "measurement record",
    versions: {
      1: '{"version":1,"time":"2026-01-01T00:00:00.000Z","tries":2}\n',
      2: '{"version":2,"time":"2026-01-01T00:00:00.000Z","tries":2,"bootId":"00112233-4455-6677-8899-aabbccddeeff"}\n',
    },
    read: (text) => parseMeasurementRecord(utf8(text), "it"),
    has: has({ tries: 2 }),
  },
  {
    name: "own name and address",
    versions: { 1: '{"version":1,"name":"w-1","address":"192.0.2.1"}\n' },
    read: (text) =>
      inFolder(SELF_FILE, text, async (state) => {
        await Deno.writeTextFile(new LockFile(state).path, "locked");
        const machine = { hostName: "localhost", addresses: [], defaultRouteInterfaces: [] };
        return await ownSelf({
          configuration: { node: { role: "worker" } },
          machine,
          paths: { state, kubelet: state },
        });
      }),
    has: has({ name: "w-1", address: "192.0.2.1" }),
  },
  {
    name: "renewal record",
    versions: {
      1: '{"version":1,"joinEndpoints":["192.0.2.1:9444"],"client":{"notBefore":"2026-01-01T00:00:00.000Z","notAfter":' +
        '"2026-01-08T00:00:00.000Z"},"serving":{"notBefore":"2026-01-01T00:00:00.000Z","notAfter":' +
        '"2026-01-08T00:00:00.000Z"},"issuedBy":"attestation","attested":"2026-01-01T00:00:00.000Z"}\n',
    },
    read: (text) => parseRenewalRecord(utf8(text), "it"),
    has: has({ issuedBy: "attestation" }),
  },
  {
    name: "control plane's renewal record",
    versions: {
      1: '{"version":1,"seen":"2026-01-01T00:00:00.000Z","until":"2027-01-01T00:00:00.000Z","renewedAt":' +
        '"2026-01-01T00:00:00.000Z","pending":["etcd"]}\n',
    },
    read: (text) => parseControlPlaneRenewal(utf8(text), "it"),
    has: has({ until: "2027-01-01T00:00:00.000Z" }),
  },
  {
    name: "reset marker",
    versions: { 1: '{"version":1,"startedAt":"2026-01-01T00:00:00Z","etcdPeers":["https://192.0.2.1:2379"]}\n' },
    read: (text) => inFolder(RESET_MARKER_FILE, text, readResetMarker),
    has: has({ etcdPeers: ["https://192.0.2.1:2379"] }),
  },
  {
    name: "operator's record of a cluster",
    versions: {
      1: `{"version":1,"clusterName":"demo","state":"founded","clusterId":"${ID}","identity":"${ID}","operationId":` +
        `"${"0".repeat(32)}","operatorKey":"00","clusterDocument":"","policyDocument":"","adminKeyPem":"",` +
        '"time":"2026-01-01T00:00:00.000Z"}\n',
    },
    read: (text) =>
      inFolder("demo.json", text, async (folder) => {
        using held = await holdRecord(folder, "demo");
        return held.current;
      }),
    has: has({ state: "founded" }),
  },
  {
    name: "kept policy",
    versions: { 1: `{"version":1,"clusterId":"${ID}","policyDocument":"version: 1\\n"}\n` },
    read: async (text) => ({
      text: await inFolder(
        KEPT_POLICY_FILE,
        text,
        (folder) => new KeptPolicy(folder, new Uint8Array(32).fill(0xab)).read(),
      ),
    }),
    has: has({ text: "version: 1\n" }),
  },
  {
    name: "join service's state",
    versions: { 1: '{"version":1}\n', 2: '{"version":2}\n' },
    read: (text) => inFolder(SERVICE_STATE_FILE, text, (folder) => readServiceState(folder, new Date(0))),
    has: () => {},
    onlyLater: true,
  },
  {
    name: "founding file",
    versions: {
      1: `{"kind":"bootstrapper founding","version":1,"clusterName":"demo","clusterId":"sha256:${ID}","operatorKey":` +
        '"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIApKz0AB3e/kZrLjFfmIy9S2TKOV8mxoXf9dnrOXsmPv","signature":"AA=="}\n',
    },
    read: (text) => readFoundingFile(utf8(text), "it"),
    has: has({ clusterName: "demo" }),
  },
  {
    name: "evidence file",
    versions: {
      1: `{"kind":"bootstrapper evidence","version":1,"nonce":"${base64(new Uint8Array(32))}",` +
        '"evidence":[{"variant":"none","payload":"AA=="}]}\n',
    },
    read: (text) => readEvidenceFile(utf8(text), "it"),
    has: (value) => assert.ok(typeof value === "object" && value !== null && "evidence" in value),
  },
];

for (const { name, versions, read, has, onlyLater } of FORMATS) {
  const known = Object.keys(versions).map(Number);
  const newest = Math.max(...known);

  if (onlyLater !== true) {
    Deno.test(`${name}: a file of each version is read`, async () => {
      for (const version of known) has(await read(versions[version] ?? ""));
    });
  }

  Deno.test(`${name}: a later version is said to be a newer program's, and never to be damaged`, async () => {
    const later = laterVersion(name, newest + 1);
    const error = asBootstrapError(
      await Promise.resolve().then(() => read(later)).then(() => undefined, (cause) => cause),
    );
    assert.match(error.message, new RegExp(`seen ${newest + 1}: a newer program wrote it`));
    assert.match(error.next, /^Use the newer program/);
    assert.doesNotMatch(error.next, /rebuild|anew from its image|reset/);
    assert.equal(error.retriable, false);
  });
}

/** A file of a later version, with keys that this program does not know and without those that it does. */
function laterVersion(name: string, version: number): string {
  const document = JSON.stringify({ version, everything: "is different", more: "x".repeat(2000) });
  return name === "journal" ? `bootstrapper-journal ${version} and another head\n${document}\n` : `${document}\n`;
}
