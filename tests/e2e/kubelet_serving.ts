import assert from "node:assert/strict";
import { join } from "node:path";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { Machine } from "./machine.ts";
import type { Operator } from "./operator.ts";
import type { Testbed } from "./testbed.ts";

const kubeletPort = 10250;

/**
 * Checks that a machine's kubelet serves with a certificate that the cluster's CA issued for the node's name and
 * address.
 *
 * @param at When the certificate must be valid. Default: now.
 */
export async function assertServesByClusterCa(
  testbed: Testbed,
  operator: Operator,
  machine: Machine,
  at: Date = new Date(),
): Promise<void> {
  const { caPem } = await readKubeconfig(operator.kubeconfigFile);
  const caFile = join(operator.folder, "cluster-ca.crt");
  await Deno.writeTextFile(caFile, caPem);
  for (const subject of [["-verify_ip", machine.address], ["-verify_hostname", machine.name]]) {
    const { exitCode, stdout, stderr } = await testbed.exec([
      ...["openssl", "s_client", "-connect", `${machine.address}:${kubeletPort}`, "-brief"],
      ...["-CAfile", caFile, "-verify_return_error", ...subject],
      ...["-attime", String(Math.floor(at.getTime() / 1000))],
    ]);
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    assert.match(stderr, /Verification: OK/);
  }
}
