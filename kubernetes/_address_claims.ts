import { addressBytes } from "../platform/ip_address.ts";
import { hex } from "../platform/bytes.ts";
import type { AdmissionRecord } from "./_admission_record.ts";
import { addressTaken } from "./_admission_refusals.ts";
import type { ConfigMaps, StoredConfigMap } from "./_config_maps.ts";
import { unless, unlessChanged } from "./_unless.ts";

const PREFIX = "address-";

/** The name of an address's claim: one for each address, however it is written. */
function claimName(address: string): string | undefined {
  const bytes = addressBytes(address);
  return bytes && PREFIX + (bytes.length === 4 ? bytes.join(".") : hex(bytes));
}

/** The names of the claims of those that are addresses, each once. */
function claimNames(addresses: readonly string[]): Map<string, string> {
  const named = addresses.map((address) => [claimName(address), address] as const);
  return new Map(named.filter((one): one is readonly [string, string] => one[0] !== undefined));
}

/** Whether one of the addresses is the one of a claim. */
function lists({ addresses }: AdmissionRecord, name: string): boolean {
  return addresses.some((address) => claimName(address) === name);
}

/**
 * Which identity has an address: a ConfigMap for each address, so that a thousand nodes cost one no more than ten do.
 *
 * It comes before the records and goes after them. What an admission that was killed has left is nobody's: it counts only
 * while its identity is admitted, and says that it has the address.
 */
export class AddressClaims {
  readonly #configMaps: ConfigMaps;
  readonly #admitted: (identity: string) => Promise<AdmissionRecord | undefined>;

  /** @param admitted The record of an identity that is completely admitted. */
  constructor(configMaps: ConfigMaps, admitted: (identity: string) => Promise<AdmissionRecord | undefined>) {
    this.#configMaps = configMaps;
    this.#admitted = admitted;
  }

  /**
   * Claims all addresses of a record; gives `false` if somebody else changed a claim in between.
   *
   * @throws {BootstrapError} `conflict/node-address`.
   */
  async claim(asked: AdmissionRecord): Promise<boolean> {
    const data = { identity: asked.identity, nodeName: asked.nodeName };
    for (const [name, address] of claimNames(asked.addresses)) {
      if (await unless("conflict/already-exists", () => this.#configMaps.create(name, data)) !== undefined) continue;
      const found = await this.#configMaps.find(name);
      if (found === undefined) return false;
      if (found.data["identity"] === asked.identity) continue;
      const holder = await this.#holderBy(found);
      if (holder !== undefined) throw addressTaken(holder, asked, address);
      if (await unlessChanged(() => this.#configMaps.update(found, data)) === undefined) return false;
    }
    return true;
  }

  /** Whether all addresses of a record are still claimed by its identity. */
  async areHeld({ identity, addresses }: AdmissionRecord): Promise<boolean> {
    const names = [...claimNames(addresses).keys()];
    const found = await Promise.all(names.map((name) => this.#configMaps.find(name)));
    return found.every((claim) => claim?.data["identity"] === identity);
  }

  /** Those of a record's addresses that are claimed by its identity. */
  async ownOf({ identity, addresses }: AdmissionRecord): Promise<string[]> {
    const owners = await Promise.all(addresses.map(async (address) => {
      const name = claimName(address);
      return name && (await this.#configMaps.find(name))?.data["identity"];
    }));
    return addresses.filter((_, index) => owners[index] === identity);
  }

  /** The record of the node that has an address, if there is one. */
  async holder(address: string): Promise<AdmissionRecord | undefined> {
    const name = claimName(address);
    const found = name === undefined ? undefined : await this.#configMaps.find(name);
    return found && await this.#holderBy(found);
  }

  /** Deletes an identity's claims of addresses that its record does not say it has. */
  async release(identity: string, addresses: readonly string[]): Promise<void> {
    for (const name of claimNames(addresses).keys()) {
      const found = await this.#configMaps.find(name);
      if (found?.data["identity"] !== identity || await this.#holderBy(found) !== undefined) continue;
      await unlessChanged(() => this.#configMaps.remove(name, found));
    }
  }

  /** Those of all ConfigMaps that are claims by one of the identities. */
  static among(all: readonly StoredConfigMap[], identities: ReadonlySet<string | undefined>): StoredConfigMap[] {
    return all.filter(({ name, data }) => name.startsWith(PREFIX) && identities.has(data["identity"]));
  }

  async #holderBy({ name, data }: StoredConfigMap): Promise<AdmissionRecord | undefined> {
    const record = await this.#admitted(data["identity"] ?? "");
    return record !== undefined && lists(record, name) ? record : undefined;
  }
}
