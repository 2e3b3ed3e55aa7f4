/**
 * Writes kubeconfigs for kubeadm and for operators, and reads them for this program's own calls.
 *
 * @module
 */
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { stringify } from "yaml";
import { base64, fromBase64, fromUtf8, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFile } from "../platform/files.ts";
import { recognisedKind } from "../platform/document_kinds.ts";
import { readYaml } from "../platform/yaml.ts";
import type { ApiCredentials } from "./api.ts";

/** The content of a kubeconfig. */
export interface KubeconfigParts extends ApiCredentials {
  /** The cluster's name. */
  readonly clusterName: string;
  /** The name of the credentials, such as `admin`. */
  readonly userName: string;
}

const KUBECONFIG_MAXIMUM_BYTES = 1 << 18;

/**
 * Writes a kubeconfig with one cluster, one user and one context, with everything embedded. It contains a private key:
 * the caller must write it with mode 0600.
 */
export function kubeconfig(parts: KubeconfigParts): string {
  const context = `${parts.userName}@${parts.clusterName}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{
      name: parts.clusterName,
      cluster: { server: parts.server, "certificate-authority-data": base64(utf8(parts.caPem)) },
    }],
    users: [{
      name: parts.userName,
      user: {
        "client-certificate-data": base64(utf8(parts.certificatePem)),
        "client-key-data": base64(utf8(parts.keyPem)),
      },
    }],
    contexts: [{ name: context, context: { cluster: parts.clusterName, user: parts.userName } }],
    "current-context": context,
  }, { lineWidth: 0 });
}

const fileOrData = v.optional(v.string());

const kubeconfigSchema = v.object({
  clusters: v.array(v.object({
    name: v.string(),
    cluster: v.object({
      server: v.string(),
      "certificate-authority-data": fileOrData,
      "certificate-authority": fileOrData,
    }),
  })),
  users: v.array(v.object({
    name: v.string(),
    user: v.object({
      "client-certificate-data": fileOrData,
      "client-certificate": fileOrData,
      "client-key-data": fileOrData,
      "client-key": fileOrData,
    }),
  })),
  contexts: v.array(v.object({ name: v.string(), context: v.object({ cluster: v.string(), user: v.string() }) })),
  "current-context": v.string(),
});

/**
 * Reads the credentials of a kubeconfig's current context. Certificates and keys may be embedded, or be files with
 * paths relative to the kubeconfig's folder, as in the kubelet's.
 *
 * @throws {BootstrapError} `malformed/kubeconfig` with the field, `system/file`.
 */
export async function readKubeconfig(path: string): Promise<ApiCredentials> {
  const text = fromUtf8(await readFile(path, KUBECONFIG_MAXIMUM_BYTES), path);
  const config = parseKubeconfig(text, path);
  const { context } = named(config.contexts, config["current-context"], path);
  const { cluster } = named(config.clusters, context.cluster, path);
  const { user } = named(config.users, context.user, path);
  const pem = async (field: string, data: string | undefined, file: string | undefined): Promise<string> => {
    if (data) return fromUtf8(fromBase64(data, field), field);
    if (file) return fromUtf8(await readFile(resolve(dirname(path), file), KUBECONFIG_MAXIMUM_BYTES), field);
    throw malformed(path, field, "is missing");
  };
  return {
    server: cluster.server,
    caPem: await pem(
      "certificate-authority-data",
      cluster["certificate-authority-data"],
      cluster["certificate-authority"],
    ),
    certificatePem: certificatesOf(
      await pem("client-certificate-data", user["client-certificate-data"], user["client-certificate"]),
      path,
    ),
    keyPem: keyOf(await pem("client-key-data", user["client-key-data"], user["client-key"]), path),
  };
}

function parseKubeconfig(text: string, path: string): v.InferOutput<typeof kubeconfigSchema> {
  let value: unknown;
  try {
    value = readYaml(text);
  } catch {
    // The parser's error quotes the text, which may contain a key.
    throw unusable(path, "", foreignReason(text, undefined) ?? "it is not YAML");
  }
  const result = v.safeParse(kubeconfigSchema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const foreign = foreignReason(text, value);
  const field = v.getDotPath(issue) ?? "";
  if (foreign !== undefined) throw unusable(path, field, foreign);
  if (field === "") throw unusable(path, field, "it has no keys");
  // The value is not shown: it may be a key.
  if (issue.input === undefined) throw malformed(path, field, "is missing");
  const { [issue.type]: form = "a mapping" } = FORMS;
  throw malformed(path, field, `must be ${form}`);
}

/** What the schemas of {@linkcode kubeconfigSchema} take, besides mappings. */
const FORMS: Readonly<Record<string, string>> = { array: "a list", string: "a text" };

/** Says what a file is that is no kubeconfig; `undefined` if it is not recognised. */
function foreignReason(text: string, value: unknown): string | undefined {
  const seen = recognisedKind(text, value);
  return seen === undefined || seen === "a kubeconfig" ? undefined : `this is ${seen}; a kubeconfig is expected`;
}

function named<T extends { readonly name: string }>(entries: readonly T[], name: string, path: string): T {
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) throw malformed(path, name, "is named but not defined");
  return entry;
}

/** Returns the certificates of a PEM file that may also contain the key, as the kubelet's does. */
function certificatesOf(pem: string, path: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  if (blocks === null) throw malformed(path, "client-certificate-data", "holds no certificate");
  return blocks.join("\n") + "\n";
}

/** Returns the key of a PEM file that may also contain certificates. */
function keyOf(pem: string, path: string): string {
  const [block] = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/.exec(pem) ?? [];
  if (block === undefined) throw malformed(path, "client-key-data", "holds no private key");
  return `${block}\n`;
}

function malformed(path: string, field: string, problem: string): BootstrapError {
  return unusable(path, field, `"${field}" ${problem}`);
}

function unusable(path: string, field: string, reason: string): BootstrapError {
  return new BootstrapError("malformed/kubeconfig", `Cannot use the kubeconfig ${path}: ${reason}`, {
    details: { path, field },
  });
}
