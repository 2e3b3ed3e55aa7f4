/**
 * A wire between an operator and a node, for tests. It can be cut, for a moment or for good.
 *
 * @module
 */

/** Passes bytes between an operator and a node, both ways. */
export class TestWire implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #ends = new Set<Deno.TcpConn>();
  #nodePort: number;

  /** Creates a wire to the node that listens on a port of loopback. */
  constructor(nodePort: number) {
    this.#nodePort = nodePort;
    this.#accept();
  }

  /** The endpoint that the operator calls. */
  get endpoint(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Leads all further calls to the node that listens on this port. */
  leadTo(nodePort: number): void {
    this.#nodePort = nodePort;
  }

  /** Ends the calls under way. */
  cut(): void {
    for (const end of this.#ends) close(end);
    this.#ends.clear();
  }

  /** Ends the calls under way, and accepts no others. */
  [Symbol.dispose](): void {
    this.cut();
    close(this.#listener);
  }

  async #accept(): Promise<void> {
    for await (const operator of this.#listener) {
      const node = await Deno.connect({ hostname: "127.0.0.1", port: this.#nodePort }).catch(() => undefined);
      if (node === undefined) operator.close();
      else this.#join(operator, node);
    }
  }

  #join(operator: Deno.TcpConn, node: Deno.TcpConn): void {
    const pass = (from: Deno.TcpConn, to: Deno.TcpConn) => from.readable.pipeTo(to.writable).catch(() => {});
    for (const end of [operator, node]) this.#ends.add(end);
    pass(operator, node);
    pass(node, operator);
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is closed already.
  }
}
