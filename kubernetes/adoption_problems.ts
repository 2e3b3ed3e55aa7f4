/**
 * Why a cluster that kubeadm made cannot be adopted.
 *
 * @module
 */
import type { FailedCheck } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { AUTHORIZATION_FILE, AUTHORIZATION_FOLDER } from "./authorization_configuration.ts";
import { clusterDocumentOf, KUBEADM_API_VERSION } from "./cluster_configuration.ts";
import type { ClusterSurvey, ComponentFlags, SurveyedNode } from "./cluster_survey.ts";
import { API_SERVER_PORT } from "./documents.ts";
import { OLDEST_MINOR } from "./new_cluster.ts";
import { readClusterSettings } from "./settings.ts";

/** Checks that a node may have its name and its addresses; throws if it may not. */
export type CheckClaims = (node: SurveyedNode) => void;

const PKI_FOLDER = "/etc/kubernetes/pki";
const CA_FILE = `${PKI_FOLDER}/ca.crt`;
const MODES = "Node,RBAC";
const OWN_FILE = `${AUTHORIZATION_FOLDER}/${AUTHORIZATION_FILE}`;
const MINOR = /^v1\.(\d+)\./;

/**
 * Returns each reason why a cluster cannot be adopted, by the name of the check.
 *
 * @param survey What the cluster shows.
 * @param isUnderWay Whether its adoption has begun: then it has admission records.
 * @param checkClaims Checks one node's name and addresses.
 */
export function adoptionProblems(
  survey: ClusterSurvey,
  isUnderWay: boolean,
  checkClaims: CheckClaims,
): readonly FailedCheck[] {
  return [
    ...versionProblems(survey),
    ...settingsProblems(survey),
    ...survey.apiServers.flatMap((one) => [...apiServerProblems(one)]),
    ...survey.controllerManagers.flatMap((one) => [...externalCaProblems(one)]),
    ...controlPlaneProblems(survey),
    ...nodeProblems(survey, checkClaims),
    ...(isUnderWay || survey.admissions.length === 0 ? [] : [failed(
      "signers",
      "The cluster has admission records, so it has signers already",
      "no admission record",
      `${survey.admissions.length}`,
    )]),
  ];
}

function failed(check: string, message: string, expected: string, seen: string): FailedCheck {
  return { check, message, expected, seen };
}

function* versionProblems({ version, configuration: { apiVersion } }: ClusterSurvey): Generator<FailedCheck> {
  const [, minor = "0"] = MINOR.exec(version) ?? [];
  if (Number(minor) < OLDEST_MINOR) {
    yield failed(
      "kubernetes-version",
      "The API server is too old: kubeadm reads v1beta4 documents since v1.31",
      `v1.${OLDEST_MINOR}`,
      version,
    );
  }
  if (apiVersion !== KUBEADM_API_VERSION) {
    yield failed(
      "kubeadm-version",
      "kubeadm's configuration in the cluster has an older form: `kubeadm upgrade` and `kubeadm config migrate` renew it",
      KUBEADM_API_VERSION,
      apiVersion,
    );
  }
}

function* settingsProblems({ configuration, apiEndpoint }: ClusterSurvey): Generator<FailedCheck> {
  const { certificatesDir, etcd, networking } = configuration;
  if (certificatesDir !== "" && certificatesDir !== PKI_FOLDER) {
    yield failed("certificates-dir", "The cluster's keys are in another folder", PKI_FOLDER, certificatesDir);
  }
  if (etcd.external !== undefined) {
    yield failed("etcd", "etcd does not run on the control planes", "etcd by kubeadm", "external etcd");
  }
  if (apiEndpoint === "") {
    yield failed("api-endpoint", "It is not known where nodes reach the API server", "controlPlaneEndpoint", "nothing");
  }
  try {
    readClusterSettings(clusterDocumentOf(configuration), "kubeadm's configuration");
  } catch (error) {
    const seen = JSON.stringify({ ...networking, kubernetesVersion: configuration.kubernetesVersion });
    yield failed("settings", asBootstrapError(error).message, "settings that a cluster document can have", seen);
  }
}

function* apiServerProblems({ nodeName, flags }: ComponentFlags): Generator<FailedCheck> {
  const { "authorization-config": file, "authorization-mode": modes, "secure-port": port, "client-ca-file": ca } =
    flags;
  if (file !== undefined && file !== OWN_FILE) {
    yield failed(
      "authorization",
      `The API server of ${nodeName} has an AuthorizationConfiguration of its own`,
      "nothing",
      file,
    );
  } else if (file === undefined && modes !== MODES) {
    yield failed("authorization", `The API server of ${nodeName} has other authorizers`, MODES, modes ?? "nothing");
  }
  if (port !== undefined && port !== String(API_SERVER_PORT)) {
    yield failed("api-port", `The API server of ${nodeName} has another port`, String(API_SERVER_PORT), port);
  }
  if (ca !== undefined && ca !== CA_FILE) {
    yield failed("client-ca", `The API server of ${nodeName} takes clients of another CA`, CA_FILE, ca);
  }
}

function* externalCaProblems({ nodeName, flags }: ComponentFlags): Generator<FailedCheck> {
  const files = ["cluster-signing-key-file", "cluster-signing-kube-apiserver-client-key-file"];
  if (files.some((name) => (flags[name] ?? "") !== "")) return;
  yield failed(
    "external-ca",
    `The controller manager of ${nodeName} signs nothing: the key of the cluster's CA is not on the control planes`,
    `${PKI_FOLDER}/ca.key`,
    "an external CA",
  );
}

function* controlPlaneProblems({ nodes, apiServers, controllerManagers }: ClusterSurvey): Generator<FailedCheck> {
  const controlPlanes = nodes.filter(({ role }) => role === "control-plane");
  if (controlPlanes.length === 0) {
    yield failed("control-planes", "No Node has the label of a control plane: not kubeadm made it", "1 or more", "0");
  }
  for (const [what, components] of [["API server", apiServers], ["controller manager", controllerManagers]] as const) {
    for (const { name } of controlPlanes) {
      if (components.some(({ nodeName }) => nodeName === name)) continue;
      yield failed("control-planes", `${name} shows no Pod of an ${what}`, "a static Pod by kubeadm", "nothing");
    }
  }
}

function* nodeProblems({ nodes }: ClusterSurvey, checkClaims: CheckClaims): Generator<FailedCheck> {
  const owners = new Map<string, string>();
  for (const node of nodes) {
    const { name, addresses } = node;
    if (addresses.length === 0) {
      yield failed("node-address", `The Node ${name} has no internal address`, "an address of its own", "nothing");
    }
    for (const address of addresses) {
      const owner = owners.get(address);
      if (owner !== undefined) {
        yield failed("node-address", `${owner} and ${name} have one address`, "an address of its own", address);
      }
      owners.set(address, name);
    }
    try {
      checkClaims(node);
    } catch (error) {
      const { code, message, details } = asBootstrapError(error);
      const check = code.slice(code.indexOf("/") + 1);
      yield failed(check, message, details["expected"] ?? "", details["seen"] ?? "");
    }
  }
}
