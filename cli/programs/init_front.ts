/**
 * The command `bootstrapper init-front`.
 *
 * @module
 */
import { proveChannelBinding } from "../../channel/finished.ts";
import { announceListening } from "../../channel/relay_front.ts";
import { listenForOperators } from "../../init/front.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import type { CliContext } from "../context.ts";

/** The options of `init-front`. */
export interface InitFrontProgramOptions {
  /** Where to listen, `HOST:PORT`; port 0 lets the kernel choose one. */
  readonly listen: string;
  /** The InitServer's socket. */
  readonly socket: string;
}

const ANY_PORT = /:0$/;

/** Listens until standard input ends, which it does with the process that started this one. */
export async function initFront({ listen, socket }: InitFrontProgramOptions, context: CliContext): Promise<void> {
  const { clock, log } = context;
  const address = readListen(listen);
  await proveChannelBinding();
  await using server = await listenForOperators({ listen: address, socket, log });
  using announced = await announceListening(socket, server.port);
  const end = new AbortController();
  try {
    await Promise.race([server.watch(clock, end.signal), inputEnds(), announced.ended]);
  } finally {
    end.abort();
  }
}

function readListen(text: string): Endpoint {
  if (!ANY_PORT.test(text)) return readEndpoint(text, "--listen");
  return { ...readEndpoint(text.replace(ANY_PORT, ":1"), "--listen"), port: 0 };
}

async function inputEnds(): Promise<void> {
  const buffer = new Uint8Array(1);
  while (await Deno.stdin.read(buffer) !== null);
}
