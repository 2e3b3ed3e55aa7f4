/**
 * `policy collateral fetch` against a server that plays the vendors' services.
 *
 * @module
 */
import { join } from "node:path";
import { writeEvidenceFile } from "../../attestation/evidence_file.ts";
import type { Evidence } from "../../attestation/evidence.ts";
import { type Answer, DocumentServer } from "../../certificate/testing/document_server.ts";
import { systemClock } from "../../platform/clock.ts";
import { REACH_DEADLINE_MS } from "../../platform/reach.ts";
import { TestWorld, type TestWorldOptions } from "./command_line.ts";

/** The words of the command. */
export const FETCH = ["policy", "collateral", "fetch"];

/** A command line, a server that plays the vendors' services, and the folder that is filled. */
export class VendorWorld implements AsyncDisposable {
  private constructor(readonly cli: TestWorld, readonly server: DocumentServer) {}

  static async start(options: TestWorldOptions, answer: Answer): Promise<VendorWorld> {
    const cli = await TestWorld.create(options);
    const server = await DocumentServer.start(answer);
    await Deno.writeTextFile(join(cli.root, "ca.pem"), server.caPem);
    // Only the deadlines of answers last; pauses between tries do not.
    const sleep = (ms: number, signal?: AbortSignal) =>
      ms === 30_000 || ms === REACH_DEADLINE_MS ? systemClock.sleep(ms, signal) : Promise.resolve();
    Object.assign(cli.context.clock, { sleep });
    return new VendorWorld(cli, server);
  }

  path(name: string): string {
    return join(this.cli.root, name);
  }

  async evidence(name: string, evidence: Evidence): Promise<string> {
    const file = writeEvidenceFile({ nonce: new Uint8Array(32), evidence: [evidence] });
    await Deno.writeFile(this.path(name), file);
    return this.path(name);
  }

  /** Runs the command against the server, into the folder `docs`. */
  run(...args: readonly string[]): Promise<number> {
    const addresses = ["amd", "intel"].map((name) => `${name}=${this.server.origin}/`);
    const to = ["--collateral", this.path("docs"), "--ca", this.path("ca.pem"), "--address", ...addresses];
    return this.cli.run(...FETCH, ...args, ...to);
  }

  file(name: string): Promise<Uint8Array> {
    return Deno.readFile(this.path(`docs/${name}`));
  }

  async files(): Promise<readonly string[]> {
    return (await Array.fromAsync(Deno.readDir(this.path("docs")))).map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.cli[Symbol.asyncDispose]();
  }
}

/** A service that has nothing. */
export const notFound = () => new Response("no", { status: 404 });
