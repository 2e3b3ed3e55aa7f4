/**
 * The form of the catalogue's entries, and the families of codes.
 *
 * @module
 */

/**
 * The families of failures. Each has a common meaning and remedy, an exit code of the command line, and a retriability.
 */
export const ERROR_FAMILIES = {
  usage: {
    meaning: "A flag, a configuration or a document that a person wrote is wrong.",
    remedy: "Correct what the error names, and run the command again.",
    exitCode: 2,
    retriable: false,
  },
  malformed: {
    meaning: "Bytes from a peer, a device or a file do not have the required form.",
    remedy: "Check the source of these bytes: this version cannot read their form.",
    exitCode: 1,
    retriable: false,
  },
  refused: {
    meaning: "Evidence, a certificate or a claim does not satisfy a policy or the protocol.",
    remedy:
      "Compare the expected and the seen value: either the machine is not the expected one, or the policy is wrong.",
    exitCode: 3,
    retriable: false,
  },
  unauthorized: {
    meaning: "One side does not accept the other's key or certificate.",
    remedy: "Check the owner of the key, and whether the other side is configured with it.",
    exitCode: 3,
    retriable: false,
  },
  protocol: {
    meaning: "The peer broke the protocol: order, size, version or challenge.",
    remedy: "Check that both sides run the same version. If they do, look for an attacker between both sides.",
    exitCode: 3,
    retriable: false,
  },
  precondition: {
    meaning: "The node, the cluster or a record is in a state that does not allow the operation.",
    remedy: "Bring it into the state that the error names, and run the command again.",
    exitCode: 1,
    retriable: false,
  },
  conflict: {
    meaning: "Another claim to the same thing is valid.",
    remedy: "Use the details of the error to find the holder of the other claim. That claim is unchanged.",
    exitCode: 1,
    retriable: false,
  },
  unavailable: {
    meaning: "The operation does not work now, but may work later.",
    remedy: "Run the command again later.",
    exitCode: 4,
    retriable: true,
  },
  timeout: {
    meaning: "A deadline passed.",
    remedy: "Check that the other side runs and is reachable, and run the command again.",
    exitCode: 4,
    retriable: true,
  },
  aborted: {
    meaning: "The operation was stopped by its owner.",
    remedy: "Run the command again to complete the operation.",
    exitCode: 1,
    retriable: false,
  },
  system: {
    meaning: "The operating system, a device or another program failed.",
    remedy: "Check the operating system's reason in the error.",
    exitCode: 1,
    retriable: false,
  },
  internal: {
    meaning: "A condition that must always hold does not hold: this is a defect of the bootstrapper.",
    remedy: "This is a defect in this program. Please report it with the whole output.",
    exitCode: 1,
    retriable: false,
  },
} as const;

/** A family of failures. */
export type ErrorFamily = keyof typeof ERROR_FAMILIES;

/** The catalogue's entry for a code. */
export interface ErrorEntry {
  /** The event that the code reports. */
  readonly meaning: string;
  /** The operator's next action, if the error itself has no more specific advice. */
  readonly remedy: string;
  /** Whether a later try may succeed without any change. Default: the family's value. */
  readonly retriable?: boolean;
  /** The reason why some errors of this code differ from `retriable`. */
  readonly sometimes?: string;
  /** The reason why no test produces the code. Default: a test does. */
  readonly untested?: string;
}

/**
 * Codes and their entries. The parts of the catalogue keep their keys as a type, so that a misspelt code does not
 * compile.
 */
export type ErrorEntries<Code extends string> = Readonly<Record<Code, ErrorEntry>>;
