import { NONE } from "../attestation/kinds/none/kind.ts";
import { TPM } from "../attestation/kinds/tpm/kind.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { stringify } from "yaml";
import { trustDigest } from "../protocol/transcript.ts";
import { writePem } from "../certificate/pem.ts";
import { operatorKeyLine, readOperatorKey } from "../certificate/operator_key.ts";
import { concat, fromHex, hex } from "../platform/bytes.ts";
import { sourceText } from "../platform/endpoint_source.ts";
import { BootstrapError } from "../platform/errors.ts";
import { initListen, readNodeConfiguration } from "./configuration.ts";

function spki(seed: number): Uint8Array {
  return concat(fromHex("302a300506032b6570032100", "prefix"), new Uint8Array(32).fill(seed));
}

const line = (seed: number) => operatorKeyLine(spki(seed), `operator ${seed}`);
const pem = (seed: number) => writePem("PUBLIC KEY", spki(seed));
const clusterId = `sha256:${"ab".repeat(32)}`;
const trust = { clusterName: "demo", operatorKeys: [line(1)] };
const join_ = { endpoints: ["10.77.0.11:9444"] };

type Document = Readonly<Record<string, unknown>>;
const read = (document: Document) => readNodeConfiguration(stringify(document), "the configuration");

function failure(document: Document): BootstrapError {
  try {
    read(document);
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    assert.ok(error.code === "usage/document" || error.code === "usage/configuration", error.code);
    return error;
  }
  throw new assert.AssertionError({ message: `accepted: ${stringify(document)}` });
}

const NAMES = ["dns:Join.example:9444", "srv:_bootstrapper._tcp.Example.org"];

Deno.test("readNodeConfiguration() fills in the defaults when only the trust part is given", () => {
  assert.deepEqual(read({ version: 1, trust }), {
    trust: {
      ...{ clusterName: "demo", clusterId: new Uint8Array(0), operatorKeys: [readOperatorKey(line(1), "key")] },
      ...{ variants: ["tpm"], switches: [] },
    },
    node: { role: "worker" },
    evidence: { kinds: [TPM], ekType: "rsa2048" },
    init: { enabled: true },
    join: { endpoints: [] },
    allowUnmeasuredImage: false,
  });
});

Deno.test("readNodeConfiguration() gives every value when all are set", () => {
  const configuration = read({
    version: 1,
    trust: { clusterName: "demo", operatorKeys: [line(1), pem(2)] },
    node: { name: "one", address: "fd00::2", role: "control-plane" },
    evidence: { variant: "tpm", ekType: "ecc-p384" },
    init: { enabled: true, listen: "[::]:1234" },
    join: { endpoints: ["10.77.0.11:9444", "[fd00::1]:9444", "control-plane.example:9444", ...NAMES] },
    allowUnmeasuredImage: true,
  });
  assert.deepEqual(configuration.trust.operatorKeys.map(hex), [hex(spki(1)), hex(spki(2))]);
  assert.deepEqual(configuration.node, { name: "one", address: "fd00::2", role: "control-plane" });
  assert.deepEqual(configuration.evidence, { kinds: [TPM], ekType: "ecc-p384" });
  assert.deepEqual(configuration.init, { enabled: true, listen: { host: "::", port: 1234 } });
  assert.deepEqual(configuration.join.endpoints.map(sourceText), [
    "10.77.0.11:9444",
    "[fd00::1]:9444",
    "control-plane.example:9444",
    "dns:join.example:9444",
    "srv:_bootstrapper._tcp.example.org",
  ]);
  assert.equal(configuration.allowUnmeasuredImage, true);
  assert.deepEqual(configuration.trust.switches, ["allowUnmeasuredImage"]);
});

Deno.test("readNodeConfiguration() runs no InitServer when the cluster ID is known", () => {
  const configuration = read({ version: 1, trust: { ...trust, clusterId }, join: join_ });
  assert.equal(configuration.init.enabled, false);
  assert.equal(hex(configuration.trust.clusterId), "ab".repeat(32));
});

Deno.test("readNodeConfiguration() names the path and the nearest key when a key is unknown", () => {
  const cases: readonly [Document, string, string][] = [
    [{ version: 1, trust, nod: {} }, "nod", "node"],
    [{ version: 1, trust: { ...trust, operatorKey: [] } }, "trust.operatorKey", "operatorKeys"],
    [{ version: 1, trust: { ...trust, clusterid: clusterId } }, "trust.clusterid", "clusterId"],
    [{ version: 1, trust, node: { adress: "10.0.0.1" } }, "node.adress", "address"],
    [{ version: 1, trust, evidence: { ektype: "rsa2048" } }, "evidence.ektype", "ekType"],
    [{ version: 1, trust, init: { enable: true } }, "init.enable", "enabled"],
    [{ version: 1, trust, join: { endpoint: [] } }, "join.endpoint", "endpoints"],
    [{ version: 1, trust, allowUnmeasured: true }, "allowUnmeasured", "allowUnmeasuredImage"],
  ];
  for (const [document, key, nearest] of cases) {
    const error = failure(document);
    assert.equal(error.details["key"], key);
    assert.ok(error.message.includes(`"${nearest}"`), error.message);
  }
});

