import { BootstrapError } from "../platform/errors.ts";
import type { AdmissionRecord } from "./_admission_record.ts";

/** What an operator does to free a name, as a subordinate clause. */
const removal = (nodeName: string) => `have an operator run \`bootstrapper node remove ${nodeName}\``;

/** The error for a name that belongs to another identity. */
export function nameTaken(holder: string, asked: AdmissionRecord): BootstrapError {
  return new BootstrapError(
    "conflict/node-name",
    `The name ${asked.nodeName} belongs to the identity ${holder}; ${asked.identity} cannot have it`,
    {
      next: `Give this machine another name; or, if ${holder} is gone for good, ${removal(asked.nodeName)}`,
      details: { node: asked.nodeName, expected: holder, seen: asked.identity },
    },
  );
}

/** The error for the name of an adopted node, which only the machine that its operator names may take over. */
export function nameOfAdopted({ nodeName, successor, role }: AdmissionRecord, asked: AdmissionRecord): BootstrapError {
  const expected = `${role} ${successor === undefined ? "that its operator names" : `with the identity ${successor}`}`;
  return new BootstrapError(
    "conflict/node-name",
    `The name ${nodeName} is of a node that was adopted with its cluster: it belongs to the ${expected}, and not to the ${asked.role} with the identity ${asked.identity}`,
    {
      next: "If this machine is that node, have an operator run " +
        `\`bootstrapper adopt node ${nodeName} --identity ${asked.identity}\`; otherwise give it another name`,
      details: { node: nodeName, expected, seen: asked.identity },
    },
  );
}

/** The error for an address that belongs to another identity. */
export function addressTaken(found: AdmissionRecord, asked: AdmissionRecord, address: string): BootstrapError {
  return new BootstrapError(
    "conflict/node-address",
    `The address ${address} belongs to the node ${found.nodeName}; ${asked.nodeName} cannot have it`,
    {
      next: `Give this machine an address of its own; or, if ${found.nodeName} is gone for good, ${
        removal(found.nodeName)
      }`,
      details: { node: asked.nodeName, address, expected: found.identity, seen: asked.identity },
    },
  );
}

/** The error for a node that changes its address while it holds as many earlier ones as it may. */
export function movesTooOften({ nodeName, identity }: AdmissionRecord, untilMs: number): BootstrapError {
  const until = new Date(untilMs).toISOString();
  return new BootstrapError(
    "unavailable/node-addresses",
    `The node ${nodeName} changes its address too often; the next one that it still holds is free at ${until}`,
    {
      next: "Give the machine an address that it had before, or wait",
      details: { node: nodeName, seen: identity },
    },
  );
}

/** The error for a Node with that name that has no admission record. */
export function nodeWithoutRecord({ nodeName, identity }: AdmissionRecord): BootstrapError {
  return new BootstrapError(
    "conflict/node-without-record",
    `The cluster has a Node ${nodeName} without an admission record`,
    {
      next: `Give this machine another name; or, if the Node ${nodeName} is gone for good, ${removal(nodeName)}`,
      details: { node: nodeName, seen: identity },
    },
  );
}

/** Throws `conflict/identity` if the identity has another name or role than it asks for. */
export function checkIdentity(found: AdmissionRecord, asked: AdmissionRecord): void {
  if (found.nodeName === asked.nodeName && found.role === asked.role) return;
  const expected = `${found.role} ${found.nodeName}`;
  const seen = `${asked.role} ${asked.nodeName}`;
  throw new BootstrapError(
    "conflict/identity",
    `The identity ${asked.identity} is admitted as ${expected}; it cannot be ${seen}`,
    {
      next: `Ask as ${expected}; or, if that Node is to be removed for good, ${removal(found.nodeName)}`,
      details: { identity: asked.identity, expected, seen },
    },
  );
}

/** Throws `refused/reset-count` if the TPM's reset counter decreased since the last admission. */
export function checkResetCount(found: AdmissionRecord, asked: AdmissionRecord): void {
  if (found.resetCount === undefined) return;
  if (asked.resetCount !== undefined && asked.resetCount >= found.resetCount) return;
  throw new BootstrapError(
    "refused/reset-count",
    `The TPM of ${asked.nodeName} counts fewer resets than at its last admission`,
    {
      next: "The machine's TPM was rolled back or cloned: find out who did it before you admit the machine again",
      details: {
        check: "reset-count",
        expected: `at least ${found.resetCount}`,
        seen: String(asked.resetCount ?? "none"),
      },
    },
  );
}

/** The error for an identity that wants new certificates of an admission that it does not have. */
export function notAdmitted({ nodeName, role }: AdmissionRecord, found: AdmissionRecord | undefined): BootstrapError {
  return new BootstrapError(
    "refused/not-admitted",
    `This machine is not admitted to the cluster as ${role} ${nodeName}, so it gets no new certificates`,
    {
      next: "If it was removed by mistake, build it anew from its image and let it join again",
      details: {
        check: "not-admitted",
        expected: `an admission as ${role} ${nodeName}`,
        seen: found === undefined ? "none: it was removed, or never joined" : `${found.role} ${found.nodeName}`,
      },
    },
  );
}

/** The error for an identity that an operator has removed. */
export function isRemoved({ identity, nodeName }: AdmissionRecord): BootstrapError {
  return new BootstrapError(
    "refused/removed",
    `An operator has removed the machine with the identity ${identity}, which was the node ${nodeName}`,
    {
      next: "If the machine may return, have an operator run " +
        `\`kubectl delete nodeadmission ${identity}\`, and build the node anew from its image`,
      details: { identity, node: nodeName },
    },
  );
}

/** The error for a record that other clients change all the time. */
export function keepsChanging(
  details: { readonly node: string; readonly identity?: string },
  next: string,
): BootstrapError {
  const message = `The admission record of ${details.node} keeps changing`;
  return new BootstrapError("unavailable/admission-changed", message, { next, details });
}

/** A field of what a caller asks for is wrong: a defect of the caller. */
export function malformedAdmission(field: string, problem: string): BootstrapError {
  return new BootstrapError("malformed/admission-record", `Cannot admit as "${field}" ${problem}`, {
    details: { field },
  });
}
