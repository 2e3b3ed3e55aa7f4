/**
 * `machine setup` on plain Debian 12 and 13: real apt, dpkg and systemctl install what Debian has, also after a kill, and
 * take it back. systemd does not run in these roots, and the repositories of Kubernetes and Docker are not asked.
 */
import assert from "node:assert/strict";
import { exists } from "../../../platform/files.ts";
import { compile } from "../../tools/compile.ts";
import { DEBIAN_SUITES, debianRoot } from "../../tools/packages/debian_root.ts";
import { BuildStore } from "../../tools/store.ts";
import { DebianMachine } from "./_debian_machine.ts";

const store = new BuildStore();
const binary = await compile(store);
const roots = new Map<string, string>();
for (const suite of DEBIAN_SUITES) roots.set(suite, await debianRoot(store, suite));

const SETUP = "/packages/bootstrapper machine setup";
/** The machine shares this one's network, which the test must not change: forwarding looks as if it were on. */
const PREPARE = `cp /packages/resolv.conf /etc/resolv.conf
  echo 1 > /one; mount --bind /one /proc/sys/net/ipv4/ip_forward`;
const OWN_FILES =
  "find /etc/systemd /etc/sysusers.d /etc/udev /etc/modules-load.d /etc/sysctl.d /usr/local ! -type d 2> /dev/null | sort";
/** Neither a Debian nor this test can load modules here. */
const isBridged = await exists("/proc/sys/net/bridge/bridge-nf-call-iptables");
if (!isBridged) {
  const text = "machine_setup_test.ts is IGNORED: the kernel module br_netfilter is not loaded here\n";
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

for (const suite of DEBIAN_SUITES) {
  Deno.test({
    name: `on ${suite}, machine setup installs what Debian has, goes on after a kill, and takes all of it back`,
    ignore: !isBridged,
    async fn() {
      await using debian = await DebianMachine.create(roots.get(suite) ?? "");
      await debian.take(binary, "/etc/resolv.conf");
      const does = (script: string) => debian.does(`${PREPARE}\n${script}`);
      const before = await does("apt-get update > /dev/null; " + OWN_FILES);
      const looked = await does(`${SETUP} || true; ${OWN_FILES} | tail -n 0`);
      for (const part of ["apt-get install -y conntrack", "--add-repositories", "unit files are missing, such as"]) {
        assert.ok(looked.includes(part), looked);
      }
      assert.equal(await does(OWN_FILES), before);

      // It is killed while apt works.
      await does(`${SETUP} --apply > /dev/null 2> /told & pid=$!
        for i in $(seq 300); do grep -q conntrack /told && break; sleep 0.1; done
        kill -KILL $pid; wait $pid 2> /dev/null || true
        ${SETUP} --apply --output json > /applied 2> /told-again || true`);
      const applied = await debian.read("applied");
      assert.ok(applied.includes("findings"), applied + await debian.read("told-again"));
      const checks: string[] = JSON.parse(applied.split("\n")[0] ?? "").findings.map(({ check }: { check: string }) =>
        check
      );
      assert.deepEqual(checks.filter((check) => check !== "cgroup").toSorted(), [
        ...["configuration", "program-containerd", "program-crictl", "program-kubeadm", "program-kubelet"],
        ...["repository-docker", "repository-kubernetes"],
      ]);
      await does(`command -v conntrack iptables ip; getent passwd bootstrapper-front bootstrapper-signer
        test -x /usr/local/bin/bootstrapper; systemctl is-enabled bootstrapper.service bootstrapper-renew.timer
        systemd-analyze verify --man=no /etc/systemd/system/bootstrapper-renew.timer 2> /dev/null || true`);
      assert.notEqual(await does(OWN_FILES), before);

      const undone = await does(`${SETUP} --undo 2>&1`);
      assert.match(undone, /\d+ changes were taken back\./);
      assert.equal(await does(OWN_FILES), before);
      assert.equal((await debian.sh("command -v conntrack")).code, 127, "conntrack is still there");
      assert.match(await does(`${SETUP} --undo`), /^Nothing was changed by this program\.$/m);
    },
  });
}
