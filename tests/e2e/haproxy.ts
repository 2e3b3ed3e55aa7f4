import { join } from "node:path";
import { capture } from "../tools/run.ts";
import { deadlinesMs } from "./deadlines.ts";
import { subnet } from "./network.ts";
import { isAlive, killProcess, type StartedProcess, startProcess } from "./process.ts";
import type { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

const apiServerPort = 6443;

/** A HAProxy in front of a cluster's API servers, in the testbed's network. It ends with this process. */
export class Haproxy implements AsyncDisposable {
  /** The address on which it listens: the cluster's stable endpoint. */
  static readonly endpoint = `${subnet.gateway}:${apiServerPort}`;
  /** The file with its log, which shows the state of its backends. */
  readonly log: string;
  readonly #process: StartedProcess;

  private constructor(log: string, process: StartedProcess) {
    this.log = log;
    this.#process = process;
  }

  /** Starts HAProxy in front of machines, which need not run yet. Its files are in the testbed's folder. */
  static async start(testbed: Testbed, addresses: readonly string[]): Promise<Haproxy> {
    const folder = join(testbed.folder, "haproxy");
    await Deno.mkdir(folder);
    const config = join(folder, "haproxy.cfg");
    await Deno.writeTextFile(config, configuration(addresses));
    await capture(["haproxy", "-c", "-f", config]);
    const log = join(folder, "haproxy.log");
    const command = testbed.command(["haproxy", "-db", "-f", config]);
    const process = await startProcess(command, { log, cwd: folder, keepRunning: false });
    const haproxy = new Haproxy(log, process);
    await haproxy.#listens(testbed);
    return haproxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killProcess(this.#process);
    await this.#process.ended;
  }

  async #listens(testbed: Testbed): Promise<void> {
    const connect = ["bash", "-c", `</dev/tcp/${subnet.gateway}/${apiServerPort}`];
    await waitUntil({ what: "HAProxy", deadlineMs: deadlinesMs.command }, async () => {
      if ((await testbed.exec(connect)).exitCode === 0) return true;
      if (await isAlive(this.#process)) return undefined;
      throw new Error(`Cannot start HAProxy: ${await Deno.readTextFile(this.log)}`);
    });
  }
}

/**
 * HAProxy retries a connection that a backend does not take on another backend, whatever the last health check
 * reported. So connections reach an API server that works and not one that is starting or gone, and a short failure,
 * such as an election in etcd, is overlooked.
 */
function configuration(addresses: readonly string[]): string {
  const servers = addresses.map((address, index) => `  server api-${index + 1} ${address}:${apiServerPort}`);
  return `global
  log stdout format raw local0
defaults
  mode tcp
  log global
  timeout connect 3s
  retries 2
  option redispatch 1
  timeout client 1h
  timeout server 1h
  timeout check 10s
listen kubernetes
  bind ${Haproxy.endpoint}
  option httpchk GET /readyz
  http-check expect status 200
  default-server check check-ssl verify none inter 3s fall 6 rise 1
${servers.join("\n")}
`;
}
