/**
 * Documents that people write: policies, configurations, and the keys and addresses in them.
 *
 * @module
 */
import { NO_COLLATERAL } from "../../../attestation/collateral.ts";
import { readPolicy, roleOf } from "../../../attestation/policy/policy.ts";
import { createVerifier } from "../../../attestation/policy/policy_verifier.ts";
import {
  FOUNDING_TOKEN_START,
  foundingTokenText,
  looksLikeFoundingToken,
  readFoundingToken,
  readTokenKey,
  tokenKeyText,
} from "../../../protocol/founding_token.ts";
import { trustDigest } from "../../../protocol/transcript.ts";
import { clusterIdText, readClusterId } from "../../../certificate/cluster_id.ts";
import { operatorKeyLine, readOperatorKey } from "../../../certificate/operator_key.ts";
import { KINDS } from "../../../attestation/kinds.ts";
import { checkDocument } from "../../../cli/document_check.ts";
import { readDuration } from "../../../cli/duration.ts";
import { clusterNetwork } from "../../../service/claims_check.ts";
import { checkKubeletVersion } from "../../../service/kubelet_version.ts";
import { parseEtcdEndpoint } from "../../../kubernetes/_etcd_tls.ts";
import { checkUnique, readManifest } from "../../../kubernetes/manifest.ts";
import { checkNetworkManifest } from "../../../kubernetes/network_manifest.ts";
import { clusterRemarks, readNewClusterSettings } from "../../../kubernetes/new_cluster.ts";
import { readClusterSettings } from "../../../kubernetes/settings.ts";
import { configurationRemarks, readNewNodeConfiguration, readNodeConfiguration } from "../../../node/configuration.ts";
import { readEndpointSource, sourceText } from "../../../platform/endpoint_source.ts";
import { endpointText, readEndpoint, readListenAddress } from "../../../platform/endpoint.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import { equalBytes, fromUtf8, textIn } from "../../../platform/bytes.ts";
import { addressBytes, isInNetwork, nodeAddressProblem, readNetwork } from "../../../platform/ip_address.ts";
import { isLabel, isNodeName, labelProblem, nodeNameProblem } from "../../../platform/label.ts";
import { readAdoption } from "../../../kubernetes/adoption_store.ts";
import {
  clusterConfigurationText,
  readClusterConfiguration,
  withoutKubeletSigner,
} from "../../../kubernetes/cluster_configuration.ts";
import { withOwnCertificates } from "../../../node/adopted_kubelet.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf } from "./_checks.ts";

const ADOPTION = { version: "1", clusterDocument: "", foundings: "[]", apiEndpoints: "[]", joinEndpoints: "[]" };
const NOW = new Date("2026-05-01T00:00:00Z");
const MAXIMUM_BYTES = 65 << 10;

