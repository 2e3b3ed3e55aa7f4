/**
 * The environment variables by which Deno lets others into a process's connections.
 *
 * @module
 */

/** A part of `Deno.env`. */
export type NetworkEnvironment = Pick<typeof Deno.env, "delete" | "set" | "toObject">;

/** Deno reads the list of stores, and this one is empty. */
const NO_STORE = ",";
/** Files and stores of certificates that Deno believes in addition to those of a client. */
const CERTIFICATE_VARIABLES = [
  "DENO_CERT",
  "DENO_TLS_CA_STORE",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
];
/** Proxies of Deno's fetch and of gRPC. */
const PROXY_VARIABLE = /^(?:all|ftp|grpc|http|https|no|no_grpc)_proxy$/i;

/**
 * Makes this process believe exactly the certificates that each client is created with, and use no proxy. Deno reads the
 * variables at its first TLS connection, and when a client is created: call this before.
 *
 * Without it, `fetch` to an API server also accepts each public CA and each CA of `NODE_EXTRA_CA_CERTS`, and sends its
 * calls to the proxy of the environment, even calls to this machine (seen with 2.9.5).
 */
export function closeProcessNetwork(environment: NetworkEnvironment): void {
  for (const name of Object.keys(environment.toObject())) {
    if (CERTIFICATE_VARIABLES.includes(name) || PROXY_VARIABLE.test(name)) environment.delete(name);
  }
  environment.set("DENO_TLS_CA_STORE", NO_STORE);
}
