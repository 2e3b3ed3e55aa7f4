import assert from "node:assert/strict";
import { join } from "node:path";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";
import type { Operator } from "./operator.ts";
import type { Testbed } from "./testbed.ts";

/** Files of a control plane whose contents must not appear anywhere else. */
const secretFiles = [
  "/etc/kubernetes/pki/ca.key",
  "/etc/kubernetes/pki/sa.key",
  "/etc/kubernetes/pki/front-proxy-ca.key",
  "/etc/kubernetes/pki/etcd/ca.key",
  "/var/lib/bootstrapper/join-service/service.key",
];
const shortestSecretLine = 40;
/** Where a killed process could leave a second copy of a key: in a temporary file, or in its run folder. */
const leftovers = "find /run/bootstrapper /etc/kubernetes /var/lib/bootstrapper -type f " +
  "\\( -path '/run/bootstrapper/*' -o -name '.*.tmp' \\) -print 2>/dev/null || true";

/**
 * Checks that no key of the operator or of the given control planes, which are members, appears in any machine's
 * journal or console, in any log, or in the `further` texts, and that no second copy of a key is left.
 *
 * @param further texts to search, by a description of each
 */
export async function assertNoSecrets(
  testbed: Testbed,
  operator: Operator,
  controlPlanes: readonly Machine[],
  further: Readonly<Record<string, string>> = {},
): Promise<void> {
  const secrets = [await Deno.readTextFile(operator.keyFile), await Deno.readTextFile(operator.kubeconfigFile)];
  for (const machine of controlPlanes) {
    for (const path of secretFiles) {
      const { exitCode, stdout } = await machine.exec(["cat", path], { deadlineMs: deadlinesMs.command });
      assert.equal(exitCode, 0, `${path} of ${machine.name}`);
      secrets.push(stdout);
    }
    const { stdout: left } = await machine.exec(["sh", "-c", leftovers], { deadlineMs: deadlinesMs.command });
    assert.equal(left, "", `left on ${machine.name}`);
  }
  const needles = [...new Set(secrets.flatMap(secretLines))];
  assert(needles.length >= new Set(secrets).size);
  const logs = [...await logFiles(testbed.folder), ...await logFiles(operator.folder)];
  for (const machine of testbed.machines) {
    logs.push(...["journal.jsonl", "console.log", "qemu.log"].map((name) => join(machine.folder, name)));
  }
  const texts = await Promise.all(logs.map(async (path) => [path, await Deno.readTextFile(path).catch(() => "")]));
  for (const [what, text = ""] of [...texts, ...Object.entries(further)]) {
    for (const needle of needles) assert(!text.includes(needle), `a secret is in ${what}`);
  }
}

async function logFiles(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.filter(({ name }) => name.endsWith(".log")).map(({ name }) => join(folder, name));
}

/** The base64 lines of private keys in PEM, and the whole key of a kubeconfig. */
function secretLines(text: string): string[] {
  const keyData = /client-key-data: (\S+)/.exec(text)?.[1];
  if (keyData !== undefined) return [keyData, ...secretLines(atob(keyData))];
  return text.split("\n").filter((line) => line.length >= shortestSecretLine && !line.startsWith("-----"));
}
