import assert from "node:assert/strict";
import { join } from "node:path";
import { createFounding } from "../protocol/founding.ts";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair, privateKeyPem } from "../certificate/keys.ts";
import { copyOf, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { exists } from "../platform/files.ts";
import { InitRequest } from "../proto/gen/bootstrapper.ts";
import type { StagedInit } from "./staged_init.ts";
import { StagedInitFolder } from "./staged_init.ts";

const now = new Date("2030-01-02T03:04:05.678Z");
const ca = await createCertificateAuthority(now);
const clusterId = await clusterIdOf(ca.certificate);
const operator = await generateKeyPair("ed25519");
const request: InitRequest = {
  operationId: randomBytes(16),
  clusterName: "demo",
  adminKey: (await generateKeyPair("p-256")).spki,
  clusterDocument: "kubernetesVersion: v1.36.3\n",
  policyDocument: "version: 1\n",
  timeMs: 1_900_000_000_000n,
};
const staged: StagedInit = {
  ca,
  request,
  requestBytes: copyOf(InitRequest.encode(request).finish()),
  founding: await createFounding(operator, clusterId, "demo"),
};
const FILES = ["ca.crt", "ca.key", "founding.bin", "request.bin"] as const;

/** Registers a test with its own state folder. */
function folderTest(name: string, run: (init: StagedInitFolder, path: string, state: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const state = await Deno.makeTempDir({ prefix: "staged-" });
    try {
      await run(new StagedInitFolder(state), join(state, "init"), state);
    } finally {
      await Deno.remove(state, { recursive: true });
    }
  });
}

const namesIn = async (path: string) => (await Array.fromAsync(Deno.readDir(path), ({ name }) => name)).sort();
const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;

folderTest("stage() writes what read() returns, in files that only their owner can read", async (init, path) => {
  await init.stage(staged);
  const read = await init.read(clusterId);
  assert.deepEqual(read.ca.certificate.der, ca.certificate.der);
  assert.equal(await privateKeyPem(read.ca.keys), await privateKeyPem(ca.keys));
  assert.deepEqual(copyOf(read.requestBytes), staged.requestBytes);
  assert.deepEqual({ ...read.request }, request);
  assert.deepEqual({ ...read.founding }, staged.founding);
  assert.deepEqual(await namesIn(path), [...FILES]);
  assert.equal(await modeOf(path), 0o700);
  for (const name of FILES) assert.equal(await modeOf(join(path, name)), 0o600, name);
});

folderTest("stage() removes what was staged before", async (init) => {
  await init.stage(staged);
  const other = await createCertificateAuthority(now);
  await init.stage({ ...staged, ca: other });
  assert.deepEqual((await init.read(await clusterIdOf(other.certificate))).ca.certificate.der, other.certificate.der);
});

folderTest("stage() leaves no key behind when it fails", async (init, path) => {
  const failing = { ...staged, founding: { ...staged.founding, clusterId: null as unknown as Uint8Array } };
  await assert.rejects(init.stage(failing));
  assert(!await exists(path));
});

folderTest("read() refuses an init that is staged for another cluster than the lock names", async (init) => {
  await init.stage(staged);
  await assert.rejects(init.read(randomBytes(32)), { code: "precondition/staged-init" });
});

folderTest("read() refuses a key that is not the CA's", async (init, path) => {
  await init.stage(staged);
  await Deno.writeTextFile(join(path, "ca.key"), await privateKeyPem(await generateKeyPair("p-256")));
  await assert.rejects(init.read(clusterId), { code: "precondition/ca-key" });
});

folderTest("read() refuses a founding that is none", async (init, path) => {
  await init.stage(staged);
  await Deno.writeFile(join(path, "founding.bin"), Uint8Array.of(0xff));
  await assert.rejects(init.read(clusterId), { code: "malformed/staged-init" });
});

folderTest(
  "read() names a missing file, and throws only a BootstrapError for a torn one",
  async (init, path) => {
    for (const name of FILES) {
      await init.stage(staged);
      const file = join(path, name);
      const bytes = await Deno.readFile(file);
      for (let length = 0; length < bytes.length - 1; length += 13) {
        await Deno.writeFile(file, bytes.subarray(0, length));
        // A torn founding may lose fields without being malformed. The code that uses it checks it.
        const read = await init.read(clusterId).then(() => undefined, (error: unknown) => error);
        if (name !== "founding.bin") assert(read instanceof BootstrapError, `${name} cut to ${length}: ${read}`);
        else assert(read === undefined || read instanceof BootstrapError, `${name} cut to ${length}: ${read}`);
      }
      await Deno.remove(file);
      await assert.rejects(init.read(clusterId), { code: "system/file", message: new RegExp(name) });
    }
  },
);

folderTest("discard() removes everything, and succeeds when nothing is there", async (init, path) => {
  await init.stage(staged);
  await init.discard();
  await init.discard();
  assert(!await exists(path));
});

folderTest("forgetKey() removes this copy of the CA's key, and can be repeated", async (init, path) => {
  await init.stage(staged);
  await init.forgetKey();
  await init.forgetKey();
  assert.deepEqual(await namesIn(path), FILES.filter((name) => name !== "ca.key"));
});
