/**
 * A client of Kubernetes' etcd cluster with the calls that this project needs: list the members, check their health,
 * and remove a member.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { BootstrapError } from "../platform/errors.ts";
import type { Member, MemberListResponse } from "../proto/gen/etcd.ts";
import { type CallBounds, EtcdChannel } from "./etcd_channel.ts";
import { noEndpointError } from "./_etcd_error.ts";
import { type EtcdCredentials, type EtcdEndpoint, parseEtcdEndpoint } from "./_etcd_tls.ts";
import type { EtcdHealth, EtcdMember } from "./etcd_health.ts";

export type { EtcdCredentials } from "./_etcd_tls.ts";
export { checkCanGrow, checkCanRemove, type EtcdHealth, type EtcdMember } from "./etcd_health.ts";

/** The options of the client. */
export interface EtcdOptions {
  /** The time limit of a call, milliseconds. Default: 10 s. */
  readonly deadlineMs?: number;
  /**
   * The socket of a process that connects to the members that are not among the endpoints; see `serveDials()`. Default:
   * this process does.
   */
  readonly dialer?: string;
}

/**
 * Longer than the 7 s that etcd itself gives a request (5 s and two election time-outs: `ReqTimeout` in its
 * `config.go`).
 */
const DEFAULT_DEADLINE_MS = 10_000;
const MEMBER_ID = /^[0-9a-f]{16}$/;

/**
 * The members of an etcd cluster, reached at any of several endpoints. All methods throw {@linkcode BootstrapError}:
 *
 * | code | when |
 * |---|---|
 * | `unavailable/etcd` | no endpoint can be reached, or etcd has no leader: retriable |
 * | `timeout/etcd` | no answer in time: retriable; a change may have happened |
 * | `unauthorized/etcd` | one side does not accept the other's certificate |
 * | `precondition/etcd` | etcd refuses the request in its current state |
 * | `aborted/etcd` | the object was disposed |
 * | `system/etcd` | etcd failed, or another program answered |
 */
export class EtcdCluster implements Disposable {
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #credentials: EtcdCredentials;
  readonly #deadlineMs: number;
  readonly #dialer: string | undefined;
  readonly #disposed = new AbortController();

  /**
   * Sends nothing yet.
   *
   * @param endpoints `host:port`, `[IPv6]:port` or `https://host:port` of members. The member's certificate must
   *   contain the host.
   * @throws {BootstrapError} `usage/etcd-endpoint`, `usage/etcd-credentials`.
   */
  constructor(
    endpoints: readonly [string, ...string[]],
    credentials: EtcdCredentials,
    options: EtcdOptions = {},
  ) {
    this.#endpoints = endpoints.map(readEndpoint);
    checkCredentials(credentials);
    this.#credentials = credentials;
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    this.#dialer = options.dialer;
  }

  /** Returns all members, as a quorum knows them now. It asks all endpoints at once and uses the first answer. */
  async members(): Promise<readonly EtcdMember[]> {
    const { response } = await this.#list(this.#endpoints, true, this.#deadline());
    return membersOf(response);
  }

