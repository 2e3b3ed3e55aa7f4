/**
 * `bootstrapper init`: reads the operator's files, founds the cluster, and writes the kubeconfig and the cluster file.
 *
 * @module
 */
import { dirname } from "node:path";
import { stringify } from "yaml";
import type { EvidenceClaims } from "../../attestation/evidence.ts";
import { acceptedTrust } from "../../attestation/policy/accepted_trust.ts";
import { isInsecure, readPolicy } from "../../attestation/policy/policy.ts";
import { policyRemarks } from "../../attestation/policy/policy_remarks.ts";
import { createVerifier } from "../../attestation/policy/policy_verifier.ts";
import { collateralOf } from "../collateral.ts";
import { clusterIdOf } from "../../certificate/cluster_id.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { operatorKeyLine } from "../../certificate/operator_key.ts";
import { readPem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { proveChannelBinding } from "../../channel/finished.ts";
import type { HeldRecord } from "../../operator/cluster_records.ts";
import { holdRecord } from "../../operator/cluster_records.ts";
import type { LostNode, NewCluster } from "../../operator/init_client.ts";
import { foundOnNode } from "../../operator/init_client.ts";
import { startOverAdvice } from "../../operator/start_over.ts";
import type { ApiCredentials } from "../../kubernetes/api.ts";
import { kubeconfig, readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import { checkNetworkManifest } from "../../kubernetes/network_manifest.ts";
import { clusterRemarks, readNewClusterSettings } from "../../kubernetes/new_cluster.ts";
import { DEFAULT_CLUSTER_DOCUMENT } from "../../kubernetes/settings.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { base64, equalBytes, fromHex, hex, utf8 } from "../../platform/bytes.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { endpointText } from "../../platform/endpoint.ts";
import { secondsText } from "../../platform/duration.ts";
import { BootstrapError, sentenceOf } from "../../platform/errors.ts";
import { exists, readFile, writeFileAtomic } from "../../platform/files.ts";
import { PeerError } from "../../protocol/refusal.ts";
import { kindsOf } from "../kinds.ts";
import type { CliContext, OutputForm } from "../context.ts";
import type { ProgressPrinter } from "./init_progress.ts";
import { progressPrinter } from "./init_progress.ts";
import type { FoundedCluster } from "./init_network.ts";
import { completeCluster, foundedEarlier, NETWORK_ADVICE } from "./init_network.ts";
import { readNetworkFiles } from "./network_files.ts";
import { INSECURE } from "../insecure.ts";
import { readOperatorKeyFile, trustedOperators } from "../operator_key_file.ts";
import { printResult } from "../output.ts";
import { terminationSignal } from "../termination.ts";

const SECRET = { mode: 0o600 };
const PUBLIC = { mode: 0o644 };

/** The options of `init`. */
export interface InitOptions {
  /** The endpoint of the node's InitServer. */
  readonly node: Endpoint;
  /** The name of the cluster, an RFC 1123 label. */
  readonly clusterName: string;
  /** The file with the policy for the node's evidence, which the cluster's join services apply too. */
  readonly policyFile: string;
  /** The file with the operator's private key. */
  readonly keyFile: string;
  /** The file with the key's passphrase. Without it, an encrypted key's passphrase is asked at the terminal. */
  readonly passphraseFile?: string;
  /**
   * Files with the public keys of the node's other operators. They are needed because the keys of all operators are
   * measured together.
   */
  readonly otherOperatorFiles: readonly string[];
  /** The file with the cluster's settings. */
  readonly settingsFile?: string;
  /** The only identity that the node may have, 32 bytes. */
  readonly expectIdentity?: Bytes;
  /** The manifests of a network plug-in, and folders of them, in the order in which they are applied. */
  readonly networkPaths: readonly string[];
  /** The path for the kubeconfig. */
  readonly kubeconfigFile: string;
  /** The path for the public cluster file. */
  readonly clusterFile: string;
  /** How long a started operation may go without progress, in milliseconds. */
  readonly patienceMs: number;
  /**
   * How long to wait at the end until the node is Ready, in milliseconds. Without it, `init` does not wait for that.
   */
  readonly waitMs?: number;
  /** The folder of the operator's cluster records. */
  readonly recordsFolder: string;
  readonly output: OutputForm;
}

/** Founds a cluster. Ends when the kubeconfig is written and, if requested, the node is Ready. */
export async function init(options: InitOptions, context: CliContext): Promise<void> {
  const { clusterName, policyFile, keyFile, settingsFile, recordsFolder, waitMs, output, networkPaths } = options;
  const policyDocument = await readText(policyFile);
  const policy = readPolicy(policyDocument, policyFile, kindsOf(context));
  const clusterDocument = settingsFile === undefined ? DEFAULT_CLUSTER_DOCUMENT : await readText(settingsFile);
  const settings = readNewClusterSettings(clusterDocument, settingsFile);
  const network = await readNetworkFiles(networkPaths);
  const networkRemarks = checkNetworkManifest(network, settings);
  const operator = await readOperatorKeyFile(keyFile, options.passphraseFile, context.terminal);
  const operatorKeys = await trustedOperators(operator, options.otherOperatorFiles);
  for (const path of [options.kubeconfigFile, options.clusterFile]) await checkFolderOf(path);
  using termination = terminationSignal();
  using record = await holdRecord(recordsFolder, clusterName);
  await checkKubeconfigIsFree(options, record);
  await proveChannelBinding();
  using printer = progressPrinter(context, output);
  for (const remark of networkRemarks) printer.note("network-remark", remark, { remark });
  if (isInsecure(policy)) printer.note("insecure", INSECURE, { insecure: true });
  for (const remark of policyRemarks(policy)) printer.note("policy-remark", remark, { remark });
  for (const remark of clusterRemarks(settings)) printer.note("cluster-remark", remark, { remark });
  const { clock } = context;
  const startMs = clock.monotonicMs();
  const complete = async (founded: FoundedCluster, credentials: ApiCredentials) => {
    const times = { clock, waitMs, patienceMs: options.patienceMs, signal: termination.signal };
    await completeCluster(founded, credentials, network, times, printer).catch((error: unknown) => {
      throw termination.signal.aborted ? stoppedAfterFounding(options, network.length > 0, error) : error;
    });
    showEnd(options, context, founded, network.length > 0, clock.monotonicMs() - startMs);
  };
  if (network.length > 0 && record.current?.state === "founded" && await exists(options.kubeconfigFile)) {
    const { cluster, credentials } = await foundedEarlier(record.current, options.kubeconfigFile);
    const text = `The cluster was founded on ${record.current.time}; going on with its network`;
    printer.note("founded-earlier", text, { clusterId: cluster.clusterId, time: record.current.time });
    return await complete(cluster, credentials);
  }
  const cluster = await foundOnNode({
    endpoint: endpointText(options.node),
    clusterName,
    operator,
    operatorKeys,
    record,
    clock,
    clusterDocument,
    policyDocument,
    accepted: acceptedTrust(policy, "init"),
    verifier: createVerifier(policy, "init", collateralOf(policy, clock), () => clock.now()),
    signal: termination.signal,
    random: Math.random,
    patienceMs: options.patienceMs,
    ...(options.expectIdentity === undefined ? {} : { expectIdentity: hex(options.expectIdentity) }),
    onVerified: (claims, clusterId, again) => showVerified(printer, claims, clusterId, again),
    onRemark: (remark) => printer.note("node-remark", remark, { remark }),
    onProgress: (event) => printer.progress(event),
    onLost: (lost) => showLost(printer, endpointText(options.node), lost),
    keep: (newCluster) => keep(options, operator, newCluster),
  }).catch((error: unknown) => {
    const advice = startOverAdvice(error, record.current);
    if (advice !== undefined) printer.note("start-over", advice, { advice });
    throw error;
  });
  await complete(cluster, credentialsOf(cluster));
}

/** The error for an init that is stopped while it applies the network, or waits for the node. */
function stoppedAfterFounding({ kubeconfigFile }: InitOptions, hasNetwork: boolean, cause: unknown): BootstrapError {
  return new BootstrapError("aborted/init", "The init was stopped; the cluster is founded, and goes on", {
    cause,
    next: hasNetwork
      ? "Run init again with the same arguments: it goes on with the network"
      : `Nothing is left to do here: \`kubectl --kubeconfig ${kubeconfigFile} get nodes\` shows when the node is Ready`,
  });
}

async function readText(path: string): Promise<string> {
  return documentText(await readFile(path, MAXIMUM_DOCUMENT_BYTES), path);
}

/** Checks that a file can get a place, before a cluster is founded whose files would have none. */
async function checkFolderOf(path: string): Promise<void> {
  const folder = dirname(path);
  if (await exists(folder)) return;
  throw new BootstrapError("system/file", `Cannot write ${path}: the folder ${folder} does not exist`, {
    next: "Make the folder, or check the path",
    details: { path },
  });
}

/** Refuses to overwrite the kubeconfig of another cluster, which may be the only access to it. */
async function checkKubeconfigIsFree({ kubeconfigFile }: InitOptions, record: HeldRecord): Promise<void> {
  if (!await exists(kubeconfigFile)) return;
  const taken = new BootstrapError("usage/kubeconfig", `${kubeconfigFile} exists already, for another cluster`, {
    next: "Name another file with --kubeconfig, or move this one away",
    details: { path: kubeconfigFile },
  });
  const { caPem } = await readKubeconfig(kubeconfigFile).catch(() => {
    throw taken;
  });
  const clusterId = await clusterIdOf(readCertificate(readPem(caPem, "CERTIFICATE", kubeconfigFile), kubeconfigFile));
  const { current } = record;
  if (current === undefined || !equalBytes(clusterId, fromHex(current.clusterId, "clusterId"))) throw taken;
}

function showVerified(printer: ProgressPrinter, claims: EvidenceClaims, clusterId: string, again: boolean): void {
  const { identity, variant } = claims;
  const goesOn = again ? ", which continues the recorded operation" : "";
  const text = `Verified the node by ${variant}: identity ${identity}${goesOn}\nCluster ID ${clusterId}`;
  printer.note("verified", text, { identity, variant, clusterId, again });
}

function showLost(printer: ProgressPrinter, node: string, { error, failures, pauseMs, lastSeen }: LostNode): void {
  const reason = sentenceOf(error);
  const what = error instanceof PeerError
    ? `The node at ${node} cannot go on yet: ${reason}`
    : `Lost the node at ${node}: ${reason}. It was last seen at ${lastSeen}`;
  const text = `${what}. Waiting for it; retrying in ${secondsText(pauseMs)} s`;
  printer.note("reconnecting", text, { node, code: error.code, reason, failures, pauseMs, lastSeen });
}

function credentialsOf(cluster: NewCluster): ApiCredentials {
  return {
    server: `https://${cluster.apiEndpoints[0]}`,
    caPem: cluster.caCertificatePem,
    certificatePem: cluster.adminCertificatePem,
    keyPem: cluster.adminKeyPem,
  };
}

async function keep(options: InitOptions, operator: KeyPair, cluster: NewCluster): Promise<void> {
  const { clusterName, clusterId, founding, apiEndpoints, joinEndpoints } = cluster;
  const text = kubeconfig({ clusterName, userName: "admin", ...credentialsOf(cluster) });
  await writeFileAtomic(options.kubeconfigFile, utf8(text), SECRET);
  const document = stringify({
    version: 1,
    clusterName,
    clusterId,
    founding: { operatorKey: operatorKeyLine(operator.spki), signature: base64(founding.signature) },
    apiEndpoints,
    joinEndpoints,
  }, { lineWidth: 0 });
  await writeFileAtomic(options.clusterFile, utf8(document), PUBLIC);
}

function showEnd(
  { kubeconfigFile, clusterFile, waitMs, output }: InitOptions,
  context: CliContext,
  { clusterName, clusterId, nodeName, apiEndpoints }: FoundedCluster,
  hasNetwork: boolean,
  durationMs: number,
): void {
  const result = {
    event: "founded",
    clusterName,
    clusterId,
    nodeName,
    ready: waitMs !== undefined,
    hasNetwork,
    apiEndpoints,
    kubeconfigFile,
    clusterFile,
    durationMs,
  };
  printResult(
    context,
    output,
    result,
    [
      `Cluster "${clusterName}" runs on ${nodeName} after ${secondsText(durationMs)} s.`,
      `  cluster ID    ${clusterId}`,
      `  kubeconfig    ${kubeconfigFile}`,
      `  cluster file  ${clusterFile}`,
      ...(hasNetwork || waitMs !== undefined ? [] : [NETWORK_ADVICE + "."]),
    ].join("\n"),
  );
}