Deno.test("readNodeConfiguration() names the path when a value is wrong", () => {
  const wrong: readonly [Document, string][] = [
    [{ trust }, "version"],
    [{ version: 2, trust }, "version"],
    [{ version: 1 }, "trust"],
    [{ version: 1, trust: { operatorKeys: [line(1)] } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, clusterName: 7 } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, clusterName: "Demo" } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, clusterName: "a".repeat(64) } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, clusterName: "-a" } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, clusterName: "a\n" } }, "trust.clusterName"],
    [{ version: 1, trust: { ...trust, operatorKeys: [] } }, "trust.operatorKeys"],
    [{ version: 1, trust: { ...trust, operatorKeys: line(1) } }, "trust.operatorKeys"],
    [{ version: 1, trust: { ...trust, operatorKeys: [line(1), "ssh-rsa AAAA"] } }, "trust.operatorKeys[1]"],
    [{ version: 1, trust: { ...trust, operatorKeys: [line(1), line(2), pem(1)] } }, "trust.operatorKeys[2]"],
    [{ version: 1, trust: { ...trust, clusterId: "ab".repeat(32) }, join: join_ }, "trust.clusterId"],
    [{ version: 1, trust: { ...trust, clusterId: "" }, join: join_ }, "trust.clusterId"],
    [{ version: 1, trust, node: { name: "a..b" } }, "node.name"],
    [{ version: 1, trust, node: { address: "localhost" } }, "node.address"],
    [{ version: 1, trust, node: { address: "127.0.0.1" } }, "node.address"],
    [{ version: 1, trust, node: { address: "fe80::1%eth0" } }, "node.address"],
    [{ version: 1, trust, node: { role: "master" } }, "node.role"],
    [{ version: 1, trust, evidence: { variant: "sgx" } }, "evidence.variant"],
    [{ version: 1, trust, evidence: { ekType: "rsa4096" } }, "evidence.ekType"],
    [{ version: 1, trust, init: { enabled: "yes" } }, "init.enabled"],
    [{ version: 1, trust, init: { listen: 9443 } }, "init.listen"],
    [{ version: 1, trust, init: { listen: "localhost:9443" } }, "init.listen"],
    [{ version: 1, trust, init: { listen: "0.0.0.0" } }, "init.listen"],
    [{ version: 1, trust, join: { endpoints: ["10.0.0.1"] } }, "join.endpoints[0]"],
    [{ version: 1, trust, join: { endpoints: ["10.0.0.1:0"] } }, "join.endpoints[0]"],
    [{ version: 1, trust, join: { endpoints: ["a:1", "b:1", "A:1"] } }, "join.endpoints[2]"],
    [{ version: 1, trust, allowUnmeasuredImage: "true" }, "allowUnmeasuredImage"],
  ];
  for (const [document, key] of wrong) assert.equal(failure(document).details["key"], key, stringify(document));
});

Deno.test("readNodeConfiguration() refuses combinations when they are impossible", () => {
  const known = { ...trust, clusterId };
  const impossible: readonly [Document, string][] = [
    [{ version: 1, trust: known, join: join_, init: { enabled: true } }, "init.enabled"],
    [{ version: 1, trust: known, join: join_, init: { listen: "0.0.0.0:9443" } }, "init.listen"],
    [{ version: 1, trust, join: join_, init: { enabled: false, listen: "0.0.0.0:9443" } }, "init.listen"],
    [{ version: 1, trust: known }, "join.endpoints"],
    [{ version: 1, trust, init: { enabled: false } }, "join.endpoints"],
    [{ version: 1, trust, evidence: { variant: "none" } }, "evidence.allowInsecure"],
    [{ version: 1, trust, evidence: { variant: "none", allowInsecure: false } }, "evidence.allowInsecure"],
    [{ version: 1, trust, evidence: { allowInsecure: true } }, "evidence.allowInsecure"],
    [{ version: 1, trust, evidence: { variant: "none", allowInsecure: true, ekType: "rsa2048" } }, "evidence.ekType"],
    [{
      version: 1,
      trust: known,
      join: join_,
      node: { role: "control-plane" },
      evidence: { variant: "none", allowInsecure: true },
    }, "node.role"],
  ];
  for (const [document, key] of impossible) {
    const error = failure(document);
    assert.equal(error.code, "usage/configuration");
    assert.equal(error.details["key"], key, stringify(document));
  }
});

