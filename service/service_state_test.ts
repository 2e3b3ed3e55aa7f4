import assert from "node:assert/strict";
import { join } from "node:path";
import { createFounding } from "../protocol/founding.ts";
import { createCertificateAuthority, issueServiceCertificate } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import type { ServiceState } from "./service_state.ts";
import {
  readServiceListen,
  readServiceState,
  SERVICE_KEY_FILE,
  SERVICE_LISTEN_FILE,
  SERVICE_PROVES_FILE,
  SERVICE_STATE_FILE,
  writeServiceState,
} from "./service_state.ts";

async function newState(): Promise<ServiceState> {
  const now = new Date();
  const ca = await createCertificateAuthority(now);
  const clusterId = await clusterIdOf(ca.certificate);
  const operator = await generateKeyPair("ed25519");
  const keys = await generateKeyPair("p-256");
  return {
    keys,
    certificate: (await issueServiceCertificate(ca, "cp-1", keys.spki, now)).der,
    caCertificate: ca.certificate.der,
    foundings: [await createFounding(operator, clusterId, "test")],
    trust: { clusterName: "test", clusterId, operatorKeys: [operator.spki] },
    policyDocument: "version: 1\nvariant: none\n",
    clusterDocument: "kubernetesVersion: v1.36.3\n",
    listen: "0.0.0.0:9444",
    apiServer: "https://192.0.2.1:6443",
    apiEndpoints: ["192.0.2.1:6443"],
    joinEndpoints: ["192.0.2.1:9444"],
  };
}

const withoutKey = ({ keys, ...rest }: ServiceState) => ({ ...rest, spki: keys.spki });

async function inFolder(use: (folder: string, state: ServiceState) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  const folder = join(parent, "join-service");
  const state = await newState();
  await writeServiceState(folder, state);
  await use(folder, state).finally(() => Deno.remove(parent, { recursive: true }));
}

Deno.test("readServiceState() returns what writeServiceState() wrote, also the second time and with the key elsewhere", () =>
  inFolder(async (folder, state) => {
    assert.deepEqual(withoutKey(await readServiceState(folder, new Date())), withoutKey(state));
    const next = await newState();
    await writeServiceState(folder, next);
    const keyPath = join(folder, "credential");
    await Deno.rename(join(folder, SERVICE_KEY_FILE), keyPath);
    assert.deepEqual(withoutKey(await readServiceState(folder, new Date(), keyPath)), withoutKey(next));
  }));

Deno.test("readServiceState() returns a founding among equals, and the prover's unit starts only where evidence is shown", () =>
  inFolder(async (folder, state) => {
    const proves = () => Deno.stat(join(folder, SERVICE_PROVES_FILE)).then(() => true, () => false);
    const founding = (policyDigest: Uint8Array) => ({ size: 3, policyDigest, tokenKey: new Uint8Array(44).fill(2) });
    const [policy, none] = [new Uint8Array(32).fill(1), new Uint8Array()];
    assert.equal(await proves(), false);
    for (const [digest, isShown] of [[policy, true], [none, false], [policy, true]] as const) {
      const next = {
        ...state,
        trust: { ...state.trust, founding: founding(digest) },
        tokenFounding: new Uint8Array(64),
      };
      await writeServiceState(folder, next);
      assert.deepEqual(withoutKey(await readServiceState(folder, new Date())), withoutKey(next));
      assert.equal(await proves(), isShown);
      // An earlier program, which would serve without it, refuses it.
      assert.equal(JSON.parse(await Deno.readTextFile(join(folder, SERVICE_STATE_FILE))).version, 2);
    }
    await writeServiceState(folder, state);
    assert.equal(await proves(), false);
    assert.equal(JSON.parse(await Deno.readTextFile(join(folder, SERVICE_STATE_FILE))).version, 1);
  }));

Deno.test("readServiceListen() reads nothing but the address, and refuses what is none", () =>
  inFolder(async (folder) => {
    await Deno.remove(join(folder, SERVICE_STATE_FILE));
    assert.deepEqual(await readServiceListen(folder), { host: "0.0.0.0", port: 9444 });
    await Deno.writeTextFile(join(folder, SERVICE_LISTEN_FILE), "localhost:9444\n");
    await assert.rejects(readServiceListen(folder), { code: "usage/endpoint" });
  }));

Deno.test("writeServiceState() lets only root read the key, and puts no secret into the document", () =>
  inFolder(async (folder, { keys }) => {
    const mode = (name: string) => (Deno.statSync(join(folder, name)).mode ?? 0) & 0o777;
    assert.equal(mode(SERVICE_KEY_FILE), 0o600);
    assert.equal(mode(SERVICE_STATE_FILE), 0o644);
    const document = await Deno.readTextFile(join(folder, SERVICE_STATE_FILE));
    const [, body = ""] = (await privateKeyPem(keys)).split("\n");
    assert.ok(!document.includes("PRIVATE") && !document.includes(body));
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "listen",
      "service.key",
      "state.json",
    ]);
  }));

Deno.test("readServiceState() refuses parts that do not belong together, and names them", () =>
  inFolder(async (folder) => {
    const read = () => readServiceState(folder, new Date());
    const path = join(folder, SERVICE_STATE_FILE);
    const original = JSON.parse(await Deno.readTextFile(path));
    const otherFolder = join(folder, "other");
    await writeServiceState(otherFolder, await newState());
    const other = JSON.parse(await Deno.readTextFile(join(otherFolder, SERVICE_STATE_FILE)));
    const cases: readonly (readonly [Record<string, unknown>, string])[] = [
      [{ caCertificate: other.caCertificate }, "refused/certificate-signature"],
      [{ certificate: original.caCertificate }, "refused/certificate-subject"],
      [{ foundings: other.foundings }, "refused/founding-operator"],
      [{ clusterName: "prod" }, "refused/signature"],
      [{ operatorKeys: other.operatorKeys }, "refused/founding-operator"],
      [{ version: 3 }, "malformed/service-state"],
      [{ version: 2, founding: { size: 8, policyDigest: "", tokenKey: "" } }, "malformed/service-state"],
      [{ apiEndpoints: [] }, "malformed/service-state"],
      [{ surprise: 1 }, "malformed/service-state"],
    ];
    for (const [changes, code] of cases) {
      await Deno.writeTextFile(path, JSON.stringify({ ...original, ...changes }));
      await assert.rejects(read(), { code }, JSON.stringify(Object.keys(changes)));
    }
    await Deno.writeTextFile(path, JSON.stringify(original).slice(0, -9));
    await assert.rejects(read(), { code: "malformed/service-state" });
    await Deno.writeTextFile(path, JSON.stringify(original));
    await Deno.copyFile(join(otherFolder, SERVICE_KEY_FILE), join(folder, SERVICE_KEY_FILE));
    await assert.rejects(read(), { code: "precondition/service-key" });
    await Deno.remove(path);
    await assert.rejects(read(), { code: "system/file" });
  }));
