import assert from "node:assert/strict";
import fc from "fast-check";
import { parseFailedChecks, parseFailure, parseProgress, parseWarning } from "./_kubeadm_output.ts";

Deno.test("parseProgress() returns phase and detail of a progress line", () => {
  assert.deepEqual(parseProgress('[certs] Generating "apiserver" certificate and key'), {
    phase: "certs",
    detail: 'Generating "apiserver" certificate and key',
  });
  assert.equal(parseProgress("Your Kubernetes control-plane has initialized successfully!"), undefined);
  assert.equal(parseProgress("W1121 02:00:51.012570 47 kubelet.go:63] [kubelet-start] WARNING"), undefined);
  assert.equal(parseProgress("\t[WARNING Hostname]: x"), undefined);
});

const PREFLIGHT = [
  "[preflight] Running pre-flight checks",
  '\t[WARNING Hostname]: hostname "cp-1" could not be reached',
  "[preflight] Some fatal errors occurred:",
  "\t[ERROR CRI]: could not connect to the container runtime",
  "\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: contents are not set to 1",
  ", error: second line",
  "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`",
  "error: error execution phase preflight: preflight checks failed",
  "To see the stack trace of this error execute with --v=5 or higher",
].join("\n");

Deno.test("parseFailedChecks() returns each failed check with its whole reason, and no warning", () => {
  assert.deepEqual(parseFailedChecks(PREFLIGHT), [
    { check: "CRI", reason: "could not connect to the container runtime" },
    { check: "FileContent--proc-sys-net-ipv4-ip_forward", reason: "contents are not set to 1 , error: second line" },
  ]);
  assert.deepEqual(parseFailedChecks("[preflight] Running pre-flight checks\n"), []);
});

Deno.test("parseFailure() returns phase and reason of a failed run", () => {
  assert.deepEqual(parseFailure(PREFLIGHT), { phase: "preflight", reason: "preflight checks failed" });
  assert.deepEqual(parseFailure("error: unknown flag\nTo see the stack trace of this error execute with --v=5"), {
    phase: "",
    reason: "unknown flag",
  });
  assert.deepEqual(parseFailure(""), { phase: "", reason: "it gave no reason" });
});

Deno.test("the parsers of kubeadm's output accept any text", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    parseProgress(text);
    parseFailedChecks(text);
    assert.equal(typeof parseFailure(text).reason, "string");
  }));
});

Deno.test("parseWarning() finds the warnings of preflight checks and of klog, and nothing else", () => {
  const cases: readonly (readonly [line: string, warning: string | undefined])[] = [
    ["\t[WARNING Swap]: swap is supported for cgroup v2 only", "Swap: swap is supported for cgroup v2 only"],
    [
      "\t[WARNING SystemVerification]: missing optional cgroups: aio",
      "SystemVerification: missing optional cgroups: aio",
    ],
    [
      "W1129 05:00:00.000000    1234 checks.go:846] detected that the sandbox image differs",
      "detected that the sandbox image differs",
    ],
    ["\t[ERROR Swap]: swap is on", undefined],
    ["I1129 05:00:00.000000    1234 x.go:1] fine", undefined],
    ["[certs] Generating", undefined],
    ["W1129 of another program] no", undefined],
    ["", undefined],
  ];
  for (const [line, warning] of cases) assert.equal(parseWarning(line), warning, line);
});
