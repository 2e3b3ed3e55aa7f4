/**
 * The metadata of this machine: read once while the node is fresh, and kept from then on.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { LockFile } from "../../nodelock/file.ts";
import { utf8 } from "../../platform/bytes.ts";
import { checkedText } from "../../platform/checked_text.ts";
import type { Clock } from "../../platform/clock.ts";
import { ensureFolder, exists, readFileIfExists, writeFileAtomic } from "../../platform/files.ts";
import { readJson } from "../../platform/json.ts";
import type { Log } from "../../platform/log.ts";
import { errorFields } from "../../platform/log.ts";
import { retry } from "../../platform/retry.ts";
import type { BackOff } from "../../platform/retry.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { NodeConfiguration } from "../configuration.ts";
import type { NodePaths } from "../paths.ts";
import type { MetadataClientOptions } from "./client.ts";
import { MetadataClient, unavailable } from "./client.ts";
import { askEc2, askOpenStack, MAXIMUM_INSTANCE_DATA_BYTES, readInstanceData } from "./sources.ts";
import type { MetadataConfiguration, MetadataTexts, MetadataValues } from "./values.ts";
import { LONGEST_METADATA_VALUE, METADATA_SOURCES, readMetadataValues } from "./values.ts";

/** The file of a node's metadata in the state folder. */
export const METADATA_FILE = "metadata.json";
const MAXIMUM_BYTES = 1 << 16;
const PUBLIC = { mode: 0o644 };
const STATE_FOLDER_MODE = 0o755;
const INSTANCE_DATA = "run/cloud-init/instance-data.json";

/** Services come up with the network. After these tries the start fails, and systemd begins another one. */
const TRIES = Object.freeze({
  backOff: { firstMs: 500, factor: 2, longestMs: 10_000, jitter: 0.2 } satisfies BackOff,
  maximumTries: 10,
});

/** What was found, as its source has it. */
export interface FoundMetadata {
  readonly source: MetadataConfiguration["source"];
  /** The texts of the values that the configuration uses. */
  readonly texts: MetadataTexts;
}

/** What {@linkcode machineMetadata} works with. */
export interface MetadataOptions extends Omit<MetadataClientOptions, "clock"> {
  readonly paths: Pick<NodePaths, "root" | "state">;
  readonly clock: Clock;
  readonly log: Log;
  /** The source of jitter. Default: `Math.random`. */
  readonly random?: () => number;
}

const text = checkedText((one) => one.length <= LONGEST_METADATA_VALUE ? undefined : "it is too long");
const schema = v.strictObject({
  version: v.literal(1),
  source: v.picklist(METADATA_SOURCES),
  texts: v.strictObject({
    name: v.exactOptional(text),
    address: v.exactOptional(text),
    role: v.exactOptional(text),
    endpoints: v.exactOptional(text),
  }),
});

/**
 * Returns what the configuration takes from metadata. A fresh node asks the source, and keeps what it says; a node that
 * is locked asks nothing any more, and has what it kept; `undefined` if it kept nothing.
 *
 * @throws {BootstrapError} `unavailable/metadata` after several tries; `malformed/metadata`; `system/file`; the signal's
 *   reason.
 */
export async function machineMetadata(
  configuration: MetadataConfiguration,
  options: MetadataOptions,
): Promise<FoundMetadata | undefined> {
  const { paths, clock, log, signal, random = Math.random } = options;
  if (await exists(new LockFile(paths.state).path)) return await keptMetadata(paths);
  const found = await retry(() => askSource(configuration, options), {
    clock,
    random,
    signal,
    ...TRIES,
    onFailedTry: ({ error }) => log.event("warn", "metadata-not-read", errorFields(error)),
  });
  const { source, texts } = found;
  log.event("info", "metadata", { source, ...texts });
  await ensureFolder(paths.state, STATE_FOLDER_MODE);
  const document: v.InferInput<typeof schema> = { version: 1, source, texts };
  await writeFileAtomic(join(paths.state, METADATA_FILE), utf8(`${JSON.stringify(document)}\n`), PUBLIC);
  return found;
}

/** Asks a source once, and checks what it says. */
async function askSource(configuration: MetadataConfiguration, options: MetadataOptions): Promise<FoundMetadata> {
  const { source, use } = configuration;
  const all = source === "nocloud" ? await instanceData(options) : await askService(configuration, options);
  const texts = Object.fromEntries(use.flatMap((field) => all[field] === undefined ? [] : [[field, all[field]]]));
  readMetadataValues(configuration, texts, source);
  return { source, texts };
}

async function askService(
  { source, use }: MetadataConfiguration,
  options: MetadataClientOptions,
): Promise<MetadataTexts> {
  using client = new MetadataClient(options);
  return source === "ec2" ? await askEc2(client, use) : await askOpenStack(client, use);
}

async function instanceData({ paths }: Pick<MetadataOptions, "paths">): Promise<MetadataTexts> {
  const path = join(paths.root, INSTANCE_DATA);
  const bytes = await readFileIfExists(path, MAXIMUM_INSTANCE_DATA_BYTES);
  if (bytes === undefined) throw unavailable(path, "there is no such file: cloud-init writes it at each boot");
  return readInstanceData(bytes, path);
}

/**
 * Returns what this node kept of its metadata; `undefined` if it kept nothing.
 *
 * @throws {BootstrapError} `malformed/metadata`, `system/file`.
 */
export async function keptMetadata({ state }: Pick<NodePaths, "state">): Promise<FoundMetadata | undefined> {
  const path = join(state, METADATA_FILE);
  const bytes = await readFileIfExists(path, MAXIMUM_BYTES);
  return bytes === undefined ? undefined : parseMetadata(bytes, path);
}

/** Parses the bytes of the file; see {@linkcode keptMetadata}. */
export function parseMetadata(bytes: Uint8Array, what: string): FoundMetadata {
  const { source, texts } = readJson(bytes, {
    schema,
    maximumBytes: MAXIMUM_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/metadata", `Cannot read what the node kept of its metadata in ${what}: ${reason}`, {
        cause,
        next: `Set the values in the node's configuration, in the place of "metadata", and remove ${what}`,
        details: { from: what, key },
      }),
  });
  return { source, texts };
}

/**
 * Returns the configuration with the values of the metadata.
 *
 * @throws {BootstrapError} As {@linkcode readMetadataValues}.
 */
export function withMetadata(configuration: NodeConfiguration, found: FoundMetadata | undefined): NodeConfiguration {
  const { metadata } = configuration;
  if (metadata === undefined || found === undefined) return configuration;
  const { name, address, secondAddress, role, endpoints }: MetadataValues = readMetadataValues(
    { use: metadata.use.filter((field) => found.texts[field] !== undefined) },
    found.texts,
    found.source,
  );
  return {
    ...configuration,
    node: {
      ...configuration.node,
      ...(name === undefined ? {} : { name }),
      ...(address === undefined ? {} : { address }),
      ...(secondAddress === undefined ? {} : { secondAddress }),
      ...(role === undefined ? {} : { role }),
    },
    join: endpoints === undefined ? configuration.join : { endpoints },
  };
}
