import assert from "node:assert/strict";
import { join } from "node:path";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import type { Machine } from "./machine.ts";
import type { Operator } from "./operator.ts";
import type { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

const kubeletPort = 10250;

/** The fields of a CertificateSigningRequest that this test reads. */
interface SigningRequest {
  readonly spec: { readonly username: string; readonly signerName: string };
  readonly status?: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string }[];
  };
}

/** Waits until each node's kubelet has requested a serving certificate, and it has been approved and issued. */
export async function assertServingRequestsApproved(cluster: ClusterView, nodeNames: readonly string[]): Promise<void> {
  const what = `serving certificates of ${nodeNames.join(", ")}`;
  await waitUntil({ what, deadlineMs: deadlinesMs.command, everyMs: 2_000 }, async ({ saw }) => {
    const { items }: { items: readonly SigningRequest[] } = JSON.parse(
      await cluster.get("certificatesigningrequests", "--output=json"),
    );
    const issued = items.filter(({ spec, status }) =>
      spec.signerName === "kubernetes.io/kubelet-serving" && status?.certificate !== undefined &&
      status.conditions?.some(({ type }) => type === "Approved")
    ).map(({ spec }) => spec.username);
    saw(`issued to ${issued.join(", ") || "none"}`);
    return nodeNames.every((name) => issued.includes(`system:node:${name}`));
  });
}

/**
 * Checks that a machine's kubelet serves with a certificate that the cluster's CA issued for the node's name and
 * address.
 */
export async function assertServesByClusterCa(testbed: Testbed, operator: Operator, machine: Machine): Promise<void> {
  const { caPem } = await readKubeconfig(operator.kubeconfigFile);
  const caFile = join(operator.folder, "cluster-ca.crt");
  await Deno.writeTextFile(caFile, caPem);
  for (const subject of [["-verify_ip", machine.address], ["-verify_hostname", machine.name]]) {
    const { exitCode, stdout, stderr } = await testbed.exec([
      ...["openssl", "s_client", "-connect", `${machine.address}:${kubeletPort}`, "-brief"],
      ...["-CAfile", caFile, "-verify_return_error", ...subject],
    ]);
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    assert.match(stderr, /Verification: OK/);
  }
}
