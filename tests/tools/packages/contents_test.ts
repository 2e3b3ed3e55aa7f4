import assert from "node:assert/strict";
import { join } from "node:path";
import { type ContentInput, nodeFiles, programFiles } from "./contents.ts";

const deploy = join(import.meta.dirname ?? ".", "../../../deploy");
const input: ContentInput = {
  release: { version: "0.1.0", commit: "abc", epochSeconds: 1796106120 },
  ...{ binary: "/dev/null", copyright: "copyright", sbom: () => "{}" },
};
const program = await programFiles(input);
const node = await nodeFiles(input);

Deno.test("each file of deploy/ that is of use outside the repository is in one package", async () => {
  const taken = [...program, ...node].map(({ target }) => target);
  const wanted: string[] = [];
  for await (const { name, isFile } of Deno.readDir(deploy)) {
    if (isFile && !name.endsWith("_test.ts")) wanted.push(name);
  }
  for (const name of wanted.filter((name) => name !== "sysusers.conf")) {
    assert.equal(taken.filter((target) => target.endsWith(`/${name}`)).length, 1, name);
  }
  for (const path of ["/usr/lib/sysusers.d/bootstrapper.conf", "/usr/share/bootstrapper/schemas/node.json"]) {
    assert.ok(taken.includes(path), path);
  }
  assert.equal(new Set(taken).size, taken.length);
});

Deno.test("no package has a script of packages, a test, or a file below /etc, /var or /usr/local", () => {
  for (const { target } of [...program, ...node]) {
    assert.doesNotMatch(target, /_test\.ts$|\/packages\/|^\/(?:etc|var|usr\/local)\//);
  }
});

Deno.test("the units of the package start the package's program", () => {
  const units = node.filter(({ target }) => target.endsWith(".service"));
  assert.ok(units.length >= 7, String(units.length));
  for (const { target, content } of units) {
    assert.ok(typeof content === "string" && content.includes("/usr/bin/bootstrapper"), target);
    assert.ok(!content.includes("/usr/local/bin"), target);
  }
});

Deno.test("nothing of the node's package changes how an operator's machine starts containerd", () => {
  assert.deepEqual(program.filter(({ target }) => /^\/usr\/lib\//.test(target)), []);
});
