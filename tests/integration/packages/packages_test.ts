/** What is in the packages, by the tools of those who install them, and that two builds of a commit are the same. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { digestOfFile, listOfFiles } from "../../tools/digest.ts";
import { debianPackages } from "../../tools/debian_packages.ts";
import { spdxChecker } from "../../tools/packages/spdx_tools.ts";
import { tagOf } from "../../tools/packages/oci_image.ts";
import { capture, run } from "../../tools/run.ts";
import { BuildStore, type Store } from "../../tools/store.ts";
import { BuiltPackages, PACKAGE } from "./_built.ts";

await debianPackages(["lintian", "python3-venv", "rpm", "skopeo"]);
const store = new BuildStore();
const checker = await spdxChecker(store);
const built = await BuiltPackages.make(store);
const work = join(built.folder, "..");
addEventListener("unload", () => Deno.removeSync(work, { recursive: true }));
const log = join(work, "log");
const { version, commit } = built.release;

/** Unpacks the program of the package for Debian. */
async function programOf(folder: string): Promise<string> {
  await run(["dpkg-deb", "--extract", built.path(PACKAGE.deb), folder], { log });
  return join(folder, "usr/bin/bootstrapper");
}

Deno.test("two builds of a commit are the same bytes, with the program compiled in another folder", async () => {
  const cache = await Deno.makeTempDir({ dir: work });
  const elsewhere = new BuildStore(undefined, cache);
  const second: Store = {
    digest: (path) => store.digest(path),
    packages: (names) => store.packages(names),
    cached: (name, recipe, build) => (name === "bootstrapper" ? elsewhere : store).cached(name, recipe, build),
  };
  await using again = await BuiltPackages.make(second);
  assert.deepEqual(await listOfFiles(again.folder), await listOfFiles(built.folder));
  assert.equal(Array.from(Deno.readDirSync(cache)).some(({ name }) => name.startsWith("bootstrapper-")), true);
});

Deno.test("SHA256SUMS has each file, as sha256sum checks it", async () => {
  const lines = (await Deno.readTextFile(join(built.folder, "SHA256SUMS"))).trimEnd().split("\n");
  assert.equal(lines.length, built.names.length - 1);
  await run(["sha256sum", "--check", "--strict", "SHA256SUMS"], { log, cwd: built.folder });
});

Deno.test("the packages for Debian say what they are and need, and have no configuration of their own", async () => {
  const fields = (file: string, ...names: readonly string[]) => capture(["dpkg-deb", "--field", file, ...names]);
  assert.equal(
    await fields(built.path(PACKAGE.deb), "Package", "Version"),
    `Package: bootstrapper\nVersion: ${version}`,
  );
  assert.match(await fields(built.path(PACKAGE.deb), "Depends"), /^libc6 \(>= 2\.35\), libgcc-s1$/);
  assert.match(await fields(built.path(PACKAGE.nodeDeb), "Depends"), new RegExp(`^bootstrapper \\(= ${version}\\), `));
  for (const file of [built.path(PACKAGE.deb), built.path(PACKAGE.nodeDeb)]) {
    const listing = (await capture(["dpkg-deb", "--contents", file])).split("\n");
    for (const line of listing) assert.match(line, /^[d-][rwx-]{9} root\/root /);
    const files = listing.filter((line) => line.startsWith("-")).map((line) => line.split(/\s+/)[5] ?? "");
    assert.deepEqual(files.filter((path) => path.startsWith("./etc/") || path.startsWith("./var/")), []);
    assert.ok(files.length > 10);
  }
});

Deno.test("lintian finds no error in the packages for Debian", async () => {
  // They were built by nobody's archive.
  const command = ["lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0"] as const;
  await run([...command, built.path(PACKAGE.deb), built.path(PACKAGE.nodeDeb)], { log });
});

Deno.test("the program asks glibc for no symbol that is later than what the packages name", async () => {
  const symbols = await capture(["readelf", "--version-info", "--wide", await programOf(join(work, "symbols"))]);
  const minors = [...symbols.matchAll(/\bGLIBC_2\.(\d+)\b/g)].map(([, minor]) => Number(minor));
  const depends = await capture(["dpkg-deb", "--field", built.path(PACKAGE.deb), "Depends"]);
  assert.equal(Math.max(...minors), Number(/libc6 \(>= 2\.(\d+)\)/.exec(depends)?.[1]));
});

Deno.test("rpm reads its packages: what they are, need, have, and run", async () => {
  const query = (file: string, ...args: readonly string[]) => capture(["rpm", "--query", ...args, "--package", file]);
  const [program, node] = [built.path(PACKAGE.rpm), built.path(PACKAGE.nodeRpm)];
  const info = await query(program, "--info");
  for (const line of [/^Name +: bootstrapper$/m, /^License +: Apache-2\.0$/m, /^Build Host +: localhost$/m]) {
    assert.match(info, line);
  }
  assert.match(info, new RegExp(`^Version +: ${version}$`, "m"));
  assert.match(await query(node, "--requires"), new RegExp(`^bootstrapper = ${version}$`, "m"));
  assert.match(await query(program, "--licensefiles"), /^\/usr\/share\/licenses\/bootstrapper\/LICENSE$/m);
  assert.match(await query(node, "--list"), /^\/usr\/lib\/systemd\/system\/bootstrapper-measure\.service$/m);
  assert.match(await query(node, "--scripts"), /systemd-sysusers bootstrapper\.conf/);
  await run(["rpm", "--checksig", "--nosignature", program, node], { log });
});

