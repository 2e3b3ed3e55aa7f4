import assert from "node:assert/strict";
import { TestWorld } from "../testing/command_line.ts";
import { isLikeDebian } from "../../node/machine_setup.ts";
import { containerdProblem, pluginFolders } from "../../node/machine_setup_containerd.ts";
import { ENABLED_UNITS, ownUnits } from "../../node/machine_setup_files.ts";
import { shellLines } from "../../node/machine_setup_finding.ts";
import { type SwapFacts, swapFindings } from "../../node/machine_setup_swap.ts";

const DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n';
const UBUNTU_24 = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n';
const FEDORA = 'NAME="Fedora Linux"\nID=fedora\n';
const DEBIAN_12_CONTAINERD = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd"
`;
const version2 = (value: boolean) =>
  `version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = ${value}
`;
/** A part of what `containerd config default` of 2.x prints. */
const DEFAULTS_2 = `version = 3

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.10'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/opt/cni/bin']
`;
const version3 = (value: boolean) =>
  `version = 3
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = ${value}
`;
const said = (configuration: string | undefined, version?: string, kubelet?: string) =>
  containerdProblem({ configuration, version, kubelet, defaults: DEFAULTS_2 }).map(({ check }) => check);

Deno.test("isLikeDebian() knows Debian and Ubuntu, and no others", () => {
  assert.deepEqual([DEBIAN_12, UBUNTU_24, FEDORA, ""].map(isLikeDebian), [true, true, false, false]);
});

Deno.test("containerdProblem() reads both forms of the configuration", () => {
  assert.deepEqual(said(undefined), ["containerd-configuration"]);
  assert.deepEqual(said("= no TOML"), ["containerd-configuration"]);
  assert.deepEqual(said('disabled_plugins = ["cri"]\n'), ["containerd-cri"]);
  for (const bad of [DEBIAN_12_CONTAINERD, version2(false), version3(false), "plugins = 1\n"]) {
    assert.deepEqual(said(bad), ["containerd-cgroup"]);
  }
  for (const good of [version2(true), version3(true)]) assert.deepEqual(said(good), []);
});

Deno.test("containerdProblem() refuses containerd 1 only with a kubelet that needs 2", () => {
  const debian = "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1\n";
  const upstream = "containerd github.com/containerd/containerd/v2 v2.1.4 75cb2b7193e4e490e9fbdc236c0e811ccaba3376\n";
  assert.deepEqual(said(version2(true), debian, "Kubernetes v1.36.0\n"), ["containerd-version"]);
  assert.deepEqual(said(version2(true), debian, "Kubernetes v1.35.2\n"), []);
  assert.deepEqual(said(version3(true), upstream, "Kubernetes v1.36.0\n"), []);
});

Deno.test("containerdProblem() mends with containerd's own defaults, systemd's control groups and kubeadm's pause image", () => {
  const facts = { configuration: undefined, version: undefined, kubelet: undefined, defaults: DEFAULTS_2 };
  const [finding] = containerdProblem({ ...facts, pauseImage: "registry.k8s.io/pause:3.10.1" });
  const texts = finding?.actions.flatMap((action) => action.kind === "file" ? [action.text] : []);
  assert.deepEqual(texts, [
    DEFAULTS_2.replace("SystemdCgroup = false", "SystemdCgroup = true")
      .replace("'registry.k8s.io/pause:3.10'", '"registry.k8s.io/pause:3.10.1"'),
  ]);
  assert.deepEqual(said(texts?.[0]), []);
});

Deno.test("pluginFolders() reads where containerd looks for plug-ins", () => {
  assert.deepEqual(pluginFolders(DEBIAN_12_CONTAINERD), ["/usr/lib/cni"]);
  assert.deepEqual(pluginFolders(DEFAULTS_2), ["/opt/cni/bin"]);
  assert.deepEqual([undefined, "", "= no TOML", version3(true)].map(pluginFolders), Array(4).fill(["/opt/cni/bin"]));
});

Deno.test("swapFindings() turns off what is on, and what the next boot would turn on", () => {
  const fstab = "UUID=1 / ext4 defaults 0 1\n# UUID=2 none swap sw 0 0\nUUID=3\tnone\tswap\tsw 0 0\n";
  const header = "Filename\tType\tSize\tUsed\tPriority\n";
  const none = { swaps: header, fstab: "UUID=1 / ext4 defaults 0 1\n", units: "", hasZramswap: false };
  assert.deepEqual(swapFindings(none), []);
  const lines = (facts: Partial<SwapFacts>) => swapFindings({ ...none, ...facts }).flatMap(shellLines);
  assert.deepEqual(lines({ swaps: `${header}/dev/sda3 partition 1 0 -2\n`, units: "dev-sda3.swap generated -\n" }), [
    "swapoff /dev/sda3",
    "systemctl mask dev-sda3.swap",
  ]);
  assert.deepEqual(lines({ swaps: `${header}/dev/zram0 partition 1 0 100\n`, hasZramswap: true }), [
    "systemctl disable --now zramswap.service",
  ]);
  const [finding] = swapFindings({ ...none, fstab });
  const texts = finding?.actions.flatMap((action) => action.kind === "file" ? [action.text] : []) ?? [];
  assert.deepEqual(texts, [fstab.replace("UUID=3", "# bootstrapper machine setup: UUID=3")]);
  assert.deepEqual(swapFindings({ ...none, fstab: texts[0] ?? "" }), []);
});

Deno.test("each file of machine setup is one of deploy/, and no unit is left out", async () => {
  const names = ownUnits().map(({ name }) => name);
  for (const file of ownUnits()) {
    assert.equal(file.text, await Deno.readTextFile(new URL(`../../deploy/${file.name}`, import.meta.url)));
  }
  const deploy = new URL("../../deploy/", import.meta.url);
  for await (const { name } of Deno.readDir(deploy)) {
    if (/^bootstrapper.*\.(service|timer)$/.test(name)) assert.ok(names.includes(name), name);
  }
  assert.ok(ENABLED_UNITS.every((unit) => names.includes(unit)), ENABLED_UNITS.join());
  assert.ok(ownUnits("/usr/bin/bootstrapper").every(({ text }) => !text.includes("/usr/local/bin/bootstrapper")));
});

Deno.test("machine setup names what a stock machine lacks with commands, and is content with a complete one", async () => {
  await using world = await TestWorld.create();
  await world.write("etc/os-release", DEBIAN_12);
  assert.equal(await world.run("machine", "setup"), 1);
  assert.match(
    world.out,
    /No package source of this machine has kubeadm[^]*--add-repositories[^]*The program kubeadm is missing[^]*apt-get install -y kubeadm/,
  );
  assert.match(world.err, /precondition\/machine/);

  for (
    const name of ["containerd", "kubeadm", "kubelet", "crictl", "conntrack", "iptables", "ip", "mount", "nsenter"]
  ) {
    await world.write(`usr/bin/${name}`, "");
  }
  await world.write("etc/containerd/config.toml", version3(true));
  await world.write("opt/cni/bin/loopback", "");
  await world.write("proc/filesystems", "nodev\tproc\nnodev\toverlay\n");
  await world.write("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
  await world.write("proc/sys/net/ipv4/ip_forward", "0\n");
  await world.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
  for (const { name } of ownUnits()) await world.write(`usr/lib/systemd/system/${name}`, "");
  await world.write("usr/lib/udev/rules.d/70-bootstrapper-tpm.rules", "");
  await world.write("usr/bin/bootstrapper", "");
  await world.write("etc/passwd", "bootstrapper-front:x:990:990::/:/usr/sbin/nologin\n");
  await world.write("etc/bootstrapper/config.yaml", "version: 1\n");
  assert.equal(await world.run("machine", "setup", "--output", "json"), 1);
  const [line = ""] = world.out.split("\n");
  assert.deepEqual(
    JSON.parse(line).findings.map(({ check }: { check: string }) => check),
    ["sysctl-net.ipv4.ip_forward"],
  );

  await world.write("proc/sys/net/ipv4/ip_forward", "1\n");
  assert.equal(await world.run("machine", "setup"), 0, world.err);
  assert.equal(world.out, "Nothing is missing.\n");
});
