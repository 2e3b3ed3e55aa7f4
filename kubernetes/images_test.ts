import assert from "node:assert/strict";
import { BootstrapError } from "../platform/errors.ts";
import type { CommandRunner } from "../platform/command.ts";
import { missingImages } from "./images.ts";

const answering = (stdout: string, code = 0): CommandRunner => ({
  run: () => Promise.resolve({ code, stdout, stderr: "cannot connect" }),
});

Deno.test("missingImages() returns the images that the runtime does not have, in order", async () => {
  const list = JSON.stringify({ images: [{ repoTags: ["a:1", "b:2"] }, { id: "untagged" }] });
  assert.deepEqual(await missingImages(answering(list), ["c:3", "b:2", "a:2"], 1000), ["c:3", "a:2"]);
});

Deno.test("missingImages() finds an image by its tag, its digest, its short name and its ID", async () => {
  const digest = `sha256:${"cd".repeat(32)}`;
  const id = `sha256:${"ab".repeat(32)}`;
  const list = JSON.stringify({
    images: [{
      id,
      repoTags: ["docker.io/rancher/mirrored-pause:3.6"],
      repoDigests: [`docker.io/rancher/mirrored-pause@${digest}`],
    }],
  });
  const there = [
    "docker.io/rancher/mirrored-pause:3.6",
    "rancher/mirrored-pause:3.6",
    `rancher/mirrored-pause:3.6@${digest}`,
    `docker.io/rancher/mirrored-pause@${digest}`,
    id,
  ];
  const missing = [`rancher/mirrored-pause@${id}`, "rancher/mirrored-pause:3.7", "mirrored-pause:3.6", ""];
  assert.deepEqual(await missingImages(answering(list), [...there, ...missing], 1000), missing);
});

Deno.test("missingImages() fails when crictl fails or gives an unexpected answer", async () => {
  const codeOf = (code: string) => (error: unknown) => error instanceof BootstrapError && error.code === code;
  await assert.rejects(missingImages(answering("", 1), ["a"], 1000), codeOf("system/command"));
  for (const text of ["", "[]", '{"images": [{"repoTags": [1]}]}']) {
    await assert.rejects(missingImages(answering(text), ["a"], 1000), codeOf("malformed/crictl"));
  }
});
