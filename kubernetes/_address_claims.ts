import { addressBytes } from "../platform/ip_address.ts";
import { hex } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { AdmissionRecord } from "./_admission_record.ts";
import { addressTaken, movesTooOften } from "./_admission_refusals.ts";
import type { ConfigMaps, StoredConfigMap } from "./_config_maps.ts";
import { unless, unlessChanged } from "./_unless.ts";

const PREFIX = "address-";

/** The name of an address's claim. All spellings of an address have the same claim. */
function claimName(address: string): string | undefined {
  const bytes = addressBytes(address);
  return bytes && PREFIX + (bytes.length === 4 ? bytes.join(".") : hex(bytes));
}

/** The names of the claims of all valid addresses, without duplicates. */
function claimNames(addresses: readonly string[]): Map<string, string> {
  const named = addresses.map((address) => [claimName(address), address] as const);
  return new Map(named.filter((one): one is readonly [string, string] => one[0] !== undefined));
}

/** Earlier addresses that one identity may hold. A node that is moved by hand needs one. */
const MOST_HELD = 3;

/** The key of the time to which a claim is held, ISO 8601. */
const HELD = "heldUntil";

/** The time to which a claim is held; 0 if it is not. */
function heldUntilMs({ data }: StoredConfigMap): number {
  return Date.parse(data[HELD] ?? "") || 0;
}

/** Whether a record lists the address of a claim. */
function lists({ addresses }: AdmissionRecord, name: string): boolean {
  return addresses.some((address) => claimName(address) === name);
}

/**
 * Records which identity has an address: one ConfigMap for each address, so that the cost for a node does not grow with
 * the number of nodes.
 *
 * A claim is created before the admission records and deleted after them. A claim that a killed admission left behind
 * has no owner: a claim counts only while its identity is admitted and the identity's record lists the address, or until
 * the time to which it is held: a node that has changed its address can still serve with a certificate for the old one.
 */
export class AddressClaims {
  readonly #configMaps: ConfigMaps;
  readonly #admitted: (identity: string) => Promise<AdmissionRecord | undefined>;
  readonly #clock: Pick<Clock, "now">;

  /**
   * @param admitted Returns the record of a completely admitted identity.
   * @param clock Tells whether a claim is still held.
   */
  constructor(
    configMaps: ConfigMaps,
    admitted: (identity: string) => Promise<AdmissionRecord | undefined>,
    clock: Pick<Clock, "now">,
  ) {
    this.#configMaps = configMaps;
    this.#admitted = admitted;
    this.#clock = clock;
  }

  /**
   * Claims all addresses of a record. Returns `false` if another client changed a claim in between.
   *
   * @param listed Addresses that the identity's record has already. Their claims are nearly always there.
   * @throws {BootstrapError} `conflict/node-address`.
   */
  async claim(asked: AdmissionRecord, listed: readonly string[] = []): Promise<boolean> {
    const data = { identity: asked.identity, nodeName: asked.nodeName };
    for (const [name, address] of claimNames(asked.addresses)) {
      if (listed.includes(address) && (await this.#configMaps.find(name))?.data["identity"] === asked.identity) {
        continue;
      }
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

  /** Whether the record's identity still claims all of its addresses. */
  async areHeld({ identity, addresses }: AdmissionRecord): Promise<boolean> {
    const names = [...claimNames(addresses).keys()];
    const found = await Promise.all(names.map((name) => this.#configMaps.find(name)));
    return found.every((claim) => claim?.data["identity"] === identity);
  }

  /** Returns those of a record's addresses that its identity claims. */
  async ownOf({ identity, addresses }: AdmissionRecord): Promise<string[]> {
    const owners = await Promise.all(addresses.map(async (address) => {
      const name = claimName(address);
      return name && (await this.#configMaps.find(name))?.data["identity"];
    }));
    return addresses.filter((_, index) => owners[index] === identity);
  }

  /** Returns the record of the node that has an address, or `undefined`. */
  async holder(address: string): Promise<AdmissionRecord | undefined> {
    const name = claimName(address);
    const found = name === undefined ? undefined : await this.#configMaps.find(name);
    return found && await this.#holderBy(found);
  }

  /** Keeps an identity's claims of addresses until a time, milliseconds since 1970, whatever its record lists. */
  async hold(identity: string, addresses: readonly string[], untilMs: number): Promise<void> {
    for (const name of claimNames(addresses).keys()) {
      const found = await this.#configMaps.find(name);
      if (found?.data["identity"] !== identity || untilMs <= heldUntilMs(found)) continue;
      const data = { ...found.data, [HELD]: new Date(untilMs).toISOString() };
      await unlessChanged(() => this.#configMaps.update(found, data));
    }
  }

  /**
   * Checks that an identity may leave its addresses for others: it holds only a few earlier ones. Without this bound,
   * one node could take all addresses of a network by claiming one after the other.
   *
   * @throws {BootstrapError} `unavailable/node-addresses`.
   */
  async checkMayMove(asked: AdmissionRecord): Promise<void> {
    const nowMs = this.#clock.now().getTime();
    const held = AddressClaims.among(await this.#configMaps.list(), new Set([asked.identity]))
      .filter((claim) => heldUntilMs(claim) > nowMs && !lists(asked, claim.name));
    if (held.length < MOST_HELD) return;
    throw movesTooOften(asked, Math.min(...held.map(heldUntilMs)));
  }

  /** Deletes an identity's claims of addresses that its record does not list and that are not held. */
  async release(identity: string, addresses: readonly string[]): Promise<void> {
    for (const name of claimNames(addresses).keys()) {
      const found = await this.#configMaps.find(name);
      if (found?.data["identity"] !== identity || await this.#holderBy(found) !== undefined) continue;
      await unlessChanged(() => this.#configMaps.remove(name, found));
    }
  }

  /** Selects from all ConfigMaps the claims of any of the identities. */
  static among(all: readonly StoredConfigMap[], identities: ReadonlySet<string | undefined>): StoredConfigMap[] {
    return all.filter(({ name, data }) => name.startsWith(PREFIX) && identities.has(data["identity"]));
  }

  async #holderBy(claim: StoredConfigMap): Promise<AdmissionRecord | undefined> {
    const record = await this.#admitted(claim.data["identity"] ?? "");
    if (record === undefined) return undefined;
    return lists(record, claim.name) || heldUntilMs(claim) > this.#clock.now().getTime() ? record : undefined;
  }
}
