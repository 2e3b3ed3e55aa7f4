/**
 * Certificates for nodes, by the Kubernetes CSR API. The caller needs no access to the CA's key.
 *
 * @module
 */
import * as v from "valibot";
import { base64, fromBase64, fromUtf8, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { BootstrapError } from "../platform/errors.ts";
import { pollUntil, type Wait } from "./_poll.ts";
import type { KubernetesApi } from "./api.ts";

/** The signer of kubelets' client certificates. It signs only `O=system:nodes, CN=system:node:…` without SANs. */
const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The signer takes some tens of milliseconds. Each poll costs the API server about one. */
const FIRST_POLL_MS = 15;
const LONGEST_POLL_MS = 250;

/** The request for a certificate. The caller has checked subject, key and signature of the CSR. */
export interface NodeCertificateRequest {
  /** The node's name, used only in the name of the object. */
  readonly nodeName: string;
  /** PKCS#10, PEM. */
  readonly csrPem: string;
  /** The certificate's lifetime. The API server accepts 600 seconds and more (certificates/v1). */
  readonly expirationSeconds: number;
}

const csrSchema = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  status: v.optional(
    v.looseObject({
      certificate: v.optional(v.string()),
      conditions: v.optional(
        v.array(
          v.looseObject({ type: v.string(), reason: v.optional(v.string(), ""), message: v.optional(v.string(), "") }),
        ),
        [],
      ),
    }),
    {},
  ),
});

type StoredCsr = v.InferOutput<typeof csrSchema>;

/**
 * Gets a kubelet's client certificate signed: creates the CSR, approves it, waits for the signer, and deletes it.
 *
 * @returns The certificate, PEM.
 * @throws {BootstrapError} `timeout/node-certificate`, `refused/node-certificate` with the signer's reason, and the
 *   errors of {@linkcode KubernetesApi}.
 */
export async function signNodeCertificate(
  api: KubernetesApi,
  request: NodeCertificateRequest,
  wait: Wait,
): Promise<string> {
  const csr = await api.create(PATH, {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { generateName: `bootstrapper-${request.nodeName}-` },
    spec: {
      request: base64(utf8(request.csrPem)),
      signerName: SIGNER,
      expirationSeconds: request.expirationSeconds,
      usages: ["digital signature", "client auth"],
    },
  }, csrSchema);
  const path = `${PATH}/${csr.metadata.name}`;
  try {
    await approve(api, path, csr, wait.clock);
    return await certificateOf(api, path, wait);
  } finally {
    // A failed deletion must not cost the certificate: Kubernetes removes the CSR within hours.
    await api.remove(path).catch(() => {});
  }
}

async function approve(api: KubernetesApi, path: string, csr: StoredCsr, clock: Clock): Promise<void> {
  const condition = {
    type: "Approved",
    status: "True",
    reason: "BootstrapperAdmission",
    message: "The node's evidence satisfies the policy and its admission is recorded",
    lastUpdateTime: clock.now().toISOString(),
  };
  // Without a resourceVersion, other updates of the object in between are no conflict.
  const { resourceVersion: _, ...metadata } = csr.metadata;
  await api.replace(`${path}/approval`, { ...csr, metadata, status: { conditions: [condition] } }, v.unknown());
}

function certificateOf(api: KubernetesApi, path: string, wait: Wait): Promise<string> {
  return pollUntil(async () => {
    const { status } = await api.get(path, csrSchema);
    if (status.certificate) return fromUtf8(fromBase64(status.certificate, "status.certificate"), "status.certificate");
    const failed = status.conditions?.find(({ type }) => type === "Denied" || type === "Failed");
    if (failed === undefined) return undefined;
    throw new BootstrapError("refused/node-certificate", `The certificate was refused: ${failed.message}`, {
      details: { reason: failed.reason },
    });
  }, {
    ...wait,
    firstMs: FIRST_POLL_MS,
    longestMs: LONGEST_POLL_MS,
    code: "timeout/node-certificate",
    failure: "The certificate was not signed",
    next: "Check that kube-controller-manager runs: it signs certificates",
  });
}
