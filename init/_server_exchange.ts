/**
 * What the InitServer does with an exchange, and what it says to the caller whom it cannot serve.
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

/** Sends events of the journal to the caller. */
export function sendTo(exchange: InitServerExchange): (event: JournalEvent) => Promise<void> {
  return ({ timeMs, durationMs, ...event }) => {
    const progress = { ...event, timeMs: BigInt(timeMs), durationMs: BigInt(durationMs) };
    return exchange.send({ message: { $case: "progress", progress } });
  };
}

/**
 * Ends an exchange when the signal aborts before this is disposed.
 *
 * @param reasonOf What the caller hears, by the signal's reason. Default: that reason.
 */
export function closeWhen(
  signal: AbortSignal,
  exchange: InitServerExchange,
  reasonOf: (reason: BootstrapError) => BootstrapError = (reason) => reason,
): Disposable {
  return onAbort(signal, () => exchange.close(reasonOf(signal.reason)));
}

/** The step that is under way, or the last one, for an operator who asks for something else. */
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

/** What an operator hears of a node that is locked for the init of another one. */
export function otherOperator({ founding }: StagedInit, goesOn: Readonly<Record<string, string>>): BootstrapError {
  const message = `This node was initialised by another operator, ${operatorKeyLine(founding.operatorKey)}`;
  return new BootstrapError("precondition/other-operator", message, {
    next: "Ask that operator; or use a fresh machine",
    details: goesOn,
  });
}

/** What a caller hears when the process ends while its init is locked: it comes back after the next start. */
export function stopping(cause: unknown): BootstrapError {
  const message = "The bootstrapper of this node was stopped; started again, it goes on";
  return new BootstrapError("unavailable/stopped", message, { cause });
}

/** What a caller hears of a node that is locked for a join. */
export function joining(clusterId: Uint8Array): BootstrapError {
  const message = `This node is joining ${clusterIdText(clusterId)}, and belongs to it for good`;
  return new BootstrapError("precondition/joining", message, { next: "Use a fresh machine for the init" });
}
