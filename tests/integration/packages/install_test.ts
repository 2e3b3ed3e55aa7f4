/**
 * Installs the packages on plain Debian 12 and 13, upgrades and removes them there, as dpkg and rpm do it. systemd does not
 * run in these roots; its own tools read the units.
 */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { run } from "../../tools/run.ts";
import { BuildStore } from "../../tools/store.ts";
import { buildSystemPackages } from "../../tools/packages/build_packages.ts";
import { DEBIAN_SUITES, debianRoot } from "../../tools/packages/debian_root.ts";
import { BuiltPackages, PACKAGE } from "./_built.ts";
import { DebianMachine } from "./_debian_machine.ts";

const store = new BuildStore();
const roots = new Map<string, string>();
for (const suite of DEBIAN_SUITES) roots.set(suite, await debianRoot(store, suite));
const built = await BuiltPackages.make(store, buildSystemPackages);
addEventListener("unload", () => Deno.removeSync(join(built.folder, ".."), { recursive: true }));
const debs = [built.path(PACKAGE.deb), built.path(PACKAGE.nodeDeb)];
const installed = debs.map((file) => `/packages/${basename(file)}`).join(" ");
const UNITS = "/usr/lib/systemd/system/bootstrapper*.service /usr/lib/systemd/system/bootstrapper*.timer";
const CONFIGURATION = "version: 1\n# Mine.\n";
/** Root's own files on a member, which no package may touch. */
const MAKE_STATE = `mkdir -p -m 0700 /var/lib/bootstrapper
  printf lock > /var/lib/bootstrapper/node.lock; printf key > /var/lib/bootstrapper/node.key
  touch /var/lib/bootstrapper/member
  printf '${CONFIGURATION.replaceAll("\n", "\\n")}' > /etc/bootstrapper/config.yaml`;

async function machine(suite: string): Promise<DebianMachine> {
  const made = await DebianMachine.create(roots.get(suite) ?? "");
  await made.take(...debs);
  return made;
}

/** The state that {@linkcode MAKE_STATE} makes is all there. */
async function hasState(on: DebianMachine): Promise<void> {
  assert.equal(await on.read("var/lib/bootstrapper/node.lock"), "lock");
  assert.equal(await on.read("var/lib/bootstrapper/node.key"), "key");
  assert.equal(await on.read("etc/bootstrapper/config.yaml"), CONFIGURATION);
}

/** The links by which systemd starts units at boot. */
function links(on: DebianMachine): Promise<string> {
  return on.does("find /etc/systemd/system -name '*bootstrapper*' | sort");
}

/** Makes the same packages with a later version. */
async function laterPackages(): Promise<string[]> {
  const work = await Deno.makeTempDir({ dir: join(built.folder, "..") });
  const { version } = built.release;
  return await Promise.all(debs.map(async (file, index) => {
    const tree = join(work, String(index));
    const log = join(work, `${index}.log`);
    await run(["dpkg-deb", "--raw-extract", file, tree], { log });
    const control = join(tree, "DEBIAN/control");
    const text = await Deno.readTextFile(control);
    await Deno.writeTextFile(control, text.replaceAll(version, `${version}.later`));
    const later = join(work, `${basename(file, ".deb")}.later.deb`);
    await run(["dpkg-deb", "-Znone", "--build", tree, later], { log });
    return later;
  }));
}

