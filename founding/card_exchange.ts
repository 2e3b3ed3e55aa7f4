/**
 * Step 7: two founders that know each other send their cards, until the stream ends.
 *
 * @module
 */
import { onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import type { Card } from "./card.ts";
import { readCard } from "./card.ts";
import type { OwnCard } from "./own_card.ts";

/** How often a card is sent that has not changed, milliseconds. */
export const CARD_INTERVAL_MS = 5_000;
/** How long a card waits for further changes, milliseconds: several founders often come at once. */
const SETTLE_MS = 20;

/** One end of a stream between founders that know each other. */
export interface CardStream {
  /** Sends the next card. */
  send(card: Bytes): Promise<void>;
  /** Waits for the next card, and gives up on a silent peer. */
  receive(): Promise<Uint8Array>;
  /** Aborts when the stream has ended. */
  readonly closed: AbortSignal;
}

/**
 * Sends the own card at every change and every 5 seconds, and reads the peer's.
 *
 * @param hear Takes each card. What it throws ends the exchange.
 * @param stop Ends it, with the signal's reason.
 * @throws The reason why it has ended.
 */
export async function exchangeCards(
  stream: CardStream,
  own: OwnCard,
  hear: (card: Card) => void,
  clock: Pick<Clock, "sleep">,
  stop: AbortSignal,
): Promise<never> {
  const over = new AbortController();
  const end = AbortSignal.any([stream.closed, stop, over.signal]);
  try {
    return await Promise.race([sendCards(stream, own, clock, end), hearCards(stream, hear, end)]);
  } finally {
    over.abort();
  }
}

async function sendCards(
  stream: CardStream,
  own: OwnCard,
  clock: Pick<Clock, "sleep">,
  end: AbortSignal,
): Promise<never> {
  for (;;) {
    const { version } = own;
    await stream.send(await own.next());
    const over = new AbortController();
    using _ending = onAbort(end, () => over.abort(end.reason));
    try {
      await Promise.race([own.changedSince(version, over.signal), clock.sleep(CARD_INTERVAL_MS, over.signal)]);
    } finally {
      over.abort();
    }
    await clock.sleep(SETTLE_MS, end);
  }
}

async function hearCards(stream: CardStream, hear: (card: Card) => void, end: AbortSignal): Promise<never> {
  for (;;) {
    const bytes = await stream.receive();
    end.throwIfAborted();
    hear(await readCard(bytes));
  }
}
