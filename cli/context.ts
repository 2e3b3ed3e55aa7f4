/**
 * A command's access to the outside world.
 *
 * @module
 */
import type { EvidenceKind } from "../attestation/kind.ts";
import type { TpmTransport } from "../attestation/kinds/tpm/transport.ts";
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import type { InterfaceAddress } from "../node/own_address.ts";
import type { NodePaths } from "../node/paths.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import type { BootstrapError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { OwnProgram } from "../platform/own_program.ts";

/** The forms of output: text for people, or JSON objects, one per line. */
export const OUTPUT_FORMS = ["text", "json"] as const;
/** A form of output. */
export type OutputForm = typeof OUTPUT_FORMS[number];

/** The terminal, and the person at it. */
export interface Terminal {
  /** Whether standard output is a terminal, where lines can be redrawn. */
  readonly isTerminal: boolean;
  /** The width of the terminal in characters. */
  readonly columns: number;
  /**
   * Asks for a secret, which the terminal does not show while the person types it.
   *
   * @throws {BootstrapError} `usage/no-terminal` if there is no terminal, `aborted/prompt`, `usage/passphrase`.
   */
  askSecret(prompt: string): Promise<string>;
  /**
   * Asks for a line of text, which is returned without white space around it.
   *
   * @throws {BootstrapError} `usage/no-terminal` if there is no terminal.
   */
  ask(question: string): Promise<string>;
  /** Whether standard input is a terminal, at which somebody can be asked. */
  readonly canAsk: boolean;
  /**
   * Asks a question. Any answer but `y` or `yes` means no.
   *
   * @throws {BootstrapError} `usage/no-terminal` if there is no terminal.
   */
  confirm(question: string): Promise<boolean>;
}

/** The values of the environment variables that the program itself reads. They contain no secrets. */
export interface Environment {
  /** `$CREDENTIALS_DIRECTORY`, from systemd. */
  readonly credentialsFolder?: string;
  /** `$XDG_CONFIG_HOME`, or `$HOME/.config`; `.config` if neither variable is set. */
  readonly configFolder: string;
}

/** A command's access to the outside world. */
export interface CliContext {
  /** Writes a text unchanged to standard output. */
  readonly print: (text: string) => void;
  /**
   * Reads standard input to its end.
   *
   * @throws {BootstrapError} `malformed/size` if it has more bytes.
   */
  readonly readInput: (maximumBytes: number) => Promise<Uint8Array>;
  /** Writes a text unchanged to standard error. */
  readonly printError: (text: string) => void;
  /** The log, which writes lines of JSON to standard error. */
  readonly log: Log;
  readonly clock: Clock;
  /** Starts this program itself. */
  readonly program: OwnProgram;
  /** Runs other programs. */
  readonly commands: CommandRunner;
  readonly terminal: Terminal;
  readonly environment: Environment;
  readonly paths: NodePaths;
  /** Whether root runs this process. */
  readonly isRoot: boolean;
  /** Returns the machine's own name and addresses at the time of the call. */
  readonly machineNames: () => MachineNames;
  /** Opens this node's TPM. Throws `system/tpm-transport` if there is none. */
  readonly openTpm: () => Promise<TpmTransport>;
  /**
   * Starts the process that opens the devices of a confidential VM. It ends with this process. `onEnd` gets the error if
   * it ends before.
   */
  readonly openDevice: (onEnd: (error: BootstrapError) => void) => ConfidentialDevice & Partial<Disposable>;
  /** The known kinds of evidence. Default: those of `attestation/kinds.ts`; tests use others. */
  readonly kinds?: readonly EvidenceKind[];
  /** This process's Deno permissions. */
  readonly permissions: Pick<Deno.Permissions, "revoke">;
}

/** The machine's name and addresses, from the operating system. */
export interface MachineNames {
  readonly hostName: string;
  /** The addresses of the machine's network interfaces. */
  readonly addresses: readonly InterfaceAddress[];
}
