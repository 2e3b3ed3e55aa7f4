/**
 * One Init at a time.
 *
 * @module
 */
import { equalBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** The right to be the only Init on this node, from the hello to the end of the exchange. */
export interface InitTurn extends Disposable {
  /** Aborted when the same operator begins another Init. This Init is then over, and its CA key must be forgotten. */
  readonly superseded: AbortSignal;
  /** Keeps any other Init from superseding this one from now on; `false` if this one is superseded already. */
  hold(): boolean;
}

interface CurrentTurn {
  readonly operatorKey: Uint8Array;
  readonly controller: AbortController;
  readonly left: Promise<void>;
  held: boolean;
}

/** Hands out turns, one at a time. */
export class InitTurns {
  #current: CurrentTurn | undefined;

  /**
   * Waits for a turn. A valid hello of the same operator ends the earlier Init, and waits until that Init has let go of
   * its CA key. Another operator is refused while an Init lasts. Once an Init holds its turn, every caller is refused.
   *
   * @param operatorKey SPKI of the operator whose hello was verified.
   * @throws {BootstrapError} `unavailable/init-in-progress`.
   */
  async enter(operatorKey: Uint8Array): Promise<InitTurn> {
    for (let before = this.#current; before !== undefined; before = this.#current) {
      if (before.held || !equalBytes(before.operatorKey, operatorKey)) {
        throw new BootstrapError("unavailable/init-in-progress", "Another Init of this node is in progress", {
          next: "Wait for its end and ask again",
        });
      }
      before.controller.abort(
        new BootstrapError("aborted/superseded", "The same operator has begun another Init of this node"),
      );
      await before.left;
    }
    const { promise: left, resolve: leave } = Promise.withResolvers<void>();
    const turn: CurrentTurn = { operatorKey, controller: new AbortController(), left, held: false };
    this.#current = turn;
    return {
      superseded: turn.controller.signal,
      hold() {
        if (!turn.controller.signal.aborted) turn.held = true;
        return turn.held;
      },
      [Symbol.dispose]: () => {
        if (this.#current === turn) this.#current = undefined;
        leave();
      },
    };
  }
}
