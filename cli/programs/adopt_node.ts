/**
 * `bootstrapper adopt node`: says which machine a node of an adopted cluster is.
 *
 * @module
 */
import { AdmissionRecords } from "../../kubernetes/admission_records.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { printResult } from "../output.ts";

/** The options of `adopt node`. */
export interface AdoptNodeOptions {
  /** The Node's name, an RFC 1123 subdomain. */
  readonly nodeName: string;
  /** The machine's identity, 64 lower-case hexadecimal digits. */
  readonly identity: string;
  readonly kubeconfigFile: string;
  readonly output: OutputForm;
}

/**
 * Names the machine in the node's record.
 *
 * @throws {BootstrapError} `precondition/no-such-node` if no adopted node that is not attested has the name.
 */
export async function adoptNode(options: AdoptNodeOptions, context: CliContext): Promise<void> {
  const { nodeName, identity, kubeconfigFile, output } = options;
  using api = new KubernetesApi(await readKubeconfig(kubeconfigFile));
  const role = await new AdmissionRecords(api, context.clock).nameSuccessor(nodeName, identity);
  if (role === undefined) {
    throw new BootstrapError(
      "precondition/no-such-node",
      `No node with the name ${nodeName} waits for its machine: it was not adopted, or a machine has its record`,
      { next: "List the records with `bootstrapper nodes`", details: { node: nodeName } },
    );
  }
  const text = `${nodeName} is the ${role} with the identity ${identity}: it may prove itself now.\n` +
    "Next: on that machine, run `bootstrapper adopt here`.";
  printResult(context, output, { nodeName, role, identity }, text);
}
