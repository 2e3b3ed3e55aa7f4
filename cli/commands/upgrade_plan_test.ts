import assert from "node:assert/strict";
import type { CommandRunner } from "../../platform/command.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { planText, programsHere, type UpgradePlanOptions } from "../programs/upgrade_plan.ts";
import { TestWorld } from "../testing/command_line.ts";
import { upgradePlan } from "./upgrade_plan.ts";

/** A machine with some programs. */
function machineWith(programs: Readonly<Record<string, string>>): CommandRunner {
  return {
    run: ([program]) => {
      const stdout = programs[program];
      if (stdout !== undefined) return Promise.resolve({ code: 0, stdout, stderr: "" });
      return Promise.reject(new BootstrapError("system/command", `Cannot start ${program}`));
    },
  };
}

Deno.test("upgrade plan reads its options", async () => {
  const seen: UpgradePlanOptions[] = [];
  const action = (options: UpgradePlanOptions) => Promise.resolve(void seen.push(options));
  await using world = await TestWorld.create({ commands: [{ ...upgradePlan, action }] });
  assert.equal(await world.run("upgrade", "plan", "--kubeconfig", "kc"), 0, world.err);
  const all = ["--kubeconfig", "kc", "--to", "v1.37.2", "--policy", "p.yaml", "--output", "json"];
  assert.equal(await world.run("upgrade", "plan", ...all), 0, world.err);
  assert.deepEqual(seen, [
    { kubeconfigFile: "kc", output: "text" },
    { kubeconfigFile: "kc", to: "v1.37.2", policyFile: "p.yaml", output: "json" },
  ]);
});

Deno.test("upgrade plan refuses a target that is no release, before it reads anything", async () => {
  for (const to of ["1.37.2", "v1.37", "latest", "v1.37.0-rc.1", "v1.37.2\n"]) {
    await using world = await TestWorld.create();
    assert.equal(await world.run("upgrade", "plan", "--kubeconfig", "is-not-there", "--to", to), 2);
    assert.match(world.err, /usage\/invalid-argument/);
    assert.match(world.err, /--to must be a released version, as in "v1\.36\.3"; seen "/);
  }
});

Deno.test("upgrade plan without --to takes the version of this machine's kubeadm, and says so where there is none", async () => {
  await using none = await TestWorld.create();
  assert.equal(await none.run("upgrade", "plan", "--kubeconfig", "is-not-there"), 2);
  assert.match(none.err, /--to is missing, and this machine has no kubeadm/);
  const runner = machineWith({ kubeadm: "v1.37.2\n" });
  await using world = await TestWorld.create({ runner });
  assert.equal(await world.run("upgrade", "plan", "--kubeconfig", "is-not-there"), 1);
  assert.match(world.err, /is-not-there/);
});

Deno.test("programsHere() asks kubeadm and the kubelet, and a failure other than that there is none is one", async () => {
  const programs = { kubeadm: "v1.37.2\n", kubelet: "Kubernetes v1.36.3\n" };
  assert.deepEqual(await programsHere({ commands: machineWith(programs) }), { kubeadm: "v1.37.2", kubelet: "v1.36.3" });
  assert.deepEqual(await programsHere({ commands: machineWith({}) }), {});
  await assert.rejects(programsHere({ commands: machineWith({ kubelet: "else" }) }), {
    code: "malformed/kubelet-version",
  });
});

Deno.test("planText() shows machines, blocks and steps with their way back, without the cluster's control characters", () => {
  const text = planText({
    ...{ from: "v1.36.3", to: "v1.38.0", state: "blocked", remarks: ["To know"] },
    blocks: [{ check: "minor-skipped", nodeName: null, message: "It is further", next: "Upgrade to v1.37 first" }],
    machines: [{
      nodeName: "cp-1",
      role: "control-plane",
      isReady: true,
      apiServer: "v1.36.3",
      kubelet: "v1.36.3\u001b[2J",
    }],
    steps: [{
      nodeName: "cp-1",
      action: "kubelet",
      what: "start it",
      commands: ["systemctl restart kubelet"],
      wayBack: "none is needed",
    }],
  });
  assert.match(text, /^Kubernetes from v1\.36\.3 to v1\.38\.0: blocked\.\n\nNODE +ROLE +READY +API SERVER +KUBELET\n/);
  assert.ok(!text.includes("\u001b"));
  for (
    const part of ["  It is further.\n    Next: Upgrade to v1.37 first.\n", "To know.\n", "  1. cp-1: start it.\n"]
  ) {
    assert.ok(text.includes(part), text);
  }
  assert.ok(text.endsWith("       systemctl restart kubelet\n     Way back: none is needed.\n"), text);
});
