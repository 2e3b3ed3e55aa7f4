import { hex } from "../platform/bytes.ts";

/** A hello of this process. */
export interface OwnDial extends Disposable {
  /** Whether the own server has heard it. */
  readonly cameBack: boolean;
}

/**
 * The hellos that this process has under way. A founder that dials itself finds out by its own nonce, and believes no
 * peer that says so.
 */
export class OwnDials {
  readonly #dials = new Map<string, { cameBack: boolean }>();

  /** Notes a hello, until the result is disposed of. */
  begin(clientNonce: Uint8Array): OwnDial {
    const [key, dial] = [hex(clientNonce), { cameBack: false }];
    this.#dials.set(key, dial);
    return {
      get cameBack() {
        return dial.cameBack;
      },
      [Symbol.dispose]: () => void this.#dials.delete(key),
    };
  }

  /** Whether this process sent a hello that its server hears. */
  hear(clientNonce: Uint8Array): boolean {
    const dial = this.#dials.get(hex(clientNonce));
    if (dial !== undefined) dial.cameBack = true;
    return dial !== undefined;
  }
}
