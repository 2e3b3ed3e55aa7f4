/**
 * Fixes the runtime's HTTP/2 for both ends of the channel. Modules import it for this side effect.
 *
 * Deno 2.9 frees nghttp2's state of a session as soon as JavaScript destroys the session, even inside one of nghttp2's
 * own calls, which then continues with freed memory. A peer that disconnects at the wrong moment kills the process
 * (`find_stream_on_goaway_func: Assertion stream->closed_next == NULL`, or a segmentation fault). Therefore a session
 * ends only after the call that asked for its end has returned.
 *
 * @module
 */
import { connect } from "node:http2";
import { Socket } from "node:net";
import { setImmediate } from "node:timers";

/** The methods that end a session: at once, or when its streams have ended. */
const ENDS = ["destroy", "close"] as const;

/** The prototype of all sessions. No module of the runtime exports it. */
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
