/**
 * Attacks on the program's calls to an API server, by the environment that it is started in: further CAs, and proxies.
 * The program runs as a process, from its sources and as the compiled binary.
 *
 * @module
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { issueAdminCertificate } from "../../../certificate/ca.ts";
import { createCertificateAuthority } from "../../../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import { writePem } from "../../../certificate/pem.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { closeProcessNetwork } from "../../../platform/process_network.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { compile } from "../../tools/compile.ts";
import { capture } from "../../tools/run.ts";
import { attack } from "./stopped_by.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;

/** A server that pretends to be an API server, with a certificate for 127.0.0.1 by a CA of its own. */
interface RogueServer extends AsyncDisposable {
  readonly url: string;
  /** The file of its CA's certificate, PEM. */
  readonly caFile: string;
  /** The requests that it has read. */
  readonly requests: string[];
}

async function startRogueServer(folder: string): Promise<RogueServer> {
  const path = (name: string) => join(folder, name);
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await capture([
    "openssl",
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.crt"),
    "-subj",
    "/CN=r",
  ]);
  await capture([
    ...["openssl", "req", "-x509", ...newKey, "-CA", path("ca.crt"), "-CAkey", path("ca.key")] as const,
    ...[
      "-keyout",
      path("key"),
      "-out",
      path("crt"),
      "-subj",
      "/CN=server",
      ...["basicConstraints=CA:FALSE", "subjectAltName=IP:127.0.0.1"].flatMap((one) => ["-addext", one]),
    ],
  ]);
  const requests: string[] = [];
  const [cert, key] = await Promise.all([Deno.readTextFile(path("crt")), Deno.readTextFile(path("key"))]);
  const server = createServer({ cert, key }, (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    response.writeHead(404).end("{}");
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    caFile: path("ca.crt"),
    requests,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Writes a kubeconfig for a server. Without a CA's certificate, the CA is another one than the server's. */
async function writeKubeconfig(file: string, server: string, caPem?: string): Promise<string> {
  const ca = await createCertificateAuthority(new Date());
  const keys = await generateKeyPair("p-256");
  const certificatePem = writePem("CERTIFICATE", (await issueAdminCertificate(ca, keys.spki, new Date())).der);
  const names = { clusterName: "test", userName: "admin" };
  const parts = { ...names, server, certificatePem, keyPem: await privateKeyPem(keys) };
  await Deno.writeTextFile(file, kubeconfig({ ...parts, caPem: caPem ?? writePem("CERTIFICATE", ca.certificate.der) }));
  return file;
}

/** Makes the program call an API server, in an environment. Returns the code of its error. */
async function callBy(program: readonly string[], file: string, env: Record<string, string>): Promise<unknown> {
  const [command = "", ...args] = program;
  const { stdout, stderr } = await new Deno.Command(command, {
    args: [...args, "node", "remove", "n1", "--kubeconfig", file, "--yes", "--output", "json"],
    env,
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout).trim();
  assert.ok(text.startsWith("{"), text + decoder.decode(stderr));
  return JSON.parse(text).code ?? JSON.parse(text).error?.code;
}

async function withPrograms(t: Deno.TestContext, test: (program: readonly string[]) => Promise<void>): Promise<void> {
  const programs = { "from its sources": [...DENO_RUN, MAIN], compiled: [await compile()] };
  for (const [name, program] of Object.entries(programs)) await t.step(name, () => test(program));
}

const otherCas = attack("attack: an API server with a certificate of a CA of the environment", closeProcessNetwork);
Deno.test(otherCas, async (t) => {
  const folder = await Deno.makeTempDir();
  try {
    await using server = await startRogueServer(folder);
    const { caFile, requests, url } = server;
    const ownCa = await writeKubeconfig(join(folder, "own"), url, await Deno.readTextFile(caFile));
    const otherCa = await writeKubeconfig(join(folder, "other"), url);
    await withPrograms(t, async (program) => {
      requests.length = 0;
      assert.equal(await callBy(program, ownCa, {}), "precondition/no-such-node", "the attack's own machinery");
      assert.notEqual(requests.splice(0).length, 0, "the attack's own machinery");
      const environments = [
        { NODE_EXTRA_CA_CERTS: caFile },
        { DENO_CERT: caFile },
        { SSL_CERT_FILE: caFile, DENO_TLS_CA_STORE: "system" },
      ];
      for (const env of environments) {
        assert.equal(await callBy(program, otherCa, env), "unavailable/kubernetes-api-tls", JSON.stringify(env));
      }
      assert.deepEqual(requests, []);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test(attack("attack: a proxy of the environment", closeProcessNetwork), async (t) => {
  const folder = await Deno.makeTempDir();
  using proxy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let calls = 0;
  const serving = (async () => {
    for await (const connection of proxy) {
      calls++;
      connection.close();
    }
  })();
  try {
    await using server = await startRogueServer(folder);
    const file = await writeKubeconfig(join(folder, "own"), server.url, await Deno.readTextFile(server.caFile));
    const address = `http://127.0.0.1:${proxy.addr.port}`;
    await withPrograms(t, async (program) => {
      for (const name of ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"]) {
        server.requests.length = 0;
        assert.equal(await callBy(program, file, { [name]: address }), "precondition/no-such-node", name);
        assert.notEqual(server.requests.length, 0, name);
      }
      assert.equal(calls, 0);
    });
  } finally {
    proxy.close();
    await serving.catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
});
