/**
 * The command line's context in the real world.
 *
 * @module
 */
import { startDeviceProcess } from "./device_process.ts";
import { openTpmDevice } from "../attestation/kinds/tpm/transport.ts";
import { nodePaths } from "../node/paths.ts";
import { concat, copyOf, utf8 } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { systemCommands } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createLog } from "../platform/log.ts";
import { ownProgram } from "../platform/own_program.ts";
import { present } from "../platform/present.ts";
import { join } from "node:path";
import type { CliContext, Environment, Terminal } from "./context.ts";
import { readSecretLine } from "./secret_prompt.ts";

const DEFAULT_COLUMNS = 100;
const KEYS_AT_ONCE = 256;
const LINE_BYTES = 4096;
const READ_BYTES = 16 * 1024;

/**
 * Creates the context of this process. It reads the environment at once, because a command may drop that permission
 * later.
 */
export function createSystemContext(): CliContext {
  const paths = nodePaths();
  const printError = (text: string) => writeAll(Deno.stderr, text);
  return {
    print: (text) => writeAll(Deno.stdout, text),
    printJson: (value) => writeAll(Deno.stdout, `${JSON.stringify(value)}\n`),
    readInput,
    printError,
    log: createLog(systemClock, (line) => printError(`${line}\n`), "info"),
    clock: systemClock,
    program: ownProgram(() => import.meta.resolve("../main.ts")),
    commands: systemCommands,
    terminal: systemTerminal(printError),
    environment: readEnvironment(),
    paths,
    isRoot: Deno.uid() === 0,
    machineNames: () => ({
      hostName: Deno.hostname(),
      addresses: Deno.networkInterfaces().map(({ name, address, cidr }) => ({
        interface: name,
        address,
        length: Number(cidr.slice(cidr.indexOf("/") + 1)),
      })),
    }),
    openTpm: () => openTpmDevice(paths.tpmDevice),
    openDevice: (onEnd) =>
      startDeviceProcess(() => {
        onEnd(
          new BootstrapError("system/device", "The process with access to this machine's devices has ended", {
            next: "Start the bootstrapper again, as systemd does: it starts that process anew",
          }),
        );
      }),
    permissions: Deno.permissions,
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = utf8(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}

function readEnvironment(): Environment {
  const credentialsFolder = Deno.env.get("CREDENTIALS_DIRECTORY");
  const home = Deno.env.get("HOME");
  return {
    ...present("credentialsFolder", credentialsFolder),
    configFolder: Deno.env.get("XDG_CONFIG_HOME") || join(home ?? ".", ".config"),
  };
}

function systemTerminal(printError: (text: string) => void): Terminal {
  return {
    isTerminal: Deno.stdout.isTerminal() && Deno.env.get("TERM") !== "dumb",
    isErrorTerminal: Deno.stderr.isTerminal(),
    hasColours: (Deno.env.get("NO_COLOR") ?? "") === "" && Deno.env.get("TERM") !== "dumb",
    columns: Deno.stdout.isTerminal() ? Deno.consoleSize().columns : DEFAULT_COLUMNS,
    async askSecret(prompt) {
      if (!Deno.stdin.isTerminal()) {
        throw new BootstrapError("usage/no-terminal", "A passphrase is needed, but there is no terminal", {
          next: "Give it with --passphrase-file",
        });
      }
      printError(prompt);
      Deno.stdin.setRaw(true);
      try {
        return await readSecretLine(async () => {
          const buffer = new Uint8Array(KEYS_AT_ONCE);
          const length = await Deno.stdin.read(buffer);
          return length === null ? null : copyOf(buffer.subarray(0, length));
        });
      } finally {
        Deno.stdin.setRaw(false);
        printError("\n");
      }
    },
    canAsk: Deno.stdin.isTerminal(),
    async ask(question) {
      if (!Deno.stdin.isTerminal()) {
        throw new BootstrapError("usage/no-terminal", "An answer is needed, but there is no terminal", {
          next: "Give all values as options",
        });
      }
      printError(`${question} `);
      const line = await readLine();
      if (line === undefined) throw new BootstrapError("aborted/prompt", "No answer was given");
      return line.trim();
    },
    async confirm(question) {
      if (!Deno.stdin.isTerminal()) {
        throw new BootstrapError("usage/no-terminal", "A confirmation is needed, but there is no terminal", {
          next: "Confirm with --yes",
        });
      }
      printError(`${question} [y/N] `);
      return /^y(?:es)?\s*$/i.test(await readLine() ?? "");
    },
  };
}

/** Reads a line; `undefined` at the end of the input. In the terminal's usual mode, a read returns one. */
async function readLine(): Promise<string | undefined> {
  const buffer = new Uint8Array(LINE_BYTES);
  const length = await Deno.stdin.read(buffer);
  return length === null ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
}

async function readInput(maximumBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const read = await Deno.stdin.read(buffer);
    if (read === null) return concat(...parts);
    length += read;
    if (length > maximumBytes) {
      throw new BootstrapError(
        "malformed/size",
        `Cannot read standard input as it is larger than ${maximumBytes} bytes`,
      );
    }
    parts.push(copyOf(buffer.subarray(0, read)));
  }
}
