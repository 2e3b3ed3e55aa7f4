/**
 * A test world for the command line: a folder as the node's root, and the printed output.
 *
 * @module
 */
import { join } from "node:path";
import type { EvidenceKind } from "../../attestation/kind.ts";
import type { TpmTransport } from "../../attestation/kinds/tpm/transport.ts";
import type { ConfidentialDevice } from "../../attestation/tsm/device.ts";
import { TSM_FOLDER } from "../../attestation/tsm/report.ts";
import { nodePaths } from "../../node/paths.ts";
import { utf8 } from "../../platform/bytes.ts";
import type { CommandRunner } from "../../platform/command.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { createLog } from "../../platform/log.ts";
import { present } from "../../platform/present.ts";
import type { AnyCommand } from "../command.ts";
import { COMMANDS } from "../commands.ts";
import type { CliContext } from "../context.ts";
import { type Permission, PERMISSIONS } from "../permissions.ts";
import { runProgram } from "../program.ts";

/** The properties of a test world. */
export interface TestWorldOptions {
  /** Standard input. Default: empty. */
  readonly input?: string;
  /** Runs other programs. Default: there are none. */
  readonly runner?: CommandRunner;
  /** The answers that the person at the terminal types, in order. */
  readonly answers?: readonly string[];
  /** Opens the machine's TPM. Default: there is none. */
  readonly openTpm?: () => Promise<TpmTransport>;
  /** The devices of the machine; makes the machine a confidential VM. */
  readonly device?: ConfidentialDevice;
  /** The time of day. Default: the start of 2026, UTC. */
  readonly now?: Date;
  /** The known kinds of evidence. Default: the program's own. */
  readonly kinds?: readonly EvidenceKind[];
  /** Whether root runs the program. Default: yes, as on a node. */
  readonly isRoot?: boolean;
  /** The known commands. Default: the program's own. */
  readonly commands?: readonly AnyCommand[];
}

/** A folder as a node, and the output of the program. */
export class TestWorld implements AsyncDisposable {
  /** Standard output so far. */
  out = "";
  /** Standard error so far. */
  err = "";
  /** The permissions that were dropped, in order. */
  readonly revoked: string[] = [];
  /** The context that the program runs with. */
  readonly context: CliContext;
  readonly #commands: readonly AnyCommand[];

  private constructor(readonly root: string, options: TestWorldOptions) {
    const answers = [...options.answers ?? []];
    const clock = {
      now: () => options.now ?? new Date(Date.UTC(2026, 0, 1)),
      monotonicMs: () => 0,
      sleep: () => Promise.resolve(),
    };
    const printError = (text: string) => {
      this.err += text;
    };
    const answer = () => {
      const next = answers.shift();
      return next === undefined
        ? Promise.reject(new BootstrapError("usage/no-terminal", "There is no terminal"))
        : Promise.resolve(next);
    };
    this.context = {
      print: (text) => {
        this.out += text;
      },
      printJson: (value) => {
        this.out += `${JSON.stringify(value)}\n`;
      },
      readInput: () => Promise.resolve(utf8(options.input ?? "")),
      printError,
      log: createLog(clock, (line) => printError(`${line}\n`)),
      clock,
      commands: options.runner ?? noCommands,
      terminal: {
        isTerminal: false,
        isErrorTerminal: false,
        hasColours: false,
        columns: 80,
        askSecret: () => answer(),
        confirm: async () => await answer() === "y",
        ask: () => answer(),
        canAsk: answers.length > 0,
      },
      environment: { configFolder: join(root, "home/.config") },
      paths: nodePaths(root),
      isRoot: options.isRoot ?? true,
      machineNames: () => ({ hostName: "node-1", addresses: [{ interface: "eth0", address: "10.0.0.1" }] }),
      openTpm: options.openTpm ?? (() => Promise.reject(new BootstrapError("system/tpm-transport", "There is no TPM"))),
      openDevice: () => {
        if (options.device !== undefined) return options.device;
        throw new BootstrapError("system/device", "There is no confidential VM");
      },
      ...present("kinds", options.kinds),
      program: { argv: ["/nowhere/bootstrapper"], env: {} },
      permissions: {
        revoke: ({ name }) => {
          this.revoked.push(name);
          return Promise.resolve(
            Object.assign(new EventTarget(), { state: "denied", onchange: null, partial: false } as const),
          );
        },
      },
    };
    this.#commands = options.commands ?? COMMANDS;
  }

  /** The permissions that were not dropped. */
  get kept(): readonly Permission[] {
    return PERMISSIONS.filter((permission) => !this.revoked.includes(permission));
  }

  /** Creates an empty node, with only its root folder mounted, and with no TPM unless `options` opens one. */
  static async create(options: TestWorldOptions = {}): Promise<TestWorld> {
    const world = new TestWorld(await Deno.makeTempDir(), options);
    await world.write("proc/self/mountinfo", "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    if (options.device !== undefined) await Deno.mkdir(join(world.root, TSM_FOLDER), { recursive: true });
    return world;
  }

  /** Runs the program, and returns its exit code. The new output replaces the earlier one. */
  async run(...args: readonly string[]): Promise<number> {
    this.out = "";
    this.err = "";
    return await runProgram(args, this.context, this.#commands);
  }

  /** Writes a file of the node, and returns its path. */
  async write(path: string, text: string): Promise<string> {
    const absolute = join(this.root, path);
    await Deno.mkdir(join(absolute, ".."), { recursive: true });
    // Operators' keys must be private.
    await Deno.writeTextFile(absolute, text, { mode: 0o600 });
    return absolute;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

const noCommands: CommandRunner = {
  run: ([program]) => Promise.reject(new BootstrapError("system/command", `${program} does not exist`)),
};
