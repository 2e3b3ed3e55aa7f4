/**
 * How the InitServer treats an exchange, and which errors it sends to a caller that it cannot serve.
 *
 * @module
 */
import { clusterIdText } from "../certificate/cluster_id.ts";
import { operatorKeyLine } from "../certificate/operator_key.ts";
import type { Journal, JournalEvent } from "../journal/journal.ts";
import { onAbort } from "../platform/abortable.ts";
import { hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { InitSession } from "./exchange_server.ts";
import type { StagedInit } from "./staged_init.ts";

type InitServerExchange = InitSession["exchange"];

/** Sends the journal's events to the caller. */
export function sendTo(exchange: InitServerExchange): (event: JournalEvent) => Promise<void> {
  return ({ timeMs, durationMs, ...event }) => {
    const progress = { ...event, timeMs: BigInt(timeMs), durationMs: BigInt(durationMs) };
    return exchange.send({ message: { $case: "progress", progress } });
  };
}

/**
 * Ends the exchange when the signal aborts, unless the returned object was disposed before.
 *
 * @param reasonOf Maps the signal's reason to the error that the caller gets. Default: the reason itself.
 */
export function closeWhen(
  signal: AbortSignal,
  exchange: InitServerExchange,
  reasonOf: (reason: BootstrapError) => BootstrapError = (reason) => reason,
): Disposable {
  return onAbort(signal, () => exchange.close(reasonOf(signal.reason)));
}

/** Describes the current or last step, for an operator who asks for another operation. */
export function whatGoesOn({ request }: StagedInit, journal: Journal | undefined): Readonly<Record<string, string>> {
  const step = journal?.steps.at(-1);
  if (step === undefined) return {};
  return {
    operation: hex(request.operationId),
    cluster: request.clusterName,
    step: step.name,
    ...(step.done === undefined ? { since: step.begun } : { done: step.done }),
  };
}

/** The error for an operator when the node is locked for another operator's init. */
export function otherOperator({ founding }: StagedInit, goesOn: Readonly<Record<string, string>>): BootstrapError {
  const message = `This node was initialised by another operator, ${operatorKeyLine(founding.operatorKey)}`;
  return new BootstrapError("precondition/other-operator", message, {
    next: "Ask that operator; or use a fresh machine",
    details: goesOn,
  });
}

/**
 * The error for a caller when the process ends while its init is locked. The caller can come back after the next start.
 */
export function stopping(cause: unknown): BootstrapError {
  const message = "The bootstrapper of this node was stopped; it goes on after the next start";
  return new BootstrapError("unavailable/stopped", message, { cause });
}

/** The error for a caller of an init when the node is locked for a join. */
export function joining(clusterId: Uint8Array): BootstrapError {
  const message = `This node is joining ${clusterIdText(clusterId)}, and belongs to it for good`;
  return new BootstrapError("precondition/joining", message, { next: "Use a fresh machine for the init" });
}
