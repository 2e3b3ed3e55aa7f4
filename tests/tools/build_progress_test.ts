import assert from "node:assert/strict";
import type { PartEstimate } from "./build_estimates.ts";
import { BuildProgress } from "./build_progress.ts";

const reference = { cores: 2, slowdown: 1 };
const estimates: Readonly<Record<string, PartEstimate>> = {
  "go-crictl": { what: "crictl", stage: "all-cores", coreSeconds: 84 },
  "go-runc": { what: "runc", stage: "all-cores", coreSeconds: 60 },
  "go-cni": { what: "CNI plugins", stage: "all-cores", coreSeconds: 60 },
  "vm-base": { what: "the base of the VM image", stage: "after", coreSeconds: 42 },
};
const progressOf = (names: readonly string[], machine = reference) => new BuildProgress(names, machine, 0, estimates);
const secondMs = 1000;

Deno.test("BuildProgress.plan() names all parts with their estimates, and the total for this machine", () => {
  const progress = progressOf(["vm-base", "go-crictl", "binaries"]);
  assert.equal(
    progress.plan("/cache"),
    "Builds the missing parts, once, into /cache: about 80 s on this machine (2 cores)\n" +
      "  crictl                    40 s\n" +
      "  the base of the VM image  40 s\n",
  );
  const slow = progressOf(["go-crictl"], { cores: 1, slowdown: 4 });
  assert.equal(
    slow.plan("/cache"),
    "Builds the missing parts, once, into /cache: about 6 min on this machine (1 core, each 4.0 times slower now than on the reference machine)\n" +
      "  crictl  6 min\n",
  );
});

Deno.test("BuildProgress.line() shows what is done, what is being built and what is left", () => {
  const progress = progressOf(["go-runc", "go-cni", "vm-base"]);
  assert.equal(progress.line(0), "   0 s … 0 of 3 built, about 2 min left; fetching");
  progress.begin("go-cni", 2 * secondMs);
  assert.equal(progress.line(2 * secondMs), "   2 s … 0 of 3 built, about 2 min left; building CNI plugins");
  assert.equal(progress.end("go-cni", 32 * secondMs), "  32 s ✓ CNI plugins in 30 s\n");
  progress.begin("go-runc", 32 * secondMs);
  assert.equal(progress.line(34 * secondMs), "  34 s … 1 of 3 built, about 70 s left; building runc");
});

Deno.test("BuildProgress.end() reports no part that existed before, and none twice", () => {
  const progress = progressOf(["go-cni"]);
  assert.equal(progress.end("go-etcd", 0), "");
  assert.notEqual(progress.end("go-cni", 0), "");
  assert.equal(progress.end("go-cni", 0), "");
});

Deno.test("BuildProgress.secondsLeft() uses the pace so far, except when the work has hardly begun", () => {
  const progress = progressOf(["go-runc", "go-cni"]);
  assert.equal(progress.secondsLeft(0), 60);
  progress.end("go-cni", 90 * secondMs);
  assert.equal(progress.secondsLeft(90 * secondMs), 90);
  progress.begin("go-runc", 90 * secondMs);
  // After ten times its estimate the part still does not count as done.
  assert(progress.secondsLeft(390 * secondMs) > 0);
});

Deno.test("BuildProgress shows no times when the missing parts take none", () => {
  const progress = progressOf(["binaries"]);
  assert.equal(progress.plan("/cache"), "Assembles parts that are already built, in /cache\n");
  assert.equal(progress.secondsLeft(0), 0);
});
