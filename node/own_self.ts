/**
 * The node's name and address, found once while the node is fresh and kept from then on.
 *
 * A member's name and address are in its certificates and in etcd. So a host name that changes, an address that is
 * added to an interface, or a network that is not up yet change nothing about a member.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { subjectAltName } from "../certificate/extensions.ts";
import { nodeNameOf } from "../certificate/subjects.ts";
import { readNodeCertificate } from "../kubernetes/kubelet_credentials.ts";
import { LockFile } from "../nodelock/file.ts";
import { utf8 } from "../platform/bytes.ts";
import { checkedText } from "../platform/checked_text.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, exists, readFileIfExists, writeFileAtomic } from "../platform/files.ts";
import { addressBytes, addressText, isInNetwork, memberAddressProblem } from "../platform/ip_address.ts";
import { readJson } from "../platform/json.ts";
import { nodeNameProblem } from "../platform/label.ts";
import { present } from "../platform/present.ts";
import type { NodeSelf } from "../protocol/node_self.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { MachineFacts } from "./configuration_defaults.ts";
import { machineAddress, machineName } from "./configuration_defaults.ts";
import type { NodePaths } from "./paths.ts";

/** The file of a node's name and address in the state folder. */
export const SELF_FILE = "self.json";
const MAXIMUM_SELF_BYTES = 4096;
const STATE_FOLDER_MODE = 0o755;
const PUBLIC = { mode: 0o644 };

const selfSchema = v.object({
  version: v.literal(1),
  name: checkedText(nodeNameProblem),
  address: checkedText(memberAddressProblem),
  secondAddress: v.exactOptional(checkedText(memberAddressProblem)),
});

/** A name and its addresses. */
export type Named = Pick<NodeSelf, "name" | "address" | "secondAddress">;

/** What {@linkcode ownSelf} works with. */
export interface OwnSelfFacts {
  readonly configuration: Pick<NodeConfiguration, "node">;
  readonly machine: MachineFacts;
  readonly paths: Pick<NodePaths, "state" | "kubelet">;
}

/**
 * Returns the node's name and address. What the configuration names counts always. Of a node that is locked, the rest is
 * what was kept; while the node is fresh, it is the machine's own.
 *
 * A locked node takes another address of the machine only if it no longer has the kept one.
 *
 * @throws {BootstrapError} The errors of `machineName()` and `machineAddress()`, only while nothing is kept;
 *   `malformed/self` for a file of another form; `system/file`.
 */
export async function ownSelf({ configuration: { node }, machine, paths }: OwnSelfFacts): Promise<NodeSelf> {
  const isLocked = await exists(new LockFile(paths.state).path);
  const kept = isLocked ? await keptSelf(paths) : undefined;
  return {
    name: node.name ?? kept?.name ?? machineName(machine),
    address: node.address ?? ownAddress(machine, node.addressFrom, kept?.address),
    ...present("secondAddress", secondAddressOf(node, machine, kept?.secondAddress)),
    role: node.role,
    ...present("registration", node.registration),
  };
}

/** The address of the other family. Only a configuration asks for one, and a member keeps what it had. */
function secondAddressOf(
  { address, secondAddress, addressFrom, secondAddressFrom }: NodeConfiguration["node"],
  machine: MachineFacts,
  kept: string | undefined,
): string | undefined {
  if (secondAddress !== undefined) return secondAddress;
  if (secondAddressFrom !== undefined) return ownAddress(machine, secondAddressFrom, kept);
  return address === undefined && addressFrom === undefined ? kept : undefined;
}

/**
 * Keeps the name and the address of a fresh node, so that they stay when it is locked. Does nothing for a node that is
 * locked and has kept them.
 *
 * @throws {BootstrapError} `system/file`.
 */
export async function keepSelf(
  { state }: Pick<NodePaths, "state">,
  { name, address, secondAddress }: Named,
): Promise<void> {
  const path = join(state, SELF_FILE);
  if (await exists(new LockFile(state).path) && await exists(path)) return;
  await ensureFolder(state, STATE_FOLDER_MODE);
  await writeFileAtomic(path, utf8(`${JSON.stringify({ version: 1, name, address, secondAddress })}\n`), PUBLIC);
}

/**
 * Returns the name and the addresses of a member as it has kept them, without its configuration.
 *
 * @throws {BootstrapError} `precondition/not-a-member` if nothing is kept, `malformed/self`, `system/file`.
 */
export async function memberSelf(paths: OwnSelfFacts["paths"]): Promise<Named> {
  const { name, address, secondAddress } = await keptSelf(paths) ?? {};
  if (name !== undefined && address !== undefined) return { name, address, ...present("secondAddress", secondAddress) };
  throw new BootstrapError(
    "precondition/not-a-member",
    `This node has kept no name and address: ${join(paths.state, SELF_FILE)} is missing`,
  );
}

function ownAddress(machine: MachineFacts, from: string | undefined, kept: string | undefined): string {
  if (kept === undefined) return machineAddress(machine, from);
  const bytes = addressBytes(kept)?.toString();
  const isThere = machine.addresses.some(({ address }) => addressBytes(address)?.toString() === bytes);
  if (isThere && (from === undefined || isInNetwork(addressBytes(kept) ?? new Uint8Array(), from))) return kept;
  try {
    return machineAddress(machine, from);
  } catch {
    // A member goes on without a network, or with one that is not understood.
    return kept;
  }
}

async function keptSelf({ state, kubelet }: OwnSelfFacts["paths"]): Promise<Partial<Named> | undefined> {
  const path = join(state, SELF_FILE);
  const bytes = await readFileIfExists(path, MAXIMUM_SELF_BYTES);
  if (bytes === undefined) return await selfOfCertificate(kubelet);
  return readJson(bytes, {
    schema: selfSchema,
    maximumBytes: MAXIMUM_SELF_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/self", `Cannot read the node's own name and address in ${path}: ${reason}`, {
        cause,
        next: `Set node.name and node.address in the node's configuration, and remove ${path}`,
        details: { path, key },
      }),
  });
}

/** What a node that was locked by an earlier version has: the certificate with which its kubelet serves. */
async function selfOfCertificate(kubelet: string): Promise<Partial<Named> | undefined> {
  const certificate = await readNodeCertificate({ kubelet }, "serving").catch(() => undefined);
  if (certificate === undefined) return undefined;
  const [address, secondAddress] = (subjectAltName(certificate) ?? []).flatMap((name) =>
    name.type === "ip" ? addressText(name.value) : []
  );
  return {
    ...present("name", nodeNameOf(certificate.subject.attributes)),
    ...present("address", address),
    ...present("secondAddress", secondAddress),
  };
}
