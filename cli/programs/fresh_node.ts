/**
 * The parts of `verify` and `policy make` that connect to a fresh node. The node stays fresh.
 *
 * @module
 */
import { proveChannelBinding } from "../../channel/finished.ts";
import type { Explanation } from "../../attestation/explain/explain.ts";
import { piecesOf } from "../../attestation/combined.ts";
import type { Evidence } from "../../attestation/evidence.ts";
import { explainConnection } from "../../attestation/explain/explain.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { acceptedTrust, acceptedTrustOf } from "../../attestation/policy/accepted_trust.ts";
import type { Policy } from "../../attestation/policy/policy.ts";
import { isInsecure } from "../../attestation/policy/policy.ts";
import { policyRemarks } from "../../attestation/policy/policy_remarks.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import type { FileSources, MadePolicy, MakeContext } from "../../attestation/policy/policy_make.ts";
import { makePolicyOf } from "../../attestation/policy/policy_make.ts";
import type { FreshNode } from "../../operator/verify_fresh_node.ts";
import { verifyFreshNode } from "../../operator/verify_fresh_node.ts";
import { endpointText } from "../../platform/endpoint.ts";
import { collateralOf } from "../collateral.ts";
import type { CliContext } from "../context.ts";
import { INSECURE } from "../insecure.ts";
import type { FreshNodeOptions } from "../fresh_node_options.ts";
import { readOperatorKeyFile, trustedOperators } from "../operator_key_file.ts";
import { terminationSignal } from "../termination.ts";

/** Explains check by check whether `init` would accept a node. */
export async function explainFreshNode(
  options: FreshNodeOptions,
  policy: Policy,
  context: CliContext,
): Promise<Explanation> {
  const verifier = createVerifier(policy, "init", collateralOf(policy, context.clock), () => context.clock.now());
  const explanation = await withNode(
    options,
    () => acceptedTrust(policy, "init"),
    context,
    (node) =>
      explainConnection(policy, verifier, async (keeping, report) => {
        return (await verifyFreshNode(node, keeping, report)).claims;
      }),
  );
  const insecure = isInsecure(policy) ? [INSECURE] : [];
  return { ...explanation, remarks: [...insecure, ...policyRemarks(policy), ...explanation.remarks] };
}

/** Makes a policy that accepts a node and the machines of evidence files. */
export function makePolicyOfFreshNode(
  options: FreshNodeOptions,
  sources: FileSources,
  make: MakeContext & Required<Pick<MakeContext, "kinds">>,
  context: CliContext,
): Promise<MadePolicy> {
  // A policy made from a node's evidence trusts the node. So the kinds of evidence are those that the node shows.
  const accepts = (evidence: Evidence) =>
    acceptedTrustOf(shownKinds(evidence, make.kinds), sources.allowedSwitches ?? [], make.kinds);
  return withNode(options, accepts, context, (node) => {
    return makePolicyOf(node.endpoint, sources, make, (verifier) => verifyFreshNode(node, verifier));
  });
}

function shownKinds(evidence: Evidence, kinds: readonly EvidenceKind[]): readonly EvidenceKind[] {
  const shown = piecesOf(evidence).map(({ variant }) => variant);
  return shown.flatMap((name) => kinds.find((kind) => kind.name === name) ?? []);
}

async function withNode<T>(
  options: FreshNodeOptions,
  accepts: FreshNode["accepts"],
  context: CliContext,
  use: (node: FreshNode) => Promise<T>,
): Promise<T> {
  const { clusterName, keyFile, passphraseFile, otherOperatorFiles } = options;
  const operator = await readOperatorKeyFile(keyFile, passphraseFile, context.terminal);
  const operatorKeys = await trustedOperators(operator, otherOperatorFiles);
  using termination = terminationSignal();
  await proveChannelBinding();
  const { signal } = termination;
  return await use({ endpoint: endpointText(options.node), clusterName, operator, operatorKeys, accepts, signal });
}
