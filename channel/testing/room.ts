import { Socket } from "node:net";
import type { OpenConnection } from "../_places.ts";
import { Places } from "../_places.ts";

/** What a test can say of a connection. */
export interface Guest extends Partial<OpenConnection> {
  /** Default: the name of the group, so that each group has one address. */
  readonly address?: string;
}

/** A listener's places, and the connections that were evicted. */
export class Room {
  readonly gone: string[] = [];
  readonly places: Places;

  constructor(maximum: number) {
    this.places = new Places(maximum);
  }

  enter(name: string, group: string, nowMs: number, { address = group, ...changes }: Guest = {}): boolean {
    if (!this.places.makeRoom({ group, address }, nowMs)) return false;
    const raw = new Socket();
    raw.destroy = () => {
      this.gone.push(name);
      return raw;
    };
    this.places.add(name, {
      ...{
        raw,
        origin: { group, address },
        openedMs: nowMs,
        opening: undefined,
        listening: undefined,
        silent: false,
        exchange: undefined,
        trusted: false,
      },
      ...changes,
    });
    return true;
  }
}
