import assert from "node:assert/strict";
import { TestWorld } from "../testing/command_line.ts";
import { isLikeDebian } from "../../node/machine_setup.ts";
import { containerdProblem } from "../../node/machine_setup_containerd.ts";

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
const version3 = (value: boolean) =>
  `version = 3
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = ${value}
`;
const said = (configuration: string | undefined, version?: string, kubelet?: string) =>
  containerdProblem({ configuration, version, kubelet }).map(({ check }) => check);

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

Deno.test("machine setup names what a stock machine lacks with commands, and is content with a complete one", async () => {
  await using world = await TestWorld.create();
  await world.write("etc/os-release", DEBIAN_12);
  assert.equal(await world.run("machine", "setup"), 1);
  assert.match(world.out, /The program kubeadm is missing[^]*pkgs\.k8s\.io[^]*apt-get install -y kubeadm/);
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
  await world.write("usr/lib/systemd/system/bootstrapper.service", "");
  await world.write("usr/lib/systemd/system/kubelet.service.d/20-bootstrapper-certificates.conf", "");
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
