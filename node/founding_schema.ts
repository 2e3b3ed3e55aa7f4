/**
 * The schema of what a node's configuration says of founding among equals.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import type { EvidenceKind } from "../attestation/kind.ts";
import type { PolicyDocument } from "../attestation/policy/policy_schema.ts";
import { policySchema } from "../attestation/policy/policy_schema.ts";
import type { ClusterSettings } from "../kubernetes/settings.ts";
import { readClusterSettings, settingsSchema } from "../kubernetes/settings.ts";
import { checkedText, problemIn } from "../platform/checked_text.ts";
import { parseEndpoint, parseListenAddress } from "../platform/endpoint.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { addressBytes, unreachableKind } from "../platform/ip_address.ts";
import { shown } from "../platform/label.ts";
import { looksLikeFoundingToken, readTokenKey } from "../protocol/founding_token.ts";

/** The port of FoundingServers, which are where InitServers would be. */
export const FOUNDING_PORT = 9443;
/** The port of the etcd in which founders decide who founds. */
export const FOUNDING_ETCD_PORT = 9445;
/** The most founders that a cluster may have. */
export const MOST_FOUNDERS = 7;
const MOST_PEERS = 64;
/** The key of a cluster file's text, as errors name it. */
export const CLUSTER_FILE_KEY = "founding.clusterFile";

/** `trust.founding` of a configuration. */
export interface FoundingTrustDocument {
  readonly size: number;
  /** The policy for founders, with the defaults filled in. D12 covers it as it is written. */
  readonly policy?: PolicyDocument;
  readonly tokenKey?: string;
}

/** `founding` of a configuration. */
export interface FoundingDocument {
  readonly address?: string;
  readonly listen?: string;
  readonly peers?: readonly string[];
  readonly dns?: string;
  /** The cluster's settings, with the defaults filled in. */
  readonly cluster?: ClusterSettings;
  /** The text of a cluster file, instead of `cluster`. */
  readonly clusterFile?: string;
}

const SIZE = `must be 1 to ${MOST_FOUNDERS}, the number of founders`;

function tokenKeyProblem(text: string): string | undefined {
  if (looksLikeFoundingToken(text)) {
    return "this is the founding token itself, a secret: whoever has read the file may have it, so make another one, and " +
      "write its token key here";
  }
  if (/PRIVATE KEY/.test(text)) {
    return "this is a private key: whoever has read the file may have it, so make another one";
  }
  try {
    readTokenKey(text, "the key");
    return undefined;
  } catch (cause) {
    return asBootstrapError(cause).code === "refused/key-type"
      ? "a token key must be Ed25519: `bootstrapper token new --founding` makes one"
      : "it must be the token key that `bootstrapper token new --founding` prints, on one line; current value has " +
        `${text.length} characters`;
  }
}

/** Returns the schema of `trust.founding`. */
export function foundingTrustSchema(
  kinds: readonly EvidenceKind[],
): GenericSchema<unknown, FoundingTrustDocument> {
  return v.strictObject({
    size: v.pipe(v.number(), v.integer(SIZE), v.minValue(1, SIZE), v.maxValue(MOST_FOUNDERS, SIZE)),
    policy: v.exactOptional(policySchema(kinds) as GenericSchema<unknown, PolicyDocument>),
    tokenKey: v.exactOptional(checkedText(tokenKeyProblem)),
  });
}

const withPort = (defaultPort: number) => problemIn((text) => parseEndpoint(text, { defaultPort }));
const seen = (example: string) => ({ received }: { readonly received: string }) =>
  `expected ${example} in quotes, seen ${received}`;

/** The schema of `founding`. */
export const foundingSchema: GenericSchema<unknown, FoundingDocument> = v.strictObject({
  address: v.exactOptional(
    checkedText(withPort(FOUNDING_ETCD_PORT), seen(`HOST:PORT, as in "10.77.0.11:${FOUNDING_ETCD_PORT}",`)),
  ),
  listen: v.exactOptional(checkedText(
    problemIn((text) => parseListenAddress(text, FOUNDING_PORT)),
    seen(`HOST:PORT, as in "0.0.0.0:${FOUNDING_PORT}",`),
  )),
  peers: v.exactOptional(v.pipe(
    v.array(checkedText(withPort(FOUNDING_PORT), seen(`HOST or HOST:PORT, as in "10.77.0.12:${FOUNDING_PORT}",`))),
    v.minLength(1, "at least one other founder is needed"),
    v.maxLength(MOST_PEERS, `at most ${MOST_PEERS} peers are allowed`),
  )),
  dns: v.exactOptional(checkedText(dnsProblem)),
  cluster: v.exactOptional(settingsSchema),
  clusterFile: v.exactOptional(checkedText(clusterFileProblem)),
});

function clusterFileProblem(text: string): string | undefined {
  if (!text.includes(":")) {
    return `it must be the text of a cluster file, after "clusterFile: |", not its path; current value is ${
      shown(text)
    }`;
  }
  try {
    readClusterSettings(text, CLUSTER_FILE_KEY);
    return undefined;
  } catch (cause) {
    return `of its text, ${asBootstrapError(cause).message}`;
  }
}

function dnsProblem(text: string): string | undefined {
  const endpoint = parseEndpoint(text, { defaultPort: FOUNDING_PORT });
  if (typeof endpoint === "string") return endpoint;
  return addressBytes(endpoint.host) === undefined
    ? undefined
    : `it must be a name that stands for all founders; current value is ${
      shown(text)
    }: write addresses under founding.peers`;
}

/** Says why no founder can be called at an endpoint. It may be a loopback address: a tunnel may begin there. */
export function uncallableFounder(text: string): string | undefined {
  const endpoint = parseEndpoint(text, { defaultPort: FOUNDING_PORT });
  if (typeof endpoint === "string") return endpoint;
  const address = addressBytes(endpoint.host);
  const kind = address && unreachableKind(address);
  return kind === undefined || kind === "loopback"
    ? undefined
    : `no founder can be reached at ${shown(text)}: the address is ${kind}`;
}