export const documentTargets: readonly FuzzTarget[] = [
  {
    name: "policy",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const policy = readPolicy(fromUtf8(input, "fuzz"), "fuzz");
      createVerifier(policy, "node", NO_COLLATERAL, () => NOW);
      roleOf(policy, "");
    },
  },
  {
    name: "node-configuration",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => async (input) => {
      const text = fromUtf8(input, "fuzz");
      const configuration = readNodeConfiguration(text, "fuzz");
      const { trust, join, foundingPolicy } = configuration;
      await trustDigest(trust);
      join.endpoints.map(sourceText);
      if (foundingPolicy !== undefined) readPolicy(foundingPolicy.document, "fuzz");
      if (configurationRemarks(configuration).length === 0) readNewNodeConfiguration(text, "fuzz");
    },
  },
  {
    name: "cluster-document",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      const { serviceSubnet } = readClusterSettings(text);
      clusterNetwork(["127.0.0.1:6443"], text);
      clusterRemarks(readNewClusterSettings(text));
      if (serviceSubnet !== undefined) isInNetwork(addressBytes("192.0.2.1") ?? new Uint8Array(), serviceSubnet);
    },
  },
  {
    name: "adopted-cluster",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      return eachOf(
        () => {
          const written = clusterConfigurationText(withoutKubeletSigner(readClusterConfiguration(text)));
          const again = clusterConfigurationText(withoutKubeletSigner(readClusterConfiguration(written)));
          promise(again === written, "an adoption that is finished twice changes the configuration twice");
        },
        () => {
          const written = withOwnCertificates(text, "fuzz");
          promise(withOwnCertificates(written, "fuzz") === written, "a kubelet's configuration changes twice");
        },
        () => void readAdoption({ ...ADOPTION, foundings: text }),
        () => void readAdoption({ ...ADOPTION, joinEndpoints: text }),
      );
    },
  },
  {
    name: "checked-document",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const { document, title, problems, remarks } = checkDocument("fuzz", input, undefined, KINDS);
      promise(
        problems.length > 0 || document !== undefined || title !== undefined,
        "a file has neither use nor problem",
      );
      promise(problems.length === 0 || document === undefined, "a document with problems is used");
      const text = textIn(input) ?? "";
      const lines = text.split("\n").length;
      const isThere = ({ line = 1 }: { readonly line?: number }) => line >= 1 && line <= lines;
      promise([...problems, ...remarks].every(isThere), "a finding is at a line that is not there");
      const said = problems.map(({ message }) => message).join();
      promise(!looksLikeFoundingToken(text) || !isShown(text, said), "a finding shows a part of a token");
      if (problems.length > 0) throw new BootstrapError("usage/document", said);
    },
  },
  {
    name: "network-manifest",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const objects = readManifest(fromUtf8(input, "fuzz"), "fuzz");
      checkUnique(objects);
      checkNetworkManifest(objects, { podSubnet: "10.244.0.0/16", kubeProxy: true });
    },
  },
  {
    name: "founding-token",
    form: "text",
    maximumBytes: 256,
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      return eachOf(
        () => {
          try {
            const written = foundingTokenText(readFoundingToken(text, "fuzz"));
            promise(written === text.trim().toLowerCase(), "a token has two forms");
          } catch (error) {
            promise(!isShown(text, error), "an error shows a part of the token");
            throw error;
          }
        },
        () => {
          const key = readTokenKey(text, "fuzz");
          promise(equalBytes(readTokenKey(tokenKeyText(key), "fuzz"), key), "a token key changes when it is written");
        },
      );
    },
  },
  {
    name: "fields",
    form: "text",
    maximumBytes: MAXIMUM_BYTES,
    open: () => (input) => {
      const text = fromUtf8(input, "fuzz");
      return eachOf(
        () => {
          const spki = readOperatorKey(text, "fuzz");
          promise(
            equalBytes(readOperatorKey(operatorKeyLine(spki), "fuzz"), spki),
            "a key that is written again is another",
          );
        },
        () => {
          const id = readClusterId(text, "fuzz");
          promise(equalBytes(readClusterId(clusterIdText(id), "fuzz"), id), "an ID changes when it is written again");
        },
        () => {
          const written = endpointText(readEndpoint(text, "fuzz", 6443));
          promise(
            endpointText(readEndpoint(written, "fuzz")) === written,
            "an endpoint that is written again is another",
          );
        },
        () => {
          const written = sourceText(readEndpointSource(text, "fuzz"));
          promise(
            sourceText(readEndpointSource(written, "fuzz")) === written,
            "a source of endpoints that is written again is another",
          );
        },
        () => readListenAddress(text, "fuzz"),
        () => {
          const network = readNetwork(text);
          if (typeof network === "string") return;
          const again = readNetwork(network.text);
          promise(
            typeof again !== "string" && again.text === network.text,
            "a network that is written again is another",
          );
          promise(isInNetwork(network.start, text), "the first address of a network is not in it");
        },
        () => {
          const isAddress = nodeAddressProblem(text) === undefined;
          promise(!isAddress || addressBytes(text) !== undefined, "a node may have an address that is none");
          promise(isNodeName(text) || nodeNameProblem(text) !== undefined, "a wrong name has no problem");
          promise(!isLabel(text) || labelProblem(text) === undefined, "a label has a problem");
        },
        () => readDuration(text, "fuzz"),
        () => checkKubeletVersion(text, "v1.36.3"),
        () => {
          parseEtcdEndpoint(text);
          const length = addressBytes(text)?.length ?? 4;
          promise(length === 4 || length === 16, "an address has the wrong length");
        },
      );
    },
  },
];

/** Whether an error shows eight characters in a row of what may be a token. */
function isShown(text: string, error: unknown): boolean {
  const body = text.trim().slice(FOUNDING_TOKEN_START.length);
  const said = String(error);
  return Array.from({ length: Math.max(body.length - 7, 0) }, (_, at) => body.slice(at, at + 8))
    .some((part) => /^[a-z0-9]{8}$/i.test(part) && said.includes(part));
}
