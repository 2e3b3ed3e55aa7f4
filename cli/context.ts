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

/** The forms in which the program prints: text for people, JSON objects, one per line, or the same objects as YAML. */
export const PRINTED_FORMS = ["text", "json", "yaml"] as const;
/** A form in which the program prints. */
export type PrintedForm = typeof PRINTED_FORMS[number];
/** A form in which a command gives its output; the program makes YAML of JSON. */
export type OutputForm = "text" | "json";

/** The terminal, and the person at it. */
export interface Terminal {
  /** Whether standard output is a terminal that obeys control codes, so that lines can be redrawn. */
  readonly isTerminal: boolean;
  /** Whether standard error is a terminal, at which a person reads the log. */
  readonly isErrorTerminal: boolean;
  /** Whether colours are wanted, where a stream is a terminal: not with `NO_COLOR`, `TERM=dumb` or `--no-color`. */
  readonly hasColours: boolean;
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
  /** Writes an object to standard output: as one line of JSON, or as YAML where the caller wants that. */
  readonly printJson: (value: unknown) => void;
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
