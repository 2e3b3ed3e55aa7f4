/**
 * The real program with proxies in its environment: API server and nodes are called directly, by HTTP and by gRPC. The
 * proxy is a listener that must not be called.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority, issueAdminCertificate } from "../../../certificate/ca.ts";
import { generateKeyPair, privateKeyPem } from "../../../certificate/keys.ts";
import { writePem } from "../../../certificate/pem.ts";
import { kubeconfig } from "../../../kubernetes/kubeconfig.ts";
import { DENO_RUN } from "../../deno_run.ts";
import { repositoryRoot } from "../../world.ts";

const NAMES = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "GRPC_PROXY"].flatMap((name) => [name, name.toLowerCase()]);

/** A listener that ends each connection at once, and counts them. */
class Counter implements Disposable {
  connections = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor() {
    this.#serve();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      this.connections++;
      connection.close();
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

/** Runs a program to its end, with a proxy in the variables of these names. */
async function run(argv: readonly string[], names: readonly string[], proxy: Counter): Promise<void> {
  const [program = "", ...args] = argv;
  const env = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
  await new Deno.Command(program, { args, env, stdin: "null", stdout: "null", stderr: "null" }).output();
}

Deno.test("a proxy in the environment is called for neither the API server nor a node, whatever its variable", async (t) => {
  const folder = await Deno.makeTempDir();
  await using _folder = { [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
  const path = (name: string) => join(folder, name);
  const [ca, admin] = [await createCertificateAuthority(new Date()), await generateKeyPair("p-256")];
  using server = new Counter();
  const parts = {
    clusterName: "test",
    userName: "admin",
    server: `https://127.0.0.1:${server.port}`,
    caPem: writePem("CERTIFICATE", ca.certificate.der),
    certificatePem: writePem("CERTIFICATE", (await issueAdminCertificate(ca, admin.spki, new Date())).der),
    keyPem: await privateKeyPem(admin),
  };
  await Deno.writeTextFile(path("kubeconfig"), kubeconfig(parts), { mode: 0o600 });
  const operator = await privateKeyPem(await generateKeyPair("ed25519"));
  await Deno.writeTextFile(path("operator.key"), operator, { mode: 0o600 });
  await Deno.writeTextFile(path("policy.yaml"), "{version: 1, variant: none}\n");
  const main = [...DENO_RUN, join(repositoryRoot, "main.ts")];
  const calls = {
    "HTTP to the API server": [...main, "nodes", "--kubeconfig", path("kubeconfig")],
    "gRPC to a node": [
      ...[...main, "verify", "--node", `127.0.0.1:${server.port}`, "--name", "test"],
      ...["--key", path("operator.key"), "--policy", path("policy.yaml")],
    ],
  };
  await t.step("Deno itself would call it", async () => {
    using proxy = new Counter();
    const script = `await fetch("https://127.0.0.1:${server.port}").catch(() => {})`;
    await run([Deno.execPath(), "eval", script], ["HTTPS_PROXY"], proxy);
    assert.ok(proxy.connections > 0);
  });
  for (const [what, argv] of Object.entries(calls)) {
    for (const names of [...NAMES.map((name) => [name]), NAMES]) {
      await t.step(`${what}: ${names.length > 1 ? "all variables" : names.join()}`, async () => {
        using proxy = new Counter();
        const before = server.connections;
        await run(argv, names, proxy);
        assert.equal(proxy.connections, 0);
        assert.ok(server.connections > before, "nothing was called at all");
      });
    }
  }
});
