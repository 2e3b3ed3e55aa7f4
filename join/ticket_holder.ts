/**
 * A node's ticket: the search for it, the turn that its service keeps, and the keys of the cluster in it.
 *
 * @module
 */
import type { NodeSelf } from "../protocol/node_self.ts";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import type { TrustPart } from "../protocol/transcript.ts";
import type { KeyPair } from "../certificate/keys.ts";
import { privateKeyPem } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import type { Journal } from "../journal/journal.ts";
import { kubeconfig } from "../kubernetes/kubeconfig.ts";
import type { EndpointSource } from "../platform/endpoint_source.ts";
import type { NodeLock } from "../nodelock/lock.ts";
import { utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { writeFileAtomic } from "../platform/files.ts";
import type { FollowedEndpoints } from "../platform/follow_endpoints.ts";
import type { Log } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import type { ControlPlaneKit } from "../protocol/control_plane_kit.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import { JOIN_CLIENT_DEADLINES } from "./exchange_client.ts";
import type { FounderPolicy } from "./founder_evidence.ts";
import type { NodeKeys } from "../protocol/node_keys.ts";
import { discoveryPath } from "./run_folder.ts";
import type { Ticket, TicketTurn } from "./ticket.ts";
import type { EndpointFailure } from "./ticket_search.ts";
import { TicketSearch } from "./ticket_search.ts";

/** What tickets are obtained with. */
export interface TicketHolderParts {
  /** Whom the node obeys, by its configuration. */
  readonly trust: TrustPart;
  /** The policy of `trust.founding`, where the trust part has one. */
  readonly founders?: FounderPolicy;
  /** The founding token's key, on founders and later control planes. */
  readonly token?: KeyPair;
  /** The node's name, its address, and the role that it asks for. */
  readonly self: NodeSelf;
  /** The join services to try, at least one. */
  readonly endpoints: readonly EndpointSource[];
  /** The version of the node's kubelet, such as `v1.36.3`. */
  readonly kubeletVersion: string;
  readonly issuer: EvidenceIssuer;
  /** The only cluster to join, 32 bytes. Default: any that the node trusts. */
  readonly only?: Uint8Array;
  /** The node's lock: unlocked, or locked by an earlier start of the JoinClient. */
  readonly lock: NodeLock;
  /** The bootstrapper's own folder on a tmpfs, for keys and ticket: `/run/bootstrapper`. */
  readonly runFolder: string;
  readonly clock: Clock;
  /** Records refusals and failures. */
  readonly log: Log;
}

/** How tickets are obtained. */
export interface TicketHolderOptions {
  /** Ends the join, when the InitServer gets the node or the process is stopped. */
  readonly signal: AbortSignal;
  /** Called with every failed attempt at a join service, for `status`. */
  readonly onEndpointFailure?: (failure: EndpointFailure) => void;
  /** Called when the endpoints of a name have changed, or the reason why they are not known, for `status`. */
  readonly onEndpointSource?: (followed: FollowedEndpoints) => void;
}

const SECRET_MODE = 0o600;

/** Holds one ticket at a time. */
export class TicketHolder {
  readonly #parts: TicketHolderParts;
  readonly #options: TicketHolderOptions;
  readonly #keys: NodeKeys;
  readonly #journal: Journal;
  #search: TicketSearch;
  #turn: TicketTurn | undefined;
  #kit: ControlPlaneKit | undefined;

  /** Holds none yet. */
  constructor(parts: TicketHolderParts, options: TicketHolderOptions, keys: NodeKeys, journal: Journal) {
    this.#parts = parts;
    this.#options = options;
    this.#keys = keys;
    this.#journal = journal;
    this.#search = this.#searchFor(undefined);
  }

  /** Why the node must not take the lock: two clusters answer. */
  get conflict(): BootstrapError | undefined {
    return this.#search.conflict;
  }

  /** From now on, only tickets of this cluster are taken. */
  lockTo(clusterId: Uint8Array): void {
    this.#search = this.#searchFor(clusterId);
  }

  /** Asks all join services until one gives a ticket, and writes the kubeconfig with which kubeadm uses it. */
  async obtain(): Promise<Ticket> {
    const { self, trust, runFolder } = this.#parts;
    const ticket = await this.#journal.phase("join-ticket", () => this.#search.run(this.#options.signal));
    this.#turn?.[Symbol.dispose]();
    this.#turn = ticket.turn;
    this.#kit = ticket.kit;
    // A locked node keeps its turn in any case.
    if (this.#parts.lock.state().name === "locked") this.#turn?.[Symbol.dispose]();
    const text = kubeconfig({
      clusterName: trust.clusterName,
      userName: self.name,
      server: `https://${ticket.apiEndpoints[0]}`,
      caPem: writePem("CERTIFICATE", ticket.ca.der),
      certificatePem: writePem("CERTIFICATE", ticket.clientCertificate.der),
      keyPem: await privateKeyPem(this.#keys.node),
    });
    await writeFileAtomic(discoveryPath(runFolder), utf8(text), { mode: SECRET_MODE });
    return ticket;
  }

  /**
   * Whether a ticket serves for another try of the preflight. One with the cluster's keys does not: they are wiped, and
   * another control plane may have its turn.
   */
  mayServeAgain({ kit, clientCertificate: { notBefore, notAfter } }: Ticket): boolean {
    return kit === undefined &&
      this.#parts.clock.now().getTime() < (notBefore.getTime() + notAfter.getTime()) / 2;
  }

  /** Gives the turn back, so that another control plane may join. */
  async returnTurn(): Promise<void> {
    await this.#turn?.settle(false);
    this.#turn = undefined;
  }

  /**
   * Tells the service that keeps a turn for this node what became of the ticket. A node that is still fresh asks again.
   */
  async settleTurn(): Promise<void> {
    const state = this.#parts.lock.state();
    if (state.name === "locked") await this.#turn?.settle(state.lock.owner === "join");
    else this.#turn?.[Symbol.dispose]();
    this.#turn = undefined;
  }

  /** Wipes the keys of a ticket whose work has failed. */
  wipeKeys(): void {
    if (this.#kit !== undefined) wipeKit(this.#kit);
    this.#kit = undefined;
  }

  #searchFor(lockedTo: Uint8Array | undefined): TicketSearch {
    const { trust, founders, token, only, self, kubeletVersion, issuer, endpoints, clock, log } = this.#parts;
    const { onEndpointFailure, onEndpointSource } = this.#options;
    return new TicketSearch({
      endpoints,
      clock,
      log,
      node: {
        purpose: "join",
        trust,
        self,
        kubeletVersion,
        issuer,
        clock,
        keys: this.#keys,
        deadlines: JOIN_CLIENT_DEADLINES,
        ...present("founders", founders),
        ...present("token", token),
        ...present("only", only),
        ...present("lockedTo", lockedTo),
      },
      ...present("onFailure", onEndpointFailure),
      ...present("onSource", onEndpointSource),
    });
  }
}
