import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import { parse, stringify } from "yaml";
import { BootstrapError } from "../platform/errors.ts";
import { kubeconfig, readKubeconfig } from "./kubeconfig.ts";

const credentials = {
  server: "https://10.0.0.1:6443",
  caPem: "-----BEGIN CERTIFICATE-----\nQ0E=\n-----END CERTIFICATE-----\n",
  certificatePem: "-----BEGIN CERTIFICATE-----\nQ0w=\n-----END CERTIFICATE-----\n",
  keyPem: "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n",
};
const text = kubeconfig({ ...credentials, clusterName: "blue", userName: "admin" });

async function readText(content: string | Uint8Array): Promise<unknown> {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "config");
    await (typeof content === "string" ? Deno.writeTextFile(path, content) : Deno.writeFile(path, content));
    return await readKubeconfig(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readKubeconfig() reads the result of kubeconfig()", async () => {
  assert.deepEqual(await readText(text), credentials);
  assert.equal(parse(text)["current-context"], "admin@blue");
});

Deno.test("readKubeconfig() reads certificate and key from one file, as the kubelet keeps them", async () => {
  const folder = await Deno.makeTempDir();
  const config = parse(text);
  config.users[0].user = { "client-certificate": "pki/current.pem", "client-key": "pki/current.pem" };
  await Deno.mkdir(join(folder, "pki"));
  await Deno.writeTextFile(join(folder, "pki/current.pem"), credentials.certificatePem + credentials.keyPem);
  await Deno.writeTextFile(join(folder, "kubelet.conf"), stringify(config));
  assert.deepEqual(await readKubeconfig(join(folder, "kubelet.conf")), credentials);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("readKubeconfig() names the field when something is missing or wrong", async () => {
  const broken: readonly (readonly [(config: ReturnType<typeof parse>) => void, string])[] = [
    [(config) => delete config["current-context"], "current-context"],
    [(config) => config["current-context"] = "other", "other"],
    [(config) => config.contexts[0].context.user = "nobody", "nobody"],
    [(config) => delete config.users[0].user["client-key-data"], "client-key-data"],
    [(config) => delete config.clusters[0].cluster.server, "clusters.0.cluster.server"],
  ];
  for (const [breakIt, field] of broken) {
    const config = parse(text);
    breakIt(config);
    await assert.rejects(readText(stringify(config)), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/kubeconfig", String(error));
      assert.equal(error.details.field, field);
      return true;
    });
  }
});

Deno.test("readKubeconfig() never shows a key in its error when the file is cut or damaged", async () => {
  const bytes = new TextEncoder().encode(text);
  const secret = btoa(credentials.keyPem);
  const check = async (content: Uint8Array) => {
    try {
      await readText(content);
    } catch (error) {
      assert.ok(error instanceof BootstrapError, String(error));
      assert.ok(!`${error.message} ${JSON.stringify(error.details)} ${error.cause}`.includes(secret.slice(0, 16)));
    }
  };
  for (let length = 0; length < bytes.length; length += 7) await check(bytes.slice(0, length));
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (index, flip) => {
      const damaged = bytes.slice();
      damaged[index] = (damaged[index] ?? 0) ^ flip;
      await check(damaged);
    }),
  );
});

Deno.test("readKubeconfig() refuses an empty certificate or key, as left by a power cut", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "config");
    for (const field of ["certificatePem", "keyPem"] as const) {
      await Deno.writeTextFile(path, kubeconfig({ ...credentials, [field]: "\n", clusterName: "c", userName: "u" }));
      await assert.rejects(readKubeconfig(path), { code: "malformed/kubeconfig" });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readKubeconfig() says what a file is that is no kubeconfig, and which field is missing or of another form", async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["version: 1\nvariant: tpm\n", /config: this is a policy; a kubeconfig is expected$/],
    ["version: 1\ntrust: {}\n", /config: this is a node's configuration; a kubeconfig is expected$/],
    ["apiVersion: v1\nkind: Secret\n", /this is the Kubernetes object Secret; a kubeconfig is expected$/],
    ["-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n", /this is a PEM file; a kubeconfig is expected$/],
    ["apiVersion: v1\nkind: Config\n", /"clusters" is missing$/],
    ["SECRET", /config: it has no keys$/],
    ["", /config: it has no keys$/],
    ["a: [", /config: it is not YAML$/],
    [text.replace(/^clusters:[^]*?(?=^users:)/m, "clusters: {}\n"), /"clusters\.?.*" must be a list$/],
    [text.replace(/server: .*/, "server: 5"), /"clusters\.0\.cluster\.server" must be a text$/],
  ];
  for (const [content, message] of cases) {
    await assert.rejects(readText(content), (error: unknown) => {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/kubeconfig", String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