  /**
   * Removes a member. Returns `false` if there is none with that ID. The call may be repeated after an error.
   *
   * Call {@linkcode checkCanRemove} first: etcd refuses only some of the removals that would cost its quorum.
   *
   * @param id The ID in the form of {@linkcode EtcdMember.id}.
   */
  async remove(id: string): Promise<boolean> {
    if (!MEMBER_ID.test(id)) {
      throw new BootstrapError(
        "usage/etcd-member",
        `"${id}" is not an etcd member's ID: it has 16 hexadecimal digits`,
        {
          details: { id },
        },
      );
    }
    const deadline = this.#deadline();
    const { response, endpoint } = await this.#list(this.#endpoints, true, deadline);
    if (!membersOf(response).some((member) => member.id === id)) return false;
    const channel = new EtcdChannel(endpoint, this.#credentials);
    return await channel.remove(BigInt(`0x${id}`), { deadline, signal: this.#disposed.signal });
  }

  /**
   * Asks every voting member directly, all at once. If no quorum answers, the result contains what can still be
   * determined. The call takes at most three times the deadline.
   */
  async health(): Promise<EtcdHealth> {
    let leaderless = false;
    let response: MemberListResponse;
    try {
      ({ response } = await this.#list(this.#endpoints, true, this.#deadline()));
    } catch (error) {
      if (!(error instanceof BootstrapError && error.retriable)) throw error;
      leaderless = true;
      ({ response } = await this.#list(this.#endpoints, false, this.#deadline()));
    }
    const members = membersOf(response);
    const deadline = this.#deadline();
    const voters = members.filter(({ isLearner }) => !isLearner);
    const answers = await Promise.all(voters.map((voter) => this.#answers(voter, !leaderless, deadline)));
    const healthy = new Set(voters.filter((_, index) => answers[index]).map(({ id }) => id));
    return { members, healthy, leaderless };
  }

  /** Ends all calls. */
  [Symbol.dispose](): void {
    this.#disposed.abort();
  }

  #deadline(): number {
    return Date.now() + this.#deadlineMs;
  }

  /** Whether the member itself answers at one of its client URLs. */
  async #answers(member: EtcdMember, linearizable: boolean, deadline: number): Promise<boolean> {
    const endpoints = member.clientUrls.map(parseEtcdEndpoint).filter((endpoint) => endpoint !== undefined);
    if (endpoints.length === 0) return false;
    try {
      const { response } = await this.#list(endpoints, linearizable, deadline, this.#dialer);
      return idOf(response.header?.memberId ?? 0n) === member.id;
    } catch (error) {
      if (this.#disposed.signal.aborted) throw error;
      return false;
    }
  }

  /** Asks all endpoints at once. The first answer ends the other calls. */
  async #list(
    endpoints: readonly EtcdEndpoint[],
    linearizable: boolean,
    deadline: number,
    dialer?: string,
  ): Promise<{ readonly response: MemberListResponse; readonly endpoint: EtcdEndpoint }> {
    const answered = new AbortController();
    const bounds: CallBounds = { deadline, signal: AbortSignal.any([this.#disposed.signal, answered.signal]) };
    try {
      return await Promise.any(endpoints.map(async (endpoint) => {
        const response = await new EtcdChannel(endpoint, this.#credentials, dialer).list(linearizable, bounds);
        return { response, endpoint };
      }));
    } catch (error) {
      throw error instanceof AggregateError ? noEndpointError(error.errors) : error;
    } finally {
      answered.abort();
    }
  }
}

/** Formats a member's ID with leading zeros. etcdctl omits them. */
function idOf(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}

function membersOf({ members }: MemberListResponse): readonly EtcdMember[] {
  return members.map(({ ID, name, peerURLs, clientURLs, isLearner }: Member) => ({
    id: idOf(ID),
    name,
    isLearner,
    peerUrls: peerURLs,
    clientUrls: clientURLs,
  }));
}

function readEndpoint(text: string): EtcdEndpoint {
  const endpoint = parseEtcdEndpoint(text);
  if (endpoint !== undefined) return endpoint;
  throw new BootstrapError("usage/etcd-endpoint", `"${text}" is not an etcd endpoint: it must be host:port`, {
    details: { endpoint: text },
  });
}

/**
 * Checks the PEMs, because Node's TLS accepts any text and fails much later. Causes are dropped: they may reveal the
 * key.
 */
function checkCredentials({ caPem, certificatePem, keyPem }: EtcdCredentials): void {
  const check = (field: string, isGood: () => boolean) => {
    try {
      if (isGood()) return;
    } catch {
      // Reported below.
    }
    throw new BootstrapError("usage/etcd-credentials", `Cannot use "${field}" for etcd`, { details: { field } });
  };
  check("caPem", () => new X509Certificate(caPem).ca);
  check("certificatePem", () => new X509Certificate(certificatePem).subject !== undefined);
  check("keyPem", () => new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem)));
}
