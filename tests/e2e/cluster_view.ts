import assert from "node:assert/strict";
import { deadlinesMs } from "./deadlines.ts";
import type { JournalEntry } from "./journal.ts";
import type { Machine } from "./machine.ts";
import type { Operator } from "./operator.ts";
import { type Look, waitUntil } from "./wait_until.ts";

/** The fields of a Node that tests read. */
export interface KubernetesNode {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: {
    readonly nodeInfo: { readonly bootID: string };
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

/** The fields of the output of `bootstrapper status` that tests read. */
export interface NodeStatus {
  readonly phase: string;
  readonly lastRefusal?: {
    readonly code: string;
    readonly message: string;
    readonly next?: string;
    readonly details: Readonly<Record<string, string>>;
  };
}

/** A member of the cluster's etcd. */
export interface EtcdMember {
  readonly name: string;
  readonly isLearner: boolean;
}

const pki = "/etc/kubernetes/pki/etcd";
const etcdctl = [
  "etcdctl",
  "--endpoints=https://127.0.0.1:2379",
  ...[`--cacert=${pki}/ca.crt`, `--cert=${pki}/server.crt`, `--key=${pki}/server.key`, "--write-out=json"],
] as const;
const askEveryMs = 2_000;
const requestTimeoutMs = 20_000;

/** A cluster as seen by its operator and in its nodes' journals. */
export class ClusterView {
  readonly #operator: Pick<Operator, "kubectl">;
  readonly #kubectl: string;

  /** @param kubectl the path of the program */
  constructor(operator: Pick<Operator, "kubectl">, kubectl: string) {
    this.#operator = operator;
    this.#kubectl = kubectl;
  }

  /**
   * Returns the output of `kubectl get` as soon as it succeeds. On a slow machine an API server sometimes fails its
   * liveness probe and is restarted.
   */
  async get(...args: readonly string[]): Promise<string> {
    const what = `answer to kubectl get ${args.join(" ")}`;
    return await waitUntil({ what, deadlineMs: deadlinesMs.member, everyMs: askEveryMs }, async (look) => {
      const { exitCode, stdout, stderr } = await this.#operator.kubectl(this.#kubectl, ["get", ...args]);
      look.saw(stderr);
      return exitCode === 0 ? stdout : undefined;
    });
  }

  /** Waits until a machine's bootstrapper has logged this event in a line that contains all `parts`. */
  said(
    machine: Machine,
    event: string,
    { parts = [], since = 0, deadlineMs = deadlinesMs.member }: SaidOptions = {},
  ): Promise<JournalEntry> {
    return machine.journal.waitFor({
      what: [`"${event}" of ${machine.name}`, ...parts].join(" with "),
      deadlineMs,
      match: ({ message }) => message.includes(`"event":"${event}"`) && parts.every((part) => message.includes(part)),
      since,
    });
  }

  async node(name: string): Promise<KubernetesNode> {
    return JSON.parse(await this.get("node", name, "--output=json"));
  }

  /** The names of all Nodes, sorted. */
  async nodeNames(): Promise<string[]> {
    const { items }: { items: readonly KubernetesNode[] } = JSON.parse(
      await this.get("nodes", "--output=json"),
    );
    return items.map(({ metadata }) => metadata.name).toSorted();
  }

  /** Waits until the Node with this name satisfies `isMeant` and is Ready. */
  ready(name: string, isMeant: (node: KubernetesNode) => boolean = () => true): Promise<KubernetesNode> {
    return waitUntil({ what: `Ready ${name}`, deadlineMs: deadlinesMs.member, everyMs: askEveryMs }, async (look) => {
      const get = ["get", "node", name, "--output=json", `--request-timeout=${seconds(requestTimeoutMs, look)}`];
      const { exitCode, stdout, stderr } = await this.#operator.kubectl(this.#kubectl, get);
      look.saw(stderr);
      if (exitCode !== 0) return undefined;
      const seen: KubernetesNode = JSON.parse(stdout);
      const condition = seen.status.conditions.find(({ type }) => type === "Ready");
      look.saw(`Ready is ${condition?.status ?? "not known"}: ${condition?.message ?? ""}`);
      return isMeant(seen) && seen.status.conditions.some(isReady) ? seen : undefined;
    });
  }

  /** The output of `bootstrapper status` on a machine. */
  async status(machine: Machine): Promise<NodeStatus> {
    const { exitCode, stdout, stderr } = await machine.exec(["bootstrapper", "status", "--output", "json"], {
      deadlineMs: deadlinesMs.command,
    });
    assert.equal(exitCode, 0, stderr);
    const { status }: { status: NodeStatus } = JSON.parse(stdout);
    return status;
  }

  /**
   * etcd's members, as a control plane sees them. A member whose power was cut needs some time before it answers again.
   */
  async etcdMembers(controlPlane: Machine): Promise<EtcdMember[]> {
    const what = `an answer of etcd on ${controlPlane.name}`;
    return await waitUntil({ what, deadlineMs: deadlinesMs.member, everyMs: askEveryMs }, async (look) => {
      const timeout = seconds(requestTimeoutMs, look);
      const timeouts = [`--dial-timeout=${timeout}`, `--command-timeout=${timeout}`];
      const list = [...etcdctl, ...timeouts, "member", "list"] as const;
      const { exitCode, stdout, stderr } = await controlPlane.exec(list, { deadlineMs: deadlinesMs.command });
      look.saw(stderr);
      if (exitCode !== 0) return undefined;
      const { members }: { members: readonly Partial<EtcdMember>[] } = JSON.parse(stdout);
      return members.map(({ name = "", isLearner = false }) => ({ name, isLearner }));
    });
  }

  /** Checks that etcd's voters are exactly these. */
  async assertVoters(controlPlane: Machine, names: readonly string[]): Promise<void> {
    const members = await this.etcdMembers(controlPlane);
    assert.deepEqual(
      members.toSorted((a, b) => a.name < b.name ? -1 : 1),
      names.toSorted().map((name) => ({ name, isLearner: false })),
    );
  }
}

/** Which log entry {@linkcode ClusterView.said} waits for. */
export interface SaidOptions {
  /** Texts that the line contains besides the event. */
  readonly parts?: readonly string[];
  /** Entries before this position of the journal are ignored. */
  readonly since?: number;
  /** Default: as for a new member. */
  readonly deadlineMs?: number;
}

/** Converts a timeout of the quiet reference machine to a command-line argument for this machine. */
function seconds(timeoutMs: number, { slowdown }: Pick<Look, "slowdown">): string {
  return `${Math.ceil(timeoutMs * slowdown / 1000)}s`;
}

function isReady({ type, status }: KubernetesNode["status"]["conditions"][number]): boolean {
  return type === "Ready" && status === "True";
}
