/**
 * The certificates that kubeadm makes for a control plane, and their renewal by kubeadm with the CAs on its disk.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { readPem } from "../certificate/pem.ts";
import { readCertificate } from "../certificate/x509.ts";
import { fromUtf8 } from "../platform/bytes.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../platform/duration.ts";
import { readFileIfExists } from "../platform/files.ts";
import { readYaml } from "../platform/yaml.ts";
import { readKubeconfig } from "./kubeconfig.ts";

const MAXIMUM_PEM_BYTES = 1 << 16;
/** kubeadm's default, `CertificateValidityPeriod` in its `constants.go`. */
const YEAR_MS = 365 * DAY_MS;
/** A duration as kubeadm writes it: `8760h0m0s`. */
const GO_DURATION = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/;
const lifetimeSchema = v.object({ certificateValidityPeriod: v.string() });

/** A certificate of a control plane that kubeadm renews. */
export interface ControlPlaneCertificate {
  /** The file, relative to `/etc/kubernetes`: a certificate, or a kubeconfig with one in it. */
  readonly path: string;
  /** The file of the key, where that is another one. */
  readonly keyPath?: string;
}

const pair = (name: string): ControlPlaneCertificate => ({ path: `pki/${name}.crt`, keyPath: `pki/${name}.key` });

/**
 * What `kubeadm certs renew all` renews (`NewManager` in its `certs/renewal/manager.go`, 1.36). The kubelet's
 * certificate is not among them.
 */
export const CONTROL_PLANE_CERTIFICATES: readonly ControlPlaneCertificate[] = Object.freeze([
  ...["apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"].map(pair),
  ...["etcd/server", "etcd/peer", "etcd/healthcheck-client"].map(pair),
  ...["admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"].map((path) => ({ path })),
]);

/** When a certificate of a control plane ends. */
export interface CertificateEnd {
  /** The file, relative to `/etc/kubernetes`. */
  readonly path: string;
  readonly notAfter: Date;
}

/**
 * Returns when the certificates end that are there.
 *
 * @param kubernetesFolder `/etc/kubernetes` on a node.
 * @throws {BootstrapError} `malformed/…` for a file that has no certificate, `system/file`.
 */
export async function certificateEnds(kubernetesFolder: string): Promise<readonly CertificateEnd[]> {
  const ends = await Promise.all(CONTROL_PLANE_CERTIFICATES.map(async ({ path, keyPath }) => {
    const file = join(kubernetesFolder, path);
    const bytes = await readFileIfExists(file, MAXIMUM_PEM_BYTES);
    if (bytes === undefined) return undefined;
    const pem = keyPath === undefined ? (await readKubeconfig(file)).certificatePem : fromUtf8(bytes, file);
    return { path, notAfter: readCertificate(readPem(pem, "CERTIFICATE", file), file).notAfter };
  }));
  return ends.filter((end) => end !== undefined);
}

/**
 * The lifetime of the certificates of a control plane: `certificateValidityPeriod` of kubeadm's ClusterConfiguration,
 * milliseconds; kubeadm's default is a year. A certificate itself does not tell: kubeadm lets all begin with their CA.
 *
 * @param clusterConfiguration YAML.
 */
export function certificateLifetimeMs(clusterConfiguration: string): number {
  const read = v.safeParse(lifetimeSchema, readYaml(clusterConfiguration));
  const text = read.success ? read.output.certificateValidityPeriod : "";
  const [, hours = "0", minutes = "0", seconds = "0"] = GO_DURATION.exec(text) ?? [];
  const lifetimeMs = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * SECOND_MS;
  return lifetimeMs > 0 ? lifetimeMs : YEAR_MS;
}
