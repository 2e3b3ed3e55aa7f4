/**
 * The schema of a node's configuration, version 1.
 *
 * @module
 */
import { isIP } from "node:net";
import * as v from "valibot";
import type { EvidenceKind } from "../attestation/kind.ts";
import type { EkType } from "../attestation/kinds/tpm/templates.ts";
import { EK_TYPES } from "../attestation/kinds/tpm/templates.ts";
import type { NodeRole } from "../kubernetes/node_role.ts";
import { NODE_ROLES } from "../kubernetes/node_role.ts";
import { readDocument } from "../platform/document.ts";
import { isLabel } from "../platform/label.ts";

/** Addresses at which no other node can reach this one: unspecified, loopback, link-local, multicast. */
const UNREACHABLE = /^(?:0\.|127\.|169\.254\.|2(?:2[4-9]|[345]\d)\.|::1?$|fe[89ab]|ff)/i;

/** Whether a text is an IP address that other nodes can reach. */
export function isReachableAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%") && !UNREACHABLE.test(text);
}

const label = v.pipe(
  v.string(),
  v.check(
    isLabel,
    "it must be an RFC 1123 label: at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
  ),
);

/** A configuration document that the schema accepts. */
export interface ConfigurationDocument {
  /** The version of the document's format. */
  readonly version: 1;
  /** The cluster and the operators that the node obeys. */
  readonly trust: {
    readonly clusterName: string;
    readonly clusterId?: string;
    readonly operatorKeys: readonly string[];
  };
  readonly node?: { readonly name?: string; readonly address?: string; readonly role?: NodeRole };
  /** The evidence that the node gives. */
  readonly evidence?: {
    readonly variant?: string | readonly string[];
    readonly ekType?: EkType;
    readonly allowInsecure?: boolean;
  };
  readonly init?: { readonly enabled?: boolean; readonly listen?: string };
  readonly join?: { readonly endpoints?: readonly string[] };
  /** Whether the node bootstraps even if its image is not fully measured. */
  readonly allowUnmeasuredImage?: boolean;
}

function configurationSchema(kinds: readonly EvidenceKind[]): v.GenericSchema<unknown, ConfigurationDocument> {
  const kind = v.picklist(kinds.map(({ name }) => name));
  return v.strictObject({
    version: v.literal(1),
    trust: v.strictObject({
      clusterName: label,
      clusterId: v.exactOptional(v.string()),
      operatorKeys: v.pipe(
        v.array(v.string()),
        v.minLength(1, "at least one operator key is needed: `bootstrapper keygen` makes one"),
        v.maxLength(64, "at most 64 operator keys are allowed"),
      ),
    }),
    node: v.exactOptional(v.strictObject({
      name: v.exactOptional(label),
      address: v.exactOptional(v.pipe(
        v.string(),
        v.check(isReachableAddress, "it must be an IP address that the other nodes can reach"),
      )),
      role: v.exactOptional(v.picklist(NODE_ROLES)),
    })),
    evidence: v.exactOptional(v.strictObject({
      variant: v.exactOptional(v.union([kind, v.array(kind)])),
      ekType: v.exactOptional(v.picklist(EK_TYPES)),
      allowInsecure: v.exactOptional(v.boolean()),
    })),
    init: v.exactOptional(v.strictObject({
      enabled: v.exactOptional(v.boolean()),
      listen: v.exactOptional(v.string()),
    })),
    join: v.exactOptional(v.strictObject({
      endpoints: v.exactOptional(v.pipe(v.array(v.string()), v.maxLength(64, "at most 64 endpoints are allowed"))),
    })),
    allowUnmeasuredImage: v.exactOptional(v.boolean()),
  });
}

/**
 * Reads a configuration document. `readNodeConfiguration()` checks what the schema cannot express.
 *
 * @throws {BootstrapError} `usage/document`, with the path of the key.
 */
export function readConfigurationDocument(
  text: string,
  what: string,
  kinds: readonly EvidenceKind[],
): ConfigurationDocument {
  return readDocument(text, configurationSchema(kinds), what);
}
