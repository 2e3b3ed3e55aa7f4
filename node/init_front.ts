/**
 * The front of this node's InitServer: a child that has given up root, listens, and passes the exchanges on.
 *
 * The child has no right but its sockets: a user of its own, no group but the one that enters the socket's folder, no
 * capability, no environment and no open file. It ends with this process, and is started again when it dies.
 *
 * @module
 */
import { join } from "node:path";
import { openRelaySocket } from "../channel/relay_server.ts";
import type { RelayServer } from "../channel/relay_server.ts";
import type { ChannelServer } from "../channel/server.ts";
import type { InitSession } from "../init/exchange_server.ts";
import { serveOperators } from "../init/front_socket.ts";
import { abortable, isAbortedSoon } from "../platform/abortable.ts";
import type { Clock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import type { CommandRunner } from "../platform/command.ts";
import { runOrThrow } from "../platform/command.ts";
import type { Endpoint } from "../platform/endpoint.ts";
import { endpointText } from "../platform/endpoint.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import type { OwnProgram } from "../platform/own_program.ts";
import { retry } from "../platform/retry.ts";
import { INIT_FRONT_COMMAND } from "./init_front_command.ts";

/** The users of `deploy/sysusers.conf`. */
const FRONT_USER = "bootstrapper-front";
const FRONT_GROUP = "bootstrapper-join";
/** `setpriv` of util-linux, which every Debian machine has. */
const WITHOUT_RIGHTS: readonly string[] = [
  ...[`--reuid=${FRONT_USER}`, `--regid=${FRONT_GROUP}`, "--clear-groups", "--no-new-privs"],
  ...["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"],
];
const SETPRIV = "/usr/bin/setpriv";
const SOCKET_FILE = "init.sock";
const FOLDER_DEADLINE_MS = 10_000;
/** How long the child may take until it listens. It has to load its code. */
const START_DEADLINE_MS = 60_000;
/** How long the child may take for its end; it gives its peers 3 s for their last messages. */
const END_DEADLINE_MS = 10_000;

/** What {@linkcode listenBehindFront} works with. */
export interface InitFrontParts {
  /** Starts this program. */
  readonly program: OwnProgram;
  /** Where the child listens; port 0 lets the kernel choose one. */
  readonly listen: Endpoint;
  /** The folder of the socket, which this function makes; `/run/bootstrapper-init`. */
  readonly folder: string;
  /** Makes the folder. */
  readonly commands: CommandRunner;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Starts the child, and serves what it passes on.
 *
 * @returns The channel, once the child listens.
 * @throws {BootstrapError} `system/listen` if the child cannot listen, `precondition/users` if the machine lacks the
 *   child's user.
 */
export async function listenBehindFront(
  parts: InitFrontParts,
  handle: (session: InitSession) => Promise<void>,
): Promise<ChannelServer> {
  const { folder, clock, log, listen } = parts;
  await makeFolder(parts);
  const socket = join(folder, SOCKET_FILE);
  const listening = Promise.withResolvers<number>();
  listening.promise.catch(() => {});
  let port = listen.port;
  const relay = serveOperators({
    ...{ listener: await openRelaySocket(socket), clock, log },
    onListening: (heard) => {
      port = heard;
      listening.resolve(heard);
    },
  }, handle);
  const closing = new AbortController();
  const running = retry(async (startOver) => {
    await runChild(parts, socket, port, closing.signal, () => listening.promise.then(startOver, () => {}));
  }, {
    ...{ clock, random: Math.random, signal: closing.signal, isRetriable: () => true },
    onFailedTry: ({ error, pauseMs }) => {
      // Only the first start can fail for the address. Later ones are tried again.
      listening.reject(error);
      log.event("warn", "init-front-ended", { ...errorFields(error), pauseMs });
    },
  }).catch(() => {});
  const close = async () => {
    closing.abort();
    await running;
    await relay[Symbol.asyncDispose]();
  };
  try {
    await untilListening(listening.promise, relay, clock);
  } catch (cause) {
    await close();
    throw new BootstrapError("system/listen", `Cannot listen on ${endpointText(listen)}`, { cause });
  }
  return {
    port,
    watch: async (_clock, signal) => {
      await abortable(relay.ended, signal).catch((error) => {
        if (!signal.aborted) throw error;
      });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function untilListening(listening: Promise<number>, relay: RelayServer, clock: Clock): Promise<void> {
  const late = () =>
    new BootstrapError("system/listen", `The front did not listen within ${START_DEADLINE_MS / 1000} s`);
  const either = Promise.race([listening, relay.ended]);
  await withDeadline(clock, START_DEADLINE_MS, late, (signal) => abortable(either, signal));
}

/** Only root and the front's group enter the folder. */
async function makeFolder({ folder, commands }: Pick<InitFrontParts, "folder" | "commands">): Promise<void> {
  const argv = ["install", "-d", "-m", "0750", "-o", "root", "-g", FRONT_GROUP, folder] as const;
  try {
    await runOrThrow(commands, [...argv], { deadlineMs: FOLDER_DEADLINE_MS });
  } catch (cause) {
    throw new BootstrapError(
      "precondition/users",
      `Cannot make ${folder} for the front: is there a group ${FRONT_GROUP}, and a user ${FRONT_USER}?`,
      { cause },
    );
  }
}

/** Runs the child until it ends. Its end by itself is a failure. */
async function runChild(
  { program, listen }: InitFrontParts,
  socket: string,
  port: number,
  signal: AbortSignal,
  onStarted: () => void,
): Promise<void> {
  const front = [INIT_FRONT_COMMAND, "--listen", endpointText({ ...listen, port }), "--socket", socket];
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(SETPRIV, {
      args: [...WITHOUT_RIGHTS, "--", ...program.argv, ...front],
      ...{ clearEnv: true, env: { ...program.env } },
      ...{ cwd: "/", stdin: "piped", stdout: "null", stderr: "inherit" },
    }).spawn();
  } catch (cause) {
    throw new BootstrapError("system/command", `Cannot start ${SETPRIV}`, { cause });
  }
  onStarted();
  const ended = child.status;
  try {
    const { code } = await abortable(ended, signal);
    if (await isAbortedSoon(signal)) throw signal.reason;
    throw new BootstrapError("system/command", `The front ended with exit code ${code}; its own lines say why`);
  } finally {
    // The child ends with its standard input.
    await child.stdin.close().catch(() => {});
    const killing = setTimeout(() => child.kill("SIGKILL"), END_DEADLINE_MS);
    await ended;
    clearTimeout(killing);
  }
}