Deno.test("readNodeConfiguration() accepts the variant none when allowInsecure is set too", () => {
  const { evidence } = read({ version: 1, trust, evidence: { variant: "none", allowInsecure: true } });
  assert.deepEqual(evidence.kinds, [NONE]);
});

Deno.test("readNodeConfiguration() throws only usage errors whatever the text is", () => {
  const check = (text: string) => {
    try {
      readNodeConfiguration(text, "it");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code.startsWith("usage/"), String(error));
    }
  };
  fc.assert(fc.property(fc.string({ unit: "binary" }), check));
  fc.assert(fc.property(fc.json(), check));
  const valid = stringify({ version: 1, trust: { ...trust, clusterId }, join: join_ });
  fc.assert(fc.property(fc.nat(valid.length), (length) => check(valid.slice(0, length))));
  fc.assert(fc.property(fc.nat(valid.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, letter) => {
    check(valid.slice(0, at) + letter + valid.slice(at + 1));
  }));
});

Deno.test("readNodeConfiguration() gives the same trust digest when keys are written in another order or form", async () => {
  const seeds = fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 6 });
  await fc.assert(fc.asyncProperty(seeds, fc.infiniteStream(fc.boolean()), async (keys, forms) => {
    const written = keys.map((seed) => forms.next().value === true ? line(seed) : pem(seed));
    const digest = async (operatorKeys: readonly string[]) =>
      hex(await trustDigest(read({ version: 1, trust: { clusterName: "demo", operatorKeys } }).trust));
    assert.equal(await digest(written), await digest(keys.map(line).reverse()));
  }));
});

Deno.test("readNodeConfiguration() gives another trust digest for other evidence, and for each switch that weakens a check", async () => {
  const insecure = { variant: "none", allowInsecure: true };
  const documents = [{}, { evidence: { variant: ["tpm", "snp"] } }, { evidence: insecure }].flatMap((document) => [
    document,
    { ...document, allowUnmeasuredImage: true },
  ]);
  const trusts = documents.map((document) => read({ version: 1, trust, ...document }).trust);
  assert.deepEqual(trusts.map(({ variants, switches }) => [variants, switches]), [
    [["tpm"], []],
    [["tpm"], ["allowUnmeasuredImage"]],
    [["tpm", "snp"], []],
    [["tpm", "snp"], ["allowUnmeasuredImage"]],
    [["none"], ["allowInsecure"]],
    [["none"], ["allowInsecure", "allowUnmeasuredImage"]],
  ]);
  assert.equal(new Set((await Promise.all(trusts.map(trustDigest))).map(hex)).size, documents.length);
  const explicit = {
    version: 1,
    trust,
    evidence: { variant: "tpm", allowInsecure: false },
    allowUnmeasuredImage: false,
  };
  assert.deepEqual(read(explicit).trust, read({ version: 1, trust }).trust);
});

Deno.test("readNodeConfiguration() refuses an unknown key at any place", () => {
  const document = { version: 1, trust, node: {}, evidence: {}, init: {}, join: {} };
  const places = fc.constantFrom("", "trust", "node", "evidence", "init", "join");
  const unknown = fc.stringMatching(/^[a-z]{1,12}X$/);
  fc.assert(fc.property(places, unknown, (place, key) => {
    const changed: Document = place === ""
      ? { ...document, [key]: 1 }
      : { ...document, [place]: { ...Reflect.get(document, place), [key]: 1 } };
    assert.equal(failure(changed).details["key"], place === "" ? key : `${place}.${key}`);
  }));
});

for (const role of ["worker", "control-plane"]) {
  Deno.test(`readNodeConfiguration() reads the example when the node is a ${role}`, async () => {
    const path = join(import.meta.dirname ?? ".", `../deploy/node-${role}.example.yaml`);
    const configuration = readNodeConfiguration(await Deno.readTextFile(path), path);
    assert.equal(configuration.node.role, role);
    assert.equal(configuration.init.enabled, role === "control-plane");
    assert.deepEqual(configuration.evidence.kinds, [TPM]);
    assert.equal(configuration.allowUnmeasuredImage, false);
  });
}

Deno.test("initListen() is what the configuration says, and all addresses of the own address's family otherwise", () => {
  const port = 9443;
  assert.deepEqual(initListen({ enabled: true }, "192.0.2.7"), { host: "0.0.0.0", port });
  assert.deepEqual(initListen({ enabled: true }, "2001:db8::7"), { host: "::", port });
  const listen = { host: "192.0.2.7", port: 1234 };
  assert.deepEqual(initListen({ enabled: true, listen }, "2001:db8::7"), listen);
});
