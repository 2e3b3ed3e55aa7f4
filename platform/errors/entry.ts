/**
 * What the catalogue says of a code, and the families of codes.
 *
 * @module
 */

/** The families of failures: what they have in common, the exit code of the command line, whether time may mend them. */
export const ERROR_FAMILIES = {
  usage: {
    meaning: "A flag, a configuration or a file that a person wrote is wrong.",
    remedy: "Correct what the error names, and run the command again.",
    exitCode: 2,
    retriable: false,
  },
  malformed: {
    meaning: "Bytes from a peer, a device or a file do not have the form that they must have.",
    remedy: "Check where these bytes come from: they are not of the form that this version reads.",
    exitCode: 1,
    retriable: false,
  },
  refused: {
    meaning: "Evidence, a certificate or a claim does not satisfy a policy or the protocol.",
    remedy:
      "Compare the expected and the seen value: either the machine is not what it should be, or the policy is wrong.",
    exitCode: 3,
    retriable: false,
  },
  unauthorized: {
    meaning: "One side does not accept the other's key or certificate.",
    remedy: "Check whose key this is, and whether it is the one that the other side is configured with.",
    exitCode: 3,
    retriable: false,
  },
  protocol: {
    meaning: "The peer broke the protocol: order, size, version or challenge.",
    remedy: "Check that both sides run the same version. If they do, look for somebody in between.",
    exitCode: 3,
    retriable: false,
  },
  precondition: {
    meaning: "The node, the cluster or a record is in a state that does not allow this.",
    remedy: "Bring it into the state that the error asks for, and run the command again.",
    exitCode: 1,
    retriable: false,
  },
  conflict: {
    meaning: "Another claim to the same thing is valid.",
    remedy: "Find out who holds it, by what the error shows. Nothing was taken from them.",
    exitCode: 1,
    retriable: false,
  },
  unavailable: {
    meaning: "It does not work now, and may work later.",
    remedy: "Run the command again in a while.",
    exitCode: 4,
    retriable: true,
  },
  timeout: {
    meaning: "A deadline passed.",
    remedy: "Check that the other side runs and can be reached, and run the command again.",
    exitCode: 4,
    retriable: true,
  },
  aborted: {
    meaning: "The operation was ended by its owner.",
    remedy: "Run the command again when you want it to be done.",
    exitCode: 1,
    retriable: false,
  },
  system: {
    meaning: "The operating system, a device or another program failed.",
    remedy: "Check the operating system's reason that the error names.",
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

/** A code of the catalogue. */
export interface ErrorEntry {
  /** What has happened. */
  readonly meaning: string;
  /** What an operator can do, where the error itself has no more specific advice. */
  readonly remedy: string;
  /** Whether time may mend it without anybody changing anything. Default: as its family says. */
  readonly retriable?: boolean;
  /** Why some of these errors differ from that. */
  readonly sometimes?: string;
  /** Why no test produces it. Default: a test does. */
  readonly untested?: string;
}

/** Codes with their entries. The parts of the catalogue keep their keys as a type, so that a misspelt code does not compile. */
export type ErrorEntries<Code extends string> = Readonly<Record<Code, ErrorEntry>>;
