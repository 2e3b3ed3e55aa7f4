/**
 * What one ticket costs: requests to the API server, and signatures and verifications by whom. The numbers are printed.
 * A change that makes a ticket dearer changes this test.
 */
import assert from "node:assert/strict";
import type { KeyPair } from "../../certificate/keys.ts";
import { AdmissionRecords } from "../../kubernetes/admission_records.ts";
import { currentEpoch } from "../../kubernetes/epochs.ts";
import { checkNotBeingRemoved } from "../../kubernetes/removal_requests.ts";
import { MemoryApi } from "../../kubernetes/testing/memory_api.ts";
import { hex } from "../../platform/bytes.ts";
import { ask, newNode, newNodeKeys, TestCluster } from "./join_world.ts";

type Counts = Record<string, number>;

const METHODS = { find: "GET", get: "GET", create: "POST", replace: "PUT", apply: "PATCH", remove: "DELETE" } as const;

/** An API server in memory that counts requests by method and collection. */
function countingApi(counts: Counts): MemoryApi {
  return new Proxy(new MemoryApi(), {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function" || !(name in METHODS)) return value;
      return (path: string, ...rest: unknown[]) => {
        const [, collection = "?"] = /\/(nodes|configmaps|nodeadmissions|nodeevidences)(?:\/|\?|$)/.exec(path) ?? [];
        const status = path.endsWith("/status") ? "/status" : "";
        note(counts, `${METHODS[name as keyof typeof METHODS]} ${collection}${status}`);
        return Reflect.apply(value, target, [path, ...rest]);
      };
    },
  });
}

function note(counts: Counts, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function print(what: string, counts: Counts): void {
  const parts = Object.entries(counts).map(([name, count]) => `${count} ${name}`).toSorted();
  // deno-lint-ignore no-console
  console.log(`${what}: ${total(counts)} (${parts.join(", ")})`);
}

Deno.test("a ticket costs the API server a bounded number of requests", async () => {
  const counts: Counts = {};
  const api = countingApi(counts);
  await using cluster = await TestCluster.create({
    service: {
      admissions: new AdmissionRecords(api),
      checkNotRemoved: (nodeName) => checkNotBeingRemoved(api, nodeName),
      currentEpoch: () => currentEpoch(api),
    },
  });
  const { identity, ...keys } = await newNodeKeys();
  const costOf = async (what: string, changes: Parameters<typeof newNode>[1]): Promise<Counts> => {
    const node = await newNode(cluster.trust, changes);
    for (const name of Object.keys(counts)) delete counts[name];
    await ask(cluster.port, node);
    print(`requests to the API server for ${what}`, counts);
    return { ...counts };
  };
  const first = await costOf("a first ticket", { keys: { ...keys, identity } });
  const again = await costOf("the same ticket again", { keys: { ...keys, identity } });
  const renewal = await costOf("a renewal", { keys: { ...await newNodeKeys(), identity }, purpose: "renew" });
  // The record, the name, the address and the evidence are created; the certificates are one update of the status.
  const created = Object.fromEntries(Object.entries(first).filter(([what]) => what.startsWith("POST")));
  assert.deepEqual(created, { "POST configmaps": 2, "POST nodeadmissions": 1 });
  assert.equal(first["PUT nodeadmissions/status"], 1);
  assert.equal(renewal["POST nodeadmissions"], undefined);
  for (const [cost, most] of [[first, 12], [again, 10], [renewal, 10]] as const) assert.ok(total(cost) <= most);
});

/** Counts signatures by, and verifications with, these keys while `work` runs. */
async function countingKeys(keys: Readonly<Record<string, KeyPair>>, work: () => Promise<void>): Promise<Counts> {
  const counts: Counts = {};
  const signers = new Map(Object.entries(keys).map(([name, { privateKey }]) => [privateKey, name]));
  const names = new Map(Object.entries(keys).map(([name, { spki }]) => [hex(spki), name]));
  const imported = new Map<unknown, string>();
  const { subtle } = crypto;
  const { importKey, sign, verify } = subtle;
  const replaced = {
    async importKey(...all: unknown[]): Promise<unknown> {
      const key: unknown = await Reflect.apply(importKey, subtle, all);
      const [format, data] = all;
      const name = format === "spki" && data instanceof Uint8Array ? names.get(hex(data)) : undefined;
      if (name !== undefined) imported.set(key, name);
      return key;
    },
    sign(...all: unknown[]): unknown {
      const name = signers.get(all[1] as CryptoKey);
      if (name !== undefined) note(counts, `signatures by ${name}`);
      return Reflect.apply(sign, subtle, all);
    },
    verify(...all: unknown[]): unknown {
      const name = imported.get(all[1]);
      if (name !== undefined) note(counts, `verifications of ${name}`);
      return Reflect.apply(verify, subtle, all);
    },
  };
  for (const [name, value] of Object.entries(replaced)) {
    Object.defineProperty(subtle, name, { value, configurable: true, writable: true });
  }
  try {
    await work();
  } finally {
    for (const name of Object.keys(replaced)) Reflect.deleteProperty(subtle, name);
  }
  return counts;
}

Deno.test("a ticket costs each side so many signatures and verifications", async () => {
  await using cluster = await TestCluster.create();
  const keys = await newNodeKeys();
  const node = await newNode(cluster.trust, { keys });
  const counts = await countingKeys({
    ...{ "K_c": keys.node, "K_s": keys.serving, "the identity key": keys.identity },
    ...{ "the operator": cluster.operator, "the service": cluster.service.identity.keys, "the CA": cluster.ca.keys },
  }, async () => {
    await ask(cluster.port, node);
  });
  const [ofNode, ofCluster] = [["K_c", "K_s", "the identity key"], ["the operator", "the service", "the CA"]];
  const select = (verb: string, names: readonly string[]) =>
    Object.fromEntries(
      Object.entries(counts).filter(([what]) => what.startsWith(verb) && names.some((name) => what.endsWith(name))),
    );
  print("the node makes", select("signatures", ofNode));
  print("the node makes", select("verifications", ofCluster));
  print("the service makes", select("signatures", ofCluster));
  print("the service makes", select("verifications", ofNode));
  assert.deepEqual(counts, {
    // The request and a CSR; a CSR; the request. K_c's own CSR is named by the request that it signs.
    ...{ "signatures by K_c": 2, "signatures by K_s": 1, "signatures by the identity key": 1 },
    ...{ "verifications of K_c": 1, "verifications of K_s": 1, "verifications of the identity key": 1 },
    // The proposal and the ticket; both certificates.
    ...{ "signatures by the service": 2, "signatures by the CA": 2 },
    // The CA itself, the service's certificate, both certificates; the founding.
    ...{ "verifications of the CA": 4, "verifications of the operator": 1, "verifications of the service": 2 },
  });
});
