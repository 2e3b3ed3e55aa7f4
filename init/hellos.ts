import { hex, sha256 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";

/** More hellos than an operator says to one process in years. */
const MOST_HELLOS = 65_536;

/**
 * The hellos that were accepted. Each is accepted once: who stands between an operator and the node, in the front or
 * before it, may have kept one.
 */
export class Hellos {
  readonly #seen = new Set<string>();
  readonly #most: number;

  /** Starts without a hello. */
  constructor(most: number = MOST_HELLOS) {
    this.#most = most;
  }

  /**
   * Accepts a hello whose signature was verified, and returns whether it is the first of its operator and nonce.
   *
   * @throws {BootstrapError} `unavailable/busy` if no more can be remembered.
   */
  async accept(operatorKey: Uint8Array, clientNonce: Uint8Array): Promise<boolean> {
    const key = hex(await sha256(operatorKey, clientNonce));
    if (this.#seen.has(key)) return false;
    if (this.#seen.size >= this.#most) {
      throw new BootstrapError("unavailable/busy", "This node has heard too many hellos of its operators", {
        next: "Start bootstrapper.service of the node again",
      });
    }
    this.#seen.add(key);
    return true;
  }
}
