/**
 * The calls to the API server of a `kubeadm join`, and of the kubelet that it starts. Only the calls: nothing is written
 * to a disk, and nothing is run.
 *
 * @module
 */
import * as v from "valibot";
import { writePem } from "../../certificate/pem.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { base64, fromBase64, fromUtf8, utf8 } from "../../platform/bytes.ts";
import { ApiConnection } from "./api_connection.ts";

/** The API server. */
export interface ApiTarget {
  readonly server: string;
  readonly caPem: string;
}

/** A node that joins by a bootstrap token. */
export interface TokenNode {
  readonly name: string;
  /** Its kubelet's request, PKCS#10, DER. */
  readonly csr: Bytes;
  readonly keyPem: string;
}

/** The names of nodes that join by a bootstrap token begin with this. */
export const TOKEN_NODE_PREFIX = "token-";
const CLUSTER_INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
const CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps";
/** What kubeadm reads of the cluster's configuration (`cmd/kubeadm/app/util/config/cluster.go`, 1.36). */
const CONFIGURATIONS = ["kubeadm-config", "kubelet-config", "kube-proxy"];
/** The CertificateSigningRequests. */
export const REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";

const listSchema = v.object({
  metadata: v.object({ resourceVersion: v.string() }),
  items: v.array(v.unknown()),
});
const requestSchema = v.object({
  status: v.optional(v.object({ certificate: v.optional(v.string()) }), {}),
});

/**
 * Joins with a bootstrap token: reads `cluster-info` anonymously, as without a pinned CA; reads the configuration with
 * the token; requests the kubelet's certificate and waits for it (`client-go/util/certificate/csr`); looks for the Node
 * with it. Each program has a connection of its own, as there.
 */
export async function joinByToken(
  node: TokenNode,
  { server, caPem, token }: ApiTarget & { readonly token: string },
  signal: AbortSignal,
): Promise<void> {
  {
    using anonymous = new ApiConnection(server, caPem, {}, signal);
    await anonymous.look(CLUSTER_INFO, [200]);
  }
  {
    using kubeadm = new ApiConnection(server, caPem, { token }, signal);
    for (const name of CONFIGURATIONS) await kubeadm.look(`${CONFIG_MAPS}/${name}`, [200]);
  }
  using bootstrapping = new ApiConnection(server, caPem, { token }, signal);
  const certificatePem = await certificateOf(node, bootstrapping);
  using kubelet = new ApiConnection(server, caPem, { client: { certificatePem, keyPem: node.keyPem } }, signal);
  await kubelet.look(`/api/v1/nodes/${node.name}`);
}

/**
 * What is left of these calls after a ticket: kubeadm's discovery by file and its reads of the configuration, and the
 * look for the Node, with the ticket's certificate. A node may not read everything; kubeadm goes on then.
 */
export async function joinByTicket(
  name: string,
  { server, caPem }: ApiTarget,
  client: { readonly certificatePem: string; readonly keyPem: string },
  signal: AbortSignal,
): Promise<void> {
  {
    using kubeadm = new ApiConnection(server, caPem, { client }, signal);
    for (const path of [CLUSTER_INFO, ...CONFIGURATIONS.map((one) => `${CONFIG_MAPS}/${one}`)]) {
      await kubeadm.look(path, [200, 403, 404]);
    }
  }
  using kubelet = new ApiConnection(server, caPem, { client }, signal);
  await kubelet.look(`/api/v1/nodes/${name}`);
}

/** The object that asks for a certificate. */
export function requestObject(name: string, csr: Bytes, signerName: string): unknown {
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name },
    spec: {
      request: base64(utf8(writePem("CERTIFICATE REQUEST", csr))),
      signerName,
      usages: ["digital signature", "client auth"],
    },
  };
}

async function certificateOf({ name, csr }: TokenNode, api: ApiConnection): Promise<string> {
  const request = `node-csr-${name}`;
  await api.create(REQUESTS, requestObject(request, csr, KUBELET_SIGNER));
  const query = `?fieldSelector=${encodeURIComponent(`metadata.name=${request}`)}`;
  const { items, metadata: { resourceVersion } } = await api.get(`${REQUESTS}${query}`, listSchema);
  const found = items.map(issuedIn).find((one) => one !== undefined);
  const watch = `${REQUESTS}${query}&watch=true&resourceVersion=${resourceVersion}`;
  const certificate = found ?? await api.watch(watch, issuedIn);
  return fromUtf8(fromBase64(certificate, "certificate"), "certificate");
}

/** The certificate in a CertificateSigningRequest, PEM in base64; `undefined` before it is signed. */
function issuedIn(object: unknown): string | undefined {
  return v.parse(requestSchema, object).status.certificate;
}
