import { BootstrapError } from "./errors.ts";
import { removeIfExists } from "./files.ts";

/** The folder decides who reaches the socket. */
const SOCKET_MODE = 0o666;

/**
 * Listens on a Unix socket, in the place of one that a process left which was killed.
 *
 * @throws {BootstrapError} `system/listen`.
 */
export async function listenOnUnixSocket(path: string): Promise<Deno.UnixListener> {
  try {
    await removeIfExists(path);
    const listener = Deno.listen({ transport: "unix", path });
    await Deno.chmod(path, SOCKET_MODE);
    return listener;
  } catch (cause) {
    throw new BootstrapError("system/listen", `Cannot listen on ${path}`, { cause });
  }
}
