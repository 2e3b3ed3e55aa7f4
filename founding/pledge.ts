/**
 * The pledge: one key signs one roster, once.
 *
 * @module
 */
import { join } from "node:path";
import type { KeyPair } from "../certificate/keys.ts";
import { type Bytes, equalBytes, hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createFileExclusive, ensureFolder, readFileIfExists, removeTemporaries, syncFile } from "../platform/files.ts";
import { sign } from "../protocol/signature.ts";
import type { RosterEntry } from "../protocol/transcript.ts";
import { digestOf, foundersOf, malformed, type RosterFounder } from "./_founders.ts";
import { decodePledge, encodePledge, type FounderPledge, MAXIMUM_FILE_BYTES } from "./_roster_files.ts";

export type { RosterFounder } from "./_founders.ts";
export type { FounderPledge } from "./_roster_files.ts";

/** The pledge's name in the founder's folder. */
export const PLEDGE_FILE = "pledge";

/** What is needed to pledge. */
export interface PledgeParts {
  /** The founder's folder. */
  readonly folder: string;
  /** F. */
  readonly keys: KeyPair;
  /** D12 of the own trust part. */
  readonly trustDigest: Uint8Array;
  /** `trust.founding.size`. */
  readonly size: number;
}

/** A pledge that is on disk. It never changes. */
export interface Pledge {
  /** The founders, sorted by H(SPKI). */
  readonly founders: readonly RosterFounder[];
  /** This founder. */
  readonly self: RosterFounder;
  /** R. */
  readonly roster: Bytes;
  /** The own signature over R. */
  readonly own: FounderPledge;
}

/**
 * Reads the pledge of an earlier run, and removes what killed writers left. It is synced before it is signed again: the
 * process that wrote it may have ended between the two.
 *
 * @returns `undefined` if this key has pledged nothing.
 * @throws {BootstrapError} `malformed/founder-file`, also where the pledge is of another size or not of this key;
 *   `system/file`.
 */
export async function readPledge(parts: PledgeParts): Promise<Pledge | undefined> {
  const path = join(parts.folder, PLEDGE_FILE);
  await ensureFolder(parts.folder, 0o700);
  await removeTemporaries(path);
  const bytes = await readFileIfExists(path, MAXIMUM_FILE_BYTES);
  if (bytes === undefined) return undefined;
  await syncFile(path);
  return await pledgeOf(await foundersOf(decodePledge(bytes, path)), parts);
}

/**
 * Pledges. The entries are on disk, file and folder synced, before the key signs them.
 *
 * @throws {BootstrapError} `conflict/pledge` if this key has pledged another roster, `malformed/founder-file`,
 *   `system/file`.
 */
export async function makePledge(entries: readonly RosterEntry[], parts: PledgeParts): Promise<Pledge> {
  const founders = await foundersOf(entries);
  await ownOf(founders, parts);
  await ensureFolder(parts.folder, 0o700);
  const path = join(parts.folder, PLEDGE_FILE);
  if (await createFileExclusive(path, encodePledge(founders), { mode: 0o600 })) return await pledgeOf(founders, parts);
  const earlier = await readPledge(parts);
  if (earlier !== undefined && equalBytes(earlier.roster, await digestOf(parts.trustDigest, founders))) return earlier;
  throw new BootstrapError("conflict/pledge", "This founder's key has pledged another roster, and pledges only once", {
    details: { pledged: earlier?.founders.map(({ name }) => name).join(", ") ?? "" },
  });
}

async function pledgeOf(founders: readonly RosterFounder[], parts: PledgeParts): Promise<Pledge> {
  const self = await ownOf(founders, parts);
  const roster = await digestOf(parts.trustDigest, founders);
  const signature = await sign(parts.keys, "pledge", roster);
  return { founders, self, roster, own: { key: self.key, signature } };
}

async function ownOf(founders: readonly RosterFounder[], { keys, size }: PledgeParts): Promise<RosterFounder> {
  if (founders.length !== size) throw malformed(`it has ${founders.length} founders, and the trust part says ${size}`);
  const key = hex(await sha256(keys.spki));
  const self = founders.find((founder) => founder.key === key);
  if (self === undefined) throw malformed("this machine's key is not in it");
  return self;
}
