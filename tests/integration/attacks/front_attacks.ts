/**
 * A process that has taken over the listening end of a join service. It has the node's connection, knows its binding,
 * and passes messages on to the genuine service as it likes. It has no key.
 *
 * @module
 */
import { Exchange } from "../../../channel/exchange.ts";
import type { MessageStream } from "../../../channel/exchange.ts";
import type { ChannelServer, Session } from "../../../channel/server.ts";
import { listen } from "../../../channel/server.ts";
import { onAbort } from "../../../platform/abortable.ts";
import { copyOf } from "../../../platform/bytes.ts";
import { asBootstrapError, BootstrapError } from "../../../platform/errors.ts";
import { silentLog } from "../../../platform/log.ts";
import { JoinServiceService } from "../../../proto/gen/bootstrapper.ts";
import type { JoinClientMessage, JoinServerMessage } from "../../../proto/gen/bootstrapper.ts";
import { shownLists } from "../../../protocol/shown_lists.ts";
import { joinA1, joinA2 } from "../../../protocol/transcript.ts";
import { serveJoin } from "../../../service/exchange_service.ts";
import type { JoinExchangeService } from "../../../service/exchange_parts.ts";
import { PATIENCE_MS } from "./attacks.ts";

/** What has passed so far. */
export interface Passed {
  /** CB of the node's connection, which the service is told. */
  readonly binding: Uint8Array;
  /** N_c. */
  readonly clientNonce: Uint8Array;
  /** A1 as the node computes it: from the proposal as it was passed on. */
  readonly a1: Uint8Array;
  /** A2 as the node computes it. */
  readonly a2: Uint8Array;
}

/** Changes a message on its way to the node. */
export type Tampering = (message: JoinServerMessage, passed: Passed) => JoinServerMessage | Promise<JoinServerMessage>;

/** A front, and what it saw. */
export interface Front extends ChannelServer {
  /** The kinds of the node's messages, in order. */
  readonly heard: string[];
}

/** Listens in the place of a service's own listening end. */
export async function startFront(service: JoinExchangeService, tampering: Tampering): Promise<Front> {
  const heard: string[] = [];
  const server = await listen<JoinClientMessage, JoinServerMessage>({
    ...{ service: JoinServiceService, host: "127.0.0.1", port: 0, maximumConnections: 8, log: silentLog },
    handle: (session) => passOn(session, service, tampering, heard),
  });
  return { ...server, heard, close: () => server.close(), [Symbol.asyncDispose]: () => server.close() };
}

async function passOn(
  { exchange, explainRefusals, trustPeer }: Session<JoinClientMessage, JoinServerMessage>,
  service: JoinExchangeService,
  tamper: Tampering,
  heard: string[],
): Promise<void> {
  const { binding } = exchange;
  const { clusterId } = service.identity;
  const passed = { binding, clientNonce: new Uint8Array(), a1: new Uint8Array(), a2: new Uint8Array() };
  const toNode = async (message: JoinServerMessage) => {
    const changed = await tamper(message, passed);
    if (changed.message?.$case !== "proposal") return changed;
    const { proposal } = changed.message;
    passed.a1 = await joinA1({ ...passed, serverNonce: proposal.serverNonce, clusterId, lists: shownLists(proposal) });
    // Now that A1 is known, for an attacker that could sign it.
    return await tamper(message, passed);
  };
  const listeners = new Map<string, (value: never) => void>();
  const stream: MessageStream<JoinClientMessage, JoinServerMessage> = {
    on: (event: string, listener: (value: never) => void) => void listeners.set(event, listener),
    pause: () => {},
    resume: () => {},
    write(message, callback) {
      toNode(message).then((changed) => exchange.send(changed)).then(() => callback?.(), callback);
      return true;
    },
  };
  const behind = new Exchange(stream, exchange.binding, exchange.peerAddress, asBootstrapError);
  const over = new BootstrapError("unavailable/peer-gone", "The exchange is over");
  using _hangingUp = onAbort(exchange.closed, () => behind.close(over));
  const forward = async () => {
    for (;;) {
      const kinds = ["hello", "request", "activation", "outcome"] as const;
      const { kind, payload } = await exchange.receiveAny(kinds, PATIENCE_MS);
      const message = { message: { $case: kind, [kind]: payload } } as unknown as JoinClientMessage;
      heard.push(kind);
      if (message.message?.$case === "hello") passed.clientNonce = copyOf(message.message.hello.clientNonce);
      if (message.message?.$case === "request") passed.a2 = await joinA2(passed.a1, message.message.request);
      listeners.get("data")?.(message as never);
    }
  };
  forward().catch((error) => behind.close(asBootstrapError(error)));
  await serveJoin({ exchange: behind, explainRefusals, trustPeer }, service);
}
