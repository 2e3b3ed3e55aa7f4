import assert from "node:assert/strict";
import fc from "fast-check";
import { imageName } from "./image_name.ts";

Deno.test("imageName() gives a name its registry, and a tag or a digest", () => {
  const digest = `sha256:${"ab".repeat(32)}`;
  const names: Readonly<Record<string, string>> = {
    "registry.k8s.io/pause:3.10": "registry.k8s.io/pause:3.10",
    [`registry.k8s.io/pause:3.10@${digest}`]: `registry.k8s.io/pause@${digest}`,
    [`registry.k8s.io/pause@${digest}`]: `registry.k8s.io/pause@${digest}`,
    "rancher/mirrored-pause:3.6": "docker.io/rancher/mirrored-pause:3.6",
    "pause": "docker.io/library/pause:latest",
    "docker.io/pause:3": "docker.io/library/pause:3",
    "index.docker.io/library/pause:3": "docker.io/library/pause:3",
    "localhost/pause": "localhost/pause:latest",
    "registry:5000/a/pause": "registry:5000/a/pause:latest",
    "[fd00::1]:5000/pause:3": "[fd00::1]:5000/pause:3",
  };
  for (const [given, expected] of Object.entries(names)) assert.equal(imageName(given), expected);
});

Deno.test("imageName() leaves a full name as it is, whatever the text was", () => {
  fc.assert(fc.property(fc.string(), (text) => void imageName(text)));
  const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  fc.assert(fc.property(part, part, part, (owner, name, tag) => {
    const full = imageName(`${owner}/${name}:${tag}`);
    assert.equal(imageName(full), full);
  }));
});
