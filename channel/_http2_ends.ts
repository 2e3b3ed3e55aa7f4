/**
 * Mends the runtime's HTTP/2, for both ends; imported for that alone.
 *
 * Deno 2.9 frees what nghttp2 knows of a session as soon as JavaScript destroys it, also where that happens inside one of
 * nghttp2's own calls, which then goes on with freed memory: a peer that goes away at the wrong moment kills the process
 * (`find_stream_on_goaway_func: Assertion stream->closed_next == NULL`, or a segmentation fault). So a session ends only
 * after the call in which its end was asked for.
 *
 * @module
 */
import { connect } from "node:http2";
import { Socket } from "node:net";
import { setImmediate } from "node:timers";

/** What ends a session at once, and when its streams have ended. */
const ENDS = ["destroy", "close"] as const;

/** The methods of all sessions, which no module of the runtime exports. */
function sessionPrototype(): object {
  const session = connect("http://localhost", { createConnection: () => new Socket() });
  session.on("error", () => {});
  session.destroy();
  return Object.getPrototypeOf(Object.getPrototypeOf(session));
}

const prototype = sessionPrototype();
for (const name of ENDS) {
  const end: unknown = Reflect.get(prototype, name);
  if (typeof end !== "function") throw new TypeError(`HTTP/2 sessions of this runtime have no ${name}()`);
  Object.defineProperty(prototype, name, {
    configurable: true,
    writable: true,
    value(this: object, ...args: readonly unknown[]) {
      setImmediate(() => Reflect.apply(end, this, args));
    },
  });
}
