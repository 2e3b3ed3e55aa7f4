/**
 * What a subcommand knows of the world.
 *
 * @module
 */
import type { EvidenceKind } from "../attestation/kind.ts";
import type { TpmTransport } from "../attestation/kinds/tpm/transport.ts";
import type { ConfidentialDevice } from "../attestation/tsm/device.ts";
import type { NodePaths } from "../node/paths.ts";
import type { Clock } from "../platform/clock.ts";
import type { CommandRunner } from "../platform/command.ts";
import type { Log } from "../platform/log.ts";

/** How results are printed: for people, or as JSON objects, one a line. */
export const OUTPUT_FORMS = ["text", "json"] as const;
/** How results are printed. */
export type OutputForm = typeof OUTPUT_FORMS[number];

/** The person at the terminal, if there is one. */
export interface Terminal {
  /** Whether results go to a terminal, so that a line may be drawn again. */
  readonly isTerminal: boolean;
  /** The width of the terminal in characters. */
  readonly columns: number;
  /**
   * Asks for a secret, which is not shown while it is typed.
   *
   * @throws {BootstrapError} `usage/no-terminal` if there is no terminal, `aborted/prompt`, `usage/passphrase`.
   */
  askSecret(prompt: string): Promise<string>;
  /**
   * Asks a question; anything but `y` or `yes` is a no.
   *
   * @throws {BootstrapError} `usage/no-terminal` if there is no terminal.
   */
  confirm(question: string): Promise<boolean>;
}

/** The variables of the environment that the program looks at itself. None of them carries a secret. */
export interface Environment {
  /** `$CREDENTIALS_DIRECTORY`, from systemd. */
  readonly credentialsFolder?: string;
  /** `$XDG_CONFIG_HOME`, or `$HOME/.config`; `.config` where there is neither. */
  readonly configFolder: string;
}

/** What a subcommand knows of the world. */
export interface CliContext {
  /** Writes to standard output, as it is. */
  readonly print: (text: string) => void;
  /** Writes to standard error, as it is. */
  readonly printError: (text: string) => void;
  /** Events, as lines of JSON on standard error. */
  readonly log: Log;
  /** The time. */
  readonly clock: Clock;
  /** Other programs. */
  readonly commands: CommandRunner;
  /** The person, if there is one. */
  readonly terminal: Terminal;
  /** The environment. */
  readonly environment: Environment;
  /** The paths of this node. */
  readonly paths: NodePaths;
  /** The machine's own name and addresses, read at the time of the call. */
  readonly machineNames: () => MachineNames;
  /** Opens this node's TPM; it throws `system/tpm-transport` if there is none. */
  readonly openTpm: () => Promise<TpmTransport>;
  /** Starts the process that has the devices of a confidential VM; it ends with this one. */
  readonly openDevice: () => ConfidentialDevice;
  /** The kinds of evidence that there are; `attestation/kinds.ts` unless a test says otherwise. */
  readonly kinds?: readonly EvidenceKind[];
  /** This process's Deno permissions. */
  readonly permissions: Pick<Deno.Permissions, "revoke">;
}

/** What the operating system says of the machine's name and network. */
export interface MachineNames {
  /** The host name. */
  readonly hostName: string;
  /** The addresses of its network interfaces. */
  readonly addresses: readonly { readonly interface: string; readonly address: string }[];
}
