/**
 * An HTTPS server for documents, with a CA of its own.
 *
 * @module
 */
import { systemClock } from "../../platform/clock.ts";
import { mintCertificate } from "../_mint.ts";
import { createCertificateAuthority } from "../ca.ts";
import type { CertificateAuthority } from "../ca.ts";
import { EXT_KEY_USAGE } from "../extensions.ts";
import { generateKeyPair, privateKeyPem } from "../keys.ts";
import { ATTRIBUTE } from "../name.ts";
import { writePem } from "../pem.ts";

const DAY_MS = 24 * 3600 * 1000;

/** Answers a request by its path, and its query with the question mark. */
export type Answer = (path: string, query: string) => Response | Promise<Response>;

/** A server at `https://localhost:PORT`. */
export class DocumentServer implements AsyncDisposable {
  /** The paths that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(
    /** The certificate of the server's CA. */
    readonly caPem: string,
    certificate: { readonly cert: string; readonly key: string },
    answer: Answer,
  ) {
    this.#server = Deno.serve({ hostname: "localhost", port: 0, ...certificate, onListen() {} }, (request) => {
      const { pathname: path, search } = new URL(request.url);
      this.asked.push(path);
      return answer(path, search);
    });
  }

  /** Starts a server. */
  static async start(answer: Answer): Promise<DocumentServer> {
    const ca = await createCertificateAuthority(systemClock.now());
    return new DocumentServer(writePem("CERTIFICATE", ca.certificate.der), await serverCertificate(ca), answer);
  }

  /** The address of the server, without a path. */
  get origin(): string {
    return `https://localhost:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function serverCertificate(ca: CertificateAuthority) {
  const keys = await generateKeyPair("p-256");
  const nowMs = systemClock.now().getTime();
  const certificate = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.commonName, value: "cache" }],
    spki: keys.spki,
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + DAY_MS),
    isCa: false,
    keyUsage: ["digitalSignature"],
    extKeyUsage: [EXT_KEY_USAGE.serverAuth],
    dnsNames: ["localhost"],
  }, ca);
  return { cert: writePem("CERTIFICATE", certificate.der), key: await privateKeyPem(keys) };
}
