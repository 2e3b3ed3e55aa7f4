/**
 * A machine for tests of the JoinClient.
 *
 * @module
 */
import type { NodeSelf } from "../../protocol/node_self.ts";
import { join } from "node:path";
import { readKubeconfig } from "../../kubernetes/kubeconfig.ts";
import type { NodeLock } from "../../nodelock/lock.ts";
import { openNodeLock } from "../../nodelock/lock.ts";
import { systemClock } from "../../platform/clock.ts";
import type { BootstrapError } from "../../platform/errors.ts";
import { silentLog } from "../../platform/log.ts";
import { Journals } from "../../journal/journals.ts";
import type { JoinClientDependencies, JoinClientOptions } from "../../join/client.ts";
import { runJoinClient } from "../../join/client.ts";
import { readOrCreateIdentityKey } from "../../protocol/node_keys.ts";
import { KUBELET_VERSION, newInsecureIssuer } from "./join_world.ts";

/** A machine whose kubeadm and kubelet are scripts of answers; `calls` records what it did. */
export class TestMachine implements AsyncDisposable {
  readonly calls: string[] = [];
  readonly failures: { readonly endpoint: string; readonly code: string }[] = [];
  readonly stop = new AbortController();
  joined = false;
  /** Errors of `kubeadm join`, in order. After them it succeeds. */
  readonly joinErrors: BootstrapError[] = [];
  readonly preflightFailures: string[] = [];
  lock: NodeLock;
  /** Wraps each step. */
  aroundStep: <T>(name: string, work: () => Promise<T>) => Promise<T> = (_name, work) => work();

  private constructor(readonly folder: string, readonly role: NodeSelf["role"], lock: NodeLock) {
    this.lock = lock;
  }

  static async create(role: NodeSelf["role"] = "worker"): Promise<TestMachine> {
    const folder = await Deno.makeTempDir();
    return new TestMachine(folder, role, await openNodeLock({ folder, clock: systemClock }));
  }

  get runFolder(): string {
    return join(this.folder, "run");
  }

  get stateFolder(): string {
    return join(this.folder, "state");
  }

  async restart(): Promise<void> {
    this.lock = await openNodeLock({ folder: this.folder, clock: systemClock });
  }

  async run(
    trust: JoinClientDependencies["trust"],
    ports: readonly number[],
    changes: Partial<JoinClientDependencies> = {},
    options: Partial<JoinClientOptions> = {},
  ): Promise<"joined" | "lost"> {
    return await runJoinClient({
      trust,
      self: { name: "worker-1", address: "192.0.2.7", role: this.role },
      endpoints: ports.map((port) => ({ host: "127.0.0.1", port })),
      kubeletVersion: KUBELET_VERSION,
      issuer: await newInsecureIssuer(await readOrCreateIdentityKey(this.stateFolder)),
      lock: this.lock,
      kubeadm: {
        preflight: () => {
          this.calls.push("preflight");
          const failed = this.preflightFailures.splice(0, 1);
          return Promise.resolve(failed.map((check) => ({ check, reason: "because" })));
        },
        join: async () => {
          const { server } = await readKubeconfig(join(this.runFolder, "discovery.conf"));
          this.calls.push(`join ${server}`);
          const error = this.joinErrors.shift();
          if (error !== undefined) throw error;
          this.joined = true;
        },
      },
      kubelet: {
        hasJoined: () => Promise.resolve(this.joined),
        installCertificates: () => Promise.resolve(void this.calls.push("certificates")),
        enable: () => Promise.resolve(void this.calls.push("enable")),
        start: () => Promise.resolve(void this.calls.push("start")),
        waitUntilHealthy: () => Promise.resolve(void this.calls.push("healthy")),
        waitUntilRegistered: () => Promise.resolve(void this.calls.push("registered")),
      },
      runFolder: this.runFolder,
      stateFolder: this.stateFolder,
      journals: this.journals,
      controlPlane: {
        preflight: () => Promise.resolve([]),
        hasKeys: () => Promise.resolve(this.calls.includes("keys")),
        installKeys: () => Promise.resolve(void this.calls.push("keys")),
        isVoter: () => Promise.resolve(false),
        resume: () => Promise.resolve(),
        run: (phase) => Promise.resolve(void this.calls.push(`kubeadm ${phase}`)),
        keepCutList: (work) => work(),
        startJoinService: () => Promise.resolve(void this.calls.push("join-service")),
      },
      clock: systemClock,
      log: silentLog,
      ...changes,
    }, {
      signal: this.stop.signal,
      onEndpointFailure: ({ endpoint, error }) => this.failures.push({ endpoint, code: error.code }),
      onLocked: () => this.calls.push("locked"),
      ...options,
    });
  }

  /** The journals of the machine's join, as `run` has them. */
  get journals(): Journals {
    const phase = <T>(name: string, work: () => Promise<T>) => {
      this.calls.push(`(${name})`);
      return this.aroundStep(name, work);
    };
    return new Journals(this.folder, { owner: "join", role: this.role, nodeName: "worker-1" }, {
      clock: systemClock,
      recorder: { phase },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
