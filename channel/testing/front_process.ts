/**
 * A test in the place of a front, with its whole rights: it speaks the socket's protocol and says what it likes.
 *
 * @module
 */
import type { Bytes } from "../../platform/bytes.ts";
import { FrameConnection } from "../frame_connection.ts";
import { connectRelay } from "../relay_front.ts";
import type { BackFrame, FrontFrame } from "../relay_frames.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "../relay_frames.ts";
import { MAXIMUM_MESSAGE_LENGTH } from "../exchange.ts";

/** What a front says of an exchange. */
export interface ClaimedExchange {
  readonly service: number;
  /** CB, as the front likes it. */
  readonly binding: Bytes;
  readonly peer?: string;
}

/** One connection of a front to the process behind it. */
export class FrontProcess implements Disposable {
  private constructor(readonly connection: FrameConnection<BackFrame, FrontFrame>) {}

  /** Connects, and says nothing yet. */
  static async connect(path: string): Promise<FrontProcess> {
    const limits = { message: MAXIMUM_MESSAGE_LENGTH, document: 0 };
    const conn = await connectRelay(path);
    return new FrontProcess(new FrameConnection({ conn, incoming: BACK_FRAMES, outgoing: FRONT_FRAMES, limits }));
  }

  /** Connects, and begins an exchange. */
  static async exchange(
    path: string,
    { service, binding, peer = "192.0.2.1:1" }: ClaimedExchange,
  ): Promise<FrontProcess> {
    const front = await FrontProcess.connect(path);
    await front.connection.write({ kind: "exchange", service, binding, peer });
    return front;
  }

  /** Sends a message of the peer, without waiting until it is wanted. */
  async say(message: Uint8Array): Promise<void> {
    await this.connection.write({ kind: "message", bytes: new Uint8Array(message) });
  }

  /** Returns the next frame of one of these kinds; `undefined` if the connection ends before. */
  async frame<K extends BackFrame["kind"]>(
    ...kinds: readonly K[]
  ): Promise<Extract<BackFrame, { readonly kind: K }> | undefined> {
    for (let frame = await this.connection.next(); frame !== undefined; frame = await this.connection.next()) {
      if (isOf(frame, kinds)) return frame;
    }
    return undefined;
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    this.connection[Symbol.dispose]();
  }
}

function isOf<K extends BackFrame["kind"]>(
  frame: BackFrame,
  kinds: readonly K[],
): frame is Extract<BackFrame, { readonly kind: K }> {
  return kinds.some((kind) => kind === frame.kind);
}