for (const suite of DEBIAN_SUITES) {
  Deno.test(`on ${suite}, both packages install, and start and enable nothing`, async () => {
    await using debian = await machine(suite);
    await debian.does(`dpkg --install ${installed}`);
    // These roots take no manual pages.
    const verified = await debian.does("dpkg --audit; dpkg --verify bootstrapper bootstrapper-node");
    assert.deepEqual(verified.split("\n").filter((line) => !line.includes(" /usr/share/man/man1")), [""]);
    assert.equal(await links(debian), "");
    const users = await debian.does("getent passwd bootstrapper-front bootstrapper-signer | cut -d: -f1,7");
    assert.deepEqual(users.trim().split("\n").map((line) => line.split(":")[0]), [
      "bootstrapper-front",
      "bootstrapper-signer",
    ]);
    assert.match(await debian.does("getent group bootstrapper-join"), /^bootstrapper-join:/);
    const version = await debian.does("bootstrapper version");
    assert.match(version, new RegExp(`^commit +${built.release.commit}$`, "m"));
    assert.match(version, /^version +\d+\.\d+\.\d+$/m);
  });

  Deno.test(`on ${suite}, systemd takes the units without a complaint`, async () => {
    await using debian = await machine(suite);
    await debian.does(`dpkg --install ${installed}`);
    assert.equal(await debian.does(`systemd-analyze verify --man=no ${UNITS}`), "");
    // The same command sees what is wrong.
    await debian.does("sed -i s,/usr/bin/bootstrapper,/usr/bin/nothing,g /usr/lib/systemd/system/bootstrapper.service");
    const { code, stderr } = await debian.sh(`systemd-analyze verify --man=no ${UNITS}`);
    assert.notEqual(code, 0);
    assert.match(stderr, /\/usr\/bin\/nothing is not executable/);
  });

  Deno.test(`on ${suite}, the preset enables what a node runs, and udev takes the rule`, async () => {
    await using debian = await machine(suite);
    await debian.does(`dpkg --install ${installed}`);
    await debian.does(`cd /usr/lib/systemd/system; systemctl preset bootstrapper*.service bootstrapper*.timer`);
    const wanted = await links(debian);
    for (
      const link of [
        "sysinit.target.wants/bootstrapper-measure.service",
        "timers.target.wants/bootstrapper-renew.timer",
      ]
    ) {
      assert.ok(wanted.includes(`/etc/systemd/system/${link}\n`), wanted);
    }
    assert.equal(wanted.trim().split("\n").length, 9, wanted);
    if (suite === "trixie") await debian.does("udevadm verify /usr/lib/udev/rules.d/70-bootstrapper-tpm.rules");
  });

  Deno.test(`on ${suite}, an upgrade keeps configuration, state and what is enabled`, async () => {
    await using debian = await machine(suite);
    const later = await laterPackages();
    await debian.take(...later);
    await debian.does(`dpkg --install ${installed}`);
    await debian.does(`${MAKE_STATE}; systemctl enable bootstrapper-measure.service bootstrapper.service`);
    const before = await links(debian);
    assert.match(before, /bootstrapper\.service\n/);
    await debian.does(`dpkg --install ${later.map((file) => `/packages/${basename(file)}`).join(" ")}`);
    const versions = await debian.does("dpkg-query --show --showformat='${Version} ' bootstrapper bootstrapper-node");
    assert.equal(versions, `${built.release.version}.later `.repeat(2));
    assert.equal(await links(debian), before);
    await hasState(debian);
  });

  Deno.test(`on ${suite}, neither removal nor purge deletes state, and both say that it stays`, async () => {
    await using debian = await machine(suite);
    await debian.does(`dpkg --install ${installed}`);
    await debian.does(`${MAKE_STATE}; systemctl enable bootstrapper-measure.service bootstrapper.service`);
    const removed = await debian.sh("dpkg --remove bootstrapper-node bootstrapper");
    assert.equal(removed.code, 0, removed.stderr);
    assert.match(removed.stderr, /bootstrapper-node: \/var\/lib\/bootstrapper stays/);
    assert.match(removed.stderr, /bootstrapper-node: \/etc\/bootstrapper stays/);
    assert.match(removed.stderr, /nothing renews its certificates from now on/);
    assert.equal(await links(debian), "");
    await hasState(debian);
    assert.equal((await debian.sh("command -v bootstrapper")).stdout, "");
    const purged = await debian.sh("dpkg --purge bootstrapper-node bootstrapper");
    assert.equal(purged.code, 0, purged.stderr);
    assert.match(purged.stderr, /bootstrapper-node: \/var\/lib\/bootstrapper stays/);
    await hasState(debian);
    await debian.does(`dpkg --install ${installed}; bootstrapper version`);
    await hasState(debian);
  });

  Deno.test(`on ${suite}, a node that was not adopted hears of it when the package comes`, async () => {
    await using debian = await machine(suite);
    const install = `dpkg --install ${installed}`;
    await debian.does("mkdir -p /etc/kubernetes; touch /etc/kubernetes/kubelet.conf");
    assert.match((await debian.sh(install)).stderr, /this machine is a node already.*\n.*bootstrapper adopt here/);
    await debian.does(MAKE_STATE);
    assert.doesNotMatch((await debian.sh(install)).stderr, /is a node already/);
  });
}

Deno.test("the node's package needs the program's of the same version", async () => {
  await using debian = await machine("bookworm");
  const { code, stderr } = await debian.sh(`dpkg --install /packages/${basename(debs[1] ?? "")}`);
  assert.notEqual(code, 0);
  assert.match(stderr, /bootstrapper-node depends on bootstrapper \(= /);
});

Deno.test("rpm installs its packages by the same scripts, upgrades and removes them", async () => {
  await using debian = await machine("bookworm");
  const rpms = [built.path(PACKAGE.rpm), built.path(PACKAGE.nodeRpm)];
  // Debian's own libraries are in no rpm: rpm cannot know them.
  const rpm = async (...args: readonly string[]) => {
    const { code, stderr } = await debian.from(`rpm --root "$root" --nodeps ${args.join(" ")}`);
    assert.equal(code, 0, stderr);
    return stderr;
  };
  await rpm("--install", ...rpms);
  assert.match(await debian.does("bootstrapper version; getent passwd bootstrapper-signer"), /^commit +/m);
  await debian.does(`${MAKE_STATE}; systemctl enable bootstrapper.service`);
  await rpm("--upgrade", "--replacepkgs", ...rpms);
  assert.match(await links(debian), /bootstrapper\.service\n/);
  const said = await rpm("--erase", "bootstrapper-node", "bootstrapper");
  assert.match(said, /bootstrapper-node: \/var\/lib\/bootstrapper stays/);
  assert.equal(await links(debian), "");
  await hasState(debian);
});