Deno.test("both kinds of packages and the tar file have the same program", async () => {
  const program = await digestOfFile(await programOf(join(work, "deb")));
  for (const folder of ["rpm", "tar"]) await Deno.mkdir(join(work, folder));
  const unpack = 'rpm2cpio "$1" | cpio --quiet --extract --make-directories ./usr/bin/bootstrapper';
  await run(["sh", "-euc", unpack, "sh", built.path(PACKAGE.rpm)], { log, cwd: join(work, "rpm") });
  assert.equal(await digestOfFile(join(work, "rpm/usr/bin/bootstrapper")), program);
  await run(["tar", "-xzf", built.path(PACKAGE.archive), "--strip-components=1"], { log, cwd: join(work, "tar") });
  assert.equal(await digestOfFile(join(work, "tar/bootstrapper")), program);
  assert.match(await capture([join(work, "tar/bootstrapper"), "version"]), new RegExp(`^commit +${commit}$`, "m"));
  const unit = await Deno.readTextFile(join(work, "tar/deploy/bootstrapper.service"));
  assert.match(unit, /^ExecStart=\/usr\/local\/bin\/bootstrapper run$/m);
});

Deno.test("the SBOMs are SPDX 2.3 by the checker of the SPDX project, which refuses a broken one", async () => {
  for (const file of [built.path(PACKAGE.sbom), built.path(PACKAGE.imageSbom)]) {
    await run(checker(file), { log });
    const text = await Deno.readTextFile(file);
    const broken = join(work, "broken.spdx.json");
    const breaks: readonly (readonly [string, string])[] = [
      ["SPDXRef-npm-commander", "SPDXRef-npm_commander"],
      ['"licenseDeclared": "Apache-2.0"', '"licenseDeclared": "Apache-9.9"'],
      ['"algorithm": "SHA512"', '"algorithm": "SHA256"'],
    ];
    for (const [from, to] of breaks) {
      assert.ok(text.includes(from), from);
      await Deno.writeTextFile(broken, text.replace(from, to));
      await assert.rejects(run(checker(broken), { log }), /failed \(exit code 1\)/, to);
    }
  }
});

Deno.test("the SBOM names the program's bytes, and each package with the checksum of deno.lock", async () => {
  const sbom = JSON.parse(await Deno.readTextFile(built.path(PACKAGE.sbom)));
  const lock = await Deno.readTextFile(join(import.meta.dirname ?? ".", "../../../deno.lock"));
  const checksums = new Map<string, string>();
  for (const { name, checksums: [checksum] = [{}] } of sbom.packages) checksums.set(name, checksum.checksumValue);
  assert.equal(checksums.get("bootstrapper"), await digestOfFile(await programOf(join(work, "sbom"))));
  const { versionInfo, licenseDeclared } = sbom.packages.find(({ name }: { name: string }) => name === "deno");
  assert.deepEqual([versionInfo, licenseDeclared], [Deno.version.deno, "MIT AND BSD-3-Clause AND Unicode-3.0"]);
  const npm = sbom.packages.filter(({ SPDXID }: { SPDXID: string }) => SPDXID.startsWith("SPDXRef-npm-"));
  assert.ok(npm.length > 20);
  for (const { name } of npm) {
    const base64 = Uint8Array.fromHex(checksums.get(name) ?? "").toBase64();
    assert.ok(lock.includes(`"integrity": "sha512-${base64}"`), name);
  }
  const image = JSON.parse(await Deno.readTextFile(built.path(PACKAGE.imageSbom)));
  const names = image.packages.map(({ name }: { name: string }) => name);
  for (const name of ["libc6", "libgcc-s1", "base-files", "commander"]) assert.ok(names.includes(name), name);
});

Deno.test("the image is one that skopeo reads and copies, and its program runs without root, and has its licence", async () => {
  const image = `oci-archive:${built.path(PACKAGE.image)}:${tagOf(built.release)}`;
  const inspected = JSON.parse(await capture(["skopeo", "inspect", image]));
  assert.equal(inspected.Architecture, Deno.build.arch === "x86_64" ? "amd64" : "arm64");
  assert.equal(inspected.Labels["org.opencontainers.image.revision"], commit);
  const copy = join(work, "image");
  await run(["skopeo", "copy", "--quiet", image, `dir:${copy}`], { log });
  const root = join(work, "root");
  await Deno.mkdir(root);
  for (const layer of inspected.Layers) {
    await run(["tar", "-xzf", join(copy, layer.replace("sha256:", "")), "-C", root], { log });
  }
  const isolated = ["--mount", "--pid", "--fork", "--kill-child", `--root=${root}`, "--mount-proc=/proc"];
  const user = ["--setuid=65532", "--setgid=65532"];
  const printed = await capture(["unshare", ...isolated, ...user, "/usr/bin/bootstrapper", "version"]);
  assert.match(printed, new RegExp(`^commit +${commit}$`, "m"));
  assert.ok((await Deno.stat(join(root, "usr/share/doc/bootstrapper/LICENSE"))).isFile);
  const config = JSON.parse(await capture(["skopeo", "inspect", "--config", image]));
  assert.deepEqual(config.config.Entrypoint, ["/usr/bin/bootstrapper"]);
  assert.equal(config.config.User, "65532:65532");
});
