import { BootstrapError } from "../../../../platform/errors.ts";
import { streamTransport } from "../transport.ts";
import type { TpmTransport } from "../transport.ts";

/** The address of a software TPM: `swtpm socket --server type=unixio,path=…` or `type=tcp,port=…`. */
export type TpmSocketAddress = { readonly path: string } | { readonly hostname: string; readonly port: number };

/**
 * Connects to a software TPM that takes bare commands. It has no resource manager, and serves a client only after the
 * previous client has disconnected.
 *
 * @throws {BootstrapError} `system/tpm-transport`.
 */
export async function connectTpmSocket(address: TpmSocketAddress): Promise<TpmTransport> {
  const what = "path" in address ? address.path : `${address.hostname}:${address.port}`;
  try {
    const socket = "path" in address
      ? await Deno.connect({ transport: "unix", path: address.path })
      : await Deno.connect({ transport: "tcp", hostname: address.hostname, port: address.port });
    return streamTransport(socket, what);
  } catch (cause) {
    throw new BootstrapError("system/tpm-transport", `Cannot connect to the TPM at ${what}`, { cause });
  }
}
