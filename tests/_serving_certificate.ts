import { dirname } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import type { KubernetesApi } from "../kubernetes/api.ts";

const CONFIG = "/var/lib/kubelet/config.yaml";
/** The file in which the kubelet keeps its serving certificate and the key. */
const SERVER_PEM = "/var/lib/kubelet/pki/kubelet-server-current.pem";
const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const POLL_MS = 1_000;

const configSchema = v.object({ serverTLSBootstrap: v.optional(v.boolean(), false) });
const nodeSchema = v.object({
  status: v.object({ addresses: v.optional(v.array(v.object({ type: v.string(), address: v.string() })), []) }),
});
const csrSchema = v.object({
  metadata: v.object({ name: v.string() }),
  status: v.object({
    certificate: v.optional(v.string()),
    conditions: v.optional(v.array(v.object({ type: v.string() })), []),
  }),
});

async function openssl(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("openssl", { args, stderr: "null" }).output();
  if (!success) throw new Error(`openssl ${args[0]} failed`);
  return new TextDecoder().decode(stdout);
}

/** Makes the kubelet's request, with its Node's addresses and a new P-256 key. */
async function newRequest(api: KubernetesApi, nodeName: string): Promise<{ csr: string; keyPem: string } | undefined> {
  const { status } = await api.get(`/api/v1/nodes/${nodeName}`, nodeSchema);
  if (!status.addresses.some(({ type }) => type === "InternalIP")) return undefined;
  const names = status.addresses.map(({ type, address }) => `${type === "InternalIP" ? "IP" : "DNS"}:${address}`);
  const keyPem = await openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256");
  const keyFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(keyFile, keyPem);
    const subject = `/O=system:nodes/CN=system:node:${nodeName}`;
    const extension = `subjectAltName=${names.join(",")}`;
    return { csr: await openssl("req", "-new", "-key", keyFile, "-subj", subject, "-addext", extension), keyPem };
  } finally {
    await Deno.remove(keyFile);
  }
}

/**
 * Tries once to obtain a serving certificate, if the kubelet's configuration requests one from the cluster.
 *
 * @returns Whether nothing is left to do: `false` if the Node has no addresses yet, or the request was denied.
 */
export async function obtainServingCertificate(api: KubernetesApi, nodeName: string): Promise<boolean> {
  if (!v.parse(configSchema, parse(await Deno.readTextFile(CONFIG))).serverTLSBootstrap) return true;
  if (await Deno.stat(SERVER_PEM).catch(() => undefined) !== undefined) return true;
  const request = await newRequest(api, nodeName);
  if (request === undefined) return false;
  const { metadata } = await api.create(PATH, {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { generateName: "csr-" },
    spec: {
      request: new TextEncoder().encode(request.csr).toBase64(),
      signerName: "kubernetes.io/kubelet-serving",
      usages: ["digital signature", "server auth"],
    },
  }, csrSchema);
  for (;;) {
    const { status } = await api.get(`${PATH}/${metadata.name}`, csrSchema);
    if (status.conditions.some(({ type }) => type === "Denied" || type === "Failed")) return false;
    if (status.certificate !== undefined) {
      const certificate = new TextDecoder().decode(Uint8Array.fromBase64(status.certificate));
      await Deno.mkdir(dirname(SERVER_PEM), { recursive: true });
      await Deno.writeTextFile(`${SERVER_PEM}.new`, certificate + request.keyPem, { mode: 0o600 });
      await Deno.rename(`${SERVER_PEM}.new`, SERVER_PEM);
      return true;
    }
    await new Promise<void>((done) => setTimeout(done, POLL_MS));
  }
}
