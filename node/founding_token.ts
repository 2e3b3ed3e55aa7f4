/**
 * The founding token of this node, from a credential. It is held by founders and by control planes, until they are members.
 *
 * @module
 */
import { join } from "node:path";
import type { KeyPair } from "../certificate/keys.ts";
import { equalBytes, textIn } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readFileIfExists } from "../platform/files.ts";
import type { Log } from "../platform/log.ts";
import { deriveToken } from "../protocol/founding_token.ts";
import type { NodeConfiguration } from "./configuration.ts";
import type { FirmwareData, HostCredential } from "./host_credentials.ts";
import { hostCredential, TOKEN_CREDENTIAL } from "./host_credentials.ts";
import { isMember } from "./membership.ts";

/** A token has 43 characters. */
const MAXIMUM_TOKEN_BYTES = 1024;

/** Where to look for a token, and what it must fit. */
export interface FoundingTokenPlaces {
  readonly configuration: Pick<NodeConfiguration, "trust" | "node" | "founding">;
  /** `$CREDENTIALS_DIRECTORY`, which systemd sets for units with `LoadCredential=`. */
  readonly credentialsFolder?: string;
  /** What the machine's host hands over. */
  readonly firmware: FirmwareData;
  readonly stateFolder: string;
  readonly log: Log;
}

/**
 * Finds and reads this node's founding token: the unit's credential `bootstrapper.token`, else the machine's host's.
 * Members need none, and theirs is not read. A control plane that knows its cluster ID, and no token key, may have one:
 * its join service says whether it is the right one. Workers must hold none: if one is there, the log says so.
 *
 * @returns The token's key pair, which nothing can export; `undefined` if the node needs none.
 * @throws {BootstrapError} `usage/founding-token` if it is mistyped, `usage/founding-token-other` if it is not the one of
 *   `trust.founding.tokenKey`, `usage/founding-token-missing`; `system/file`, and the errors of `hostCredential()`. None
 *   shows any part of the token.
 */
export async function loadFoundingToken(places: FoundingTokenPlaces): Promise<KeyPair | undefined> {
  const { configuration: { trust, node, founding }, stateFolder, log } = places;
  if (await isMember(stateFolder)) return undefined;
  const tokenKey = trust.founding?.tokenKey ?? new Uint8Array();
  const needsToken = tokenKey.length > 0 && node.role === "control-plane";
  const given = await readCredential(places);
  try {
    if (given === undefined) {
      if (needsToken) throw missing(founding === undefined);
      return undefined;
    }
    if (needsToken) return await matchingKey(given, trust.clusterName, tokenKey);
    // It was made after the founding, and knows its cluster: the service knows the token key.
    const isLater = node.role === "control-plane" && trust.clusterId.length > 0 && tokenKey.length === 0;
    if (isLater) return await deriveToken(textIn(given.bytes) ?? "", trust.clusterName, given.source);
    if (founding !== undefined) throw other(given.source, "trust.founding has no tokenKey");
    const remark = tokenKey.length > 0
      ? "a worker needs no founding token, and whoever takes it over has the token then: take it away"
      : "the configuration has no trust.founding.tokenKey, so nothing uses the founding token: take it away";
    log.event("warn", "founding-token-not-needed", { source: given.source, remark });
    return undefined;
  } finally {
    given?.bytes.fill(0);
  }
}

async function readCredential(
  { credentialsFolder, firmware }: Pick<FoundingTokenPlaces, "credentialsFolder" | "firmware">,
): Promise<HostCredential | undefined> {
  if (credentialsFolder !== undefined) {
    const path = join(credentialsFolder, TOKEN_CREDENTIAL);
    const bytes = await readFileIfExists(path, MAXIMUM_TOKEN_BYTES);
    if (bytes !== undefined) return { source: path, bytes };
  }
  return hostCredential(firmware, TOKEN_CREDENTIAL);
}

/** The text of a token cannot be wiped, so it is kept no longer than here. */
async function matchingKey(
  { source, bytes }: HostCredential,
  clusterName: string,
  tokenKey: Uint8Array,
): Promise<KeyPair> {
  const keys = await deriveToken(textIn(bytes) ?? "", clusterName, source);
  if (equalBytes(keys.spki, tokenKey)) return keys;
  throw other(source, `it does not give trust.founding.tokenKey for the cluster ${clusterName}`);
}

function missing(isLater: boolean): BootstrapError {
  const who = isLater ? "a control plane that joins" : "a founder";
  return new BootstrapError(
    "usage/founding-token-missing",
    `The configuration has trust.founding.tokenKey, so ${who} needs the founding token, and there is no credential ${TOKEN_CREDENTIAL}`,
    { next: `Give the machine the token as the credential ${TOKEN_CREDENTIAL}, for example in /etc/credstore` },
  );
}

function other(source: string, reason: string): BootstrapError {
  return new BootstrapError("usage/founding-token-other", `Cannot use the founding token of ${source}: ${reason}`);
}
