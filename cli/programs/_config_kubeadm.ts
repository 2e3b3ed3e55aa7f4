/**
 * Has kubeadm read cluster documents, where it is installed.
 *
 * @module
 */
import { initDocuments } from "../../kubernetes/documents.ts";
import { Kubeadm } from "../../kubernetes/kubeadm.ts";
import { KUBEADM_SERVICE_SUBNET, subnetsOf } from "../../kubernetes/settings.ts";
import type { ClusterSettings } from "../../kubernetes/settings.ts";
import { hasCode } from "../../platform/errors.ts";
import type { CliContext } from "../context.ts";
import type { CheckedFile } from "../document_check.ts";

const DEADLINE_MS = 60_000;
/** Addresses of no machine (RFC 5737, RFC 3849), for a node that is not known yet. */
const ADDRESSES = { 4: "192.0.2.10", 6: "2001:db8::10" } as const;

/** The files with what kubeadm says of them, and whether it was asked. */
export interface KubeadmFindings {
  readonly files: readonly CheckedFile[];
  /** For people: whether kubeadm read the cluster documents; absent if there are none. */
  readonly note?: string;
}

/** Runs `kubeadm config validate` for each cluster document without problems. */
export async function kubeadmFindings(
  files: readonly CheckedFile[],
  { commands }: Pick<CliContext, "commands">,
): Promise<KubeadmFindings> {
  if (!files.some(({ document }) => document?.kind === "cluster")) return { files };
  return await withKubeadm(commands, async (kubeadm) => {
    const found: CheckedFile[] = [];
    for (const checked of files) {
      const { document } = checked;
      if (document?.kind !== "cluster") {
        found.push(checked);
        continue;
      }
      try {
        const reason = await kubeadm.validate(documentsOf(document.settings), { deadlineMs: DEADLINE_MS });
        const problems = reason === undefined ? [] : [{ line: 1, key: "", message: `kubeadm refuses it: ${reason}` }];
        found.push({ ...checked, problems: [...checked.problems, ...problems] });
      } catch (error) {
        if (!hasCode(error, "system/command")) throw error;
        return { files, note: "it is not on this machine, so its own checks were not made" };
      }
    }
    return { files: found, note: "it has read the cluster document" };
  });
}

/** Runs a task with a kubeadm whose private folder is removed afterwards. */
export async function withKubeadm<T>(
  commands: CliContext["commands"],
  task: (kubeadm: Kubeadm) => Promise<T>,
): Promise<T> {
  const privateFolder = await Deno.makeTempDir({ prefix: "bootstrapper-" });
  try {
    return await task(new Kubeadm({ commands, privateFolder }));
  } finally {
    await Deno.remove(privateFolder, { recursive: true });
  }
}

/** What kubeadm would be given on a node with a placeholder's name and addresses. */
function documentsOf(settings: ClusterSettings): string {
  const [first, second] = subnetsOf(settings.serviceSubnet ?? KUBEADM_SERVICE_SUBNET);
  const node = {
    name: "node",
    address: ADDRESSES[first.family],
    ...(second === undefined ? {} : { secondAddress: ADDRESSES[second.family] }),
  };
  return initDocuments(settings, { clusterName: "cluster", node });
}
