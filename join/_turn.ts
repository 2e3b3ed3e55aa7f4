/**
 * What becomes of a ticket's turn.
 *
 * @module
 */
import type { DialledExchange } from "../channel/client.ts";
import type { JoinClientMessage, JoinServerMessage } from "../proto/gen/bootstrapper.ts";
import { wipeKit } from "../protocol/control_plane_kit.ts";
import type { Ticket, TicketTurn } from "./ticket.ts";

/** Drops a ticket that is not used. */
export function drop({ turn, kit }: Ticket): void {
  turn?.[Symbol.dispose]();
  if (kit !== undefined) wipeKit(kit);
}

/** The turn that a service keeps while its exchange is open. */
export function turnOf(dialled: DialledExchange<JoinServerMessage, JoinClientMessage>): TicketTurn {
  return {
    async settle(locked) {
      try {
        await dialled.exchange.send({ message: { $case: "outcome", outcome: { locked } } });
        await dialled.finish();
      } catch {
        // The service frees the turn when its time is over.
      } finally {
        dialled[Symbol.dispose]();
      }
    },
    [Symbol.dispose]: () => dialled[Symbol.dispose](),
  };
}
