import assert from "node:assert/strict";
import { join } from "node:path";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { StagedKeys } from "./staged_keys.ts";

const now = new Date("2026-11-30T12:00:00Z");

/** A founder's folder that is removed again. */
async function founderFolder() {
  const folder = await Deno.makeTempDir();
  return { folder, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test("StagedKeys gives back what was staged, for its own cluster alone, and keeps it from everybody else", async () => {
  await using place = await founderFolder();
  const staged = new StagedKeys(place.folder);
  const ca = await createCertificateAuthority(now);
  await staged.stage(ca);
  const read = await staged.read(await clusterIdOf(ca.certificate));
  assert.deepEqual(read.certificate.der, ca.certificate.der);
  const other = await clusterIdOf((await createCertificateAuthority(now)).certificate);
  await assert.rejects(staged.read(other), { code: "precondition/staged-init" });
  const folder = join(place.folder, "staged");
  for await (const { name } of Deno.readDir(folder)) {
    assert.equal(((await Deno.stat(join(folder, name))).mode ?? 0) & 0o077, 0, name);
  }
  await staged.discard();
  await assert.rejects(Deno.stat(folder), Deno.errors.NotFound);
});

Deno.test("StagedKeys refuses files that are torn or gone", async () => {
  await using place = await founderFolder();
  const staged = new StagedKeys(place.folder);
  const ca = await createCertificateAuthority(now);
  const clusterId = await clusterIdOf(ca.certificate);
  await assert.rejects(staged.read(clusterId), { code: "system/file" });
  await staged.stage(ca);
  const path = join(place.folder, "staged", "ca.key");
  const text = await Deno.readTextFile(path);
  for (const torn of ["", text.slice(0, text.length / 2), text.replace(/[A-Za-z]{8}/g, "AAAAAAAA")]) {
    await Deno.writeTextFile(path, torn);
    await assert.rejects(staged.read(clusterId), torn);
  }
});
