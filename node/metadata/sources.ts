/**
 * The sources of metadata: which of their fields is which value.
 *
 * | value     | nocloud                  | ec2                               | openstack                          |
 * |-----------|--------------------------|-----------------------------------|------------------------------------|
 * | name      | `local-hostname`         | `local-hostname`                  | `hostname`                         |
 * | address   | `bootstrapper-address`   | `local-ipv4`, else `ipv6`         | the one `ip_address` of a family   |
 * | role      | `bootstrapper-role`      | the tag `bootstrapper-role`       | `meta` → `bootstrapper-role`       |
 * | endpoints | `bootstrapper-endpoints` | the tag `bootstrapper-endpoints`  | `meta` → `bootstrapper-endpoints`  |
 *
 * @module
 */
import * as v from "valibot";
import { readJson } from "../../platform/json.ts";
import { addressBytes } from "../../platform/ip_address.ts";
import { present } from "../../platform/present.ts";
import type { MetadataClient } from "./client.ts";
import { malformedMetadata, MAXIMUM_ANSWER_BYTES, unavailable } from "./client.ts";
import type { MetadataField, MetadataTexts } from "./values.ts";

/** What a value is called where a platform has no name of its own for it. */
const KEYS = Object.freeze({
  address: "bootstrapper-address",
  role: "bootstrapper-role",
  endpoints: "bootstrapper-endpoints",
});

/** The largest `instance-data.json`: it has the vendor's and the user's data too. */
export const MAXIMUM_INSTANCE_DATA_BYTES: number = 4 << 20;

const value = v.optional(v.nullable(v.union([v.string(), v.array(v.string())])));
const ownKeys = { [KEYS.address]: value, [KEYS.role]: value, [KEYS.endpoints]: value };

const instanceDataSchema = v.object({
  ds: v.object({ meta_data: v.object({ "local-hostname": value, ...ownKeys }) }),
});

/**
 * Reads the metadata of NoCloud from cloud-init's `/run/cloud-init/instance-data.json`: its `ds.meta_data` is the
 * document `meta-data` of the disk `cidata`, of the seed folder or of the seed's server.
 *
 * @throws {BootstrapError} `malformed/metadata`.
 */
export function readInstanceData(bytes: Uint8Array, where: string): MetadataTexts {
  const { ds: { meta_data: data } } = readJson(bytes, {
    schema: instanceDataSchema,
    maximumBytes: MAXIMUM_INSTANCE_DATA_BYTES,
    error: (reason, key, cause) => malformedMetadata(where, `${key === "" ? "" : `${key}: `}${reason}`, cause),
  });
  return {
    ...present("name", textOf(data["local-hostname"])),
    ...present("address", textOf(data[KEYS.address])),
    ...present("role", textOf(data[KEYS.role])),
    ...present("endpoints", textOf(data[KEYS.endpoints])),
  };
}

const metaDataSchema = v.object({ hostname: value, meta: v.optional(v.nullable(v.object(ownKeys))) });

/**
 * Reads the name, role and endpoints of OpenStack's `meta_data.json`.
 *
 * @throws {BootstrapError} `malformed/metadata`.
 */
export function readOpenStackMetaData(text: string, where: string): MetadataTexts {
  const { hostname, meta } = readJson(text, {
    schema: metaDataSchema,
    maximumBytes: MAXIMUM_ANSWER_BYTES,
    error: (reason, key, cause) => malformedMetadata(where, `${key === "" ? "" : `${key}: `}${reason}`, cause),
  });
  return {
    ...present("name", textOf(hostname)),
    ...present("role", textOf(meta?.[KEYS.role])),
    ...present("endpoints", textOf(meta?.[KEYS.endpoints])),
  };
}

const networkDataSchema = v.object({
  networks: v.optional(v.array(v.object({ ip_address: v.optional(v.nullable(v.string())) }))),
});

/**
 * Reads the addresses of OpenStack's `network_data.json`. Networks with DHCP have none there. More than one of a family
 * are none: nothing says which of them is meant.
 *
 * @throws {BootstrapError} `malformed/metadata`.
 */
export function readOpenStackNetworks(text: string, where: string): MetadataTexts {
  const { networks = [] } = readJson(text, {
    schema: networkDataSchema,
    maximumBytes: MAXIMUM_ANSWER_BYTES,
    error: (reason, key, cause) => malformedMetadata(where, `${key === "" ? "" : `${key}: `}${reason}`, cause),
  });
  const all = [...new Set(networks.flatMap(({ ip_address }) => ip_address ?? []))];
  const families = [4, 16].map((length) => all.filter((text) => addressBytes(text)?.length === length));
  const [address] = families.flatMap((list) => list.length === 1 ? list : []);
  return present("address", address);
}

function textOf(found: string | readonly string[] | null | undefined): string | undefined {
  const text = typeof found === "string" ? found : found?.join(",");
  return text === undefined || text.trim() === "" ? undefined : text.trim();
}

const TOKEN_SECONDS = 60;
/** A token is a header's value. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/;

/**
 * Asks EC2's Instance Metadata Service, version 2: each question has a token. Version 1 is not asked.
 *
 * @throws {BootstrapError} As {@linkcode MetadataClient.ask}.
 */
export async function askEc2(client: MetadataClient, use: readonly MetadataField[]): Promise<MetadataTexts> {
  const path = "/latest/api/token";
  const token = (await client.ask(path, {
    method: "PUT",
    headers: { "X-aws-ec2-metadata-token-ttl-seconds": String(TOKEN_SECONDS) },
  }))?.trim();
  if (token === undefined) throw unavailable(client.url(path), "it answers 404, so it has no version 2 (IMDSv2)");
  if (!TOKEN.test(token)) throw malformedMetadata(client.url(path), "the token is no value of a header");
  const ask = async (field: MetadataField, path: string) =>
    use.includes(field)
      ? textOf(await client.ask(`/latest/meta-data/${path}`, { headers: { "X-aws-ec2-metadata-token": token } }))
      : undefined;
  return {
    ...present("name", await ask("name", "local-hostname")),
    ...present("address", await ask("address", "local-ipv4") ?? await ask("address", "ipv6")),
    ...present("role", await ask("role", `tags/instance/${KEYS.role}`)),
    ...present("endpoints", await ask("endpoints", `tags/instance/${KEYS.endpoints}`)),
  };
}

/**
 * Asks OpenStack's metadata service.
 *
 * @throws {BootstrapError} As {@linkcode MetadataClient.ask}.
 */
export async function askOpenStack(client: MetadataClient, use: readonly MetadataField[]): Promise<MetadataTexts> {
  const ask = async (name: string, read: (text: string, where: string) => MetadataTexts): Promise<MetadataTexts> => {
    const path = `/openstack/latest/${name}`;
    const text = await client.ask(path);
    if (text === undefined) throw unavailable(client.url(path), "it answers 404");
    return read(text, client.url(path));
  };
  const needsMetaData = use.some((field) => field !== "address");
  return {
    ...needsMetaData ? await ask("meta_data.json", readOpenStackMetaData) : {},
    ...use.includes("address") ? await ask("network_data.json", readOpenStackNetworks) : {},
  };
}
