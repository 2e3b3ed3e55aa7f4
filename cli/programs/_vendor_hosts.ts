/**
 * The hosts of vendors' services: whether they can be reached, and how they are asked.
 *
 * @module
 */
import type { AskVendor, VendorRequest } from "../../attestation/vendor_service.ts";
import { tlsRefusal } from "../../certificate/tls_refusal.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { DocumentClient } from "../../platform/fetch_document.ts";
import { present } from "../../platform/present.ts";
import { REACH_DEADLINE_MS, unreachableReason } from "../../platform/reach.ts";
import type { FailedTry } from "../../platform/retry.ts";
import { retry } from "../../platform/retry.ts";
import type { OutputForm } from "../context.ts";
import { printable } from "../output.ts";

const HTTPS_PORT = 443;
const TRIES = 4;
const BACK_OFF = Object.freeze({ firstMs: 2_000, factor: 3, longestMs: 20_000, jitter: 0.2 });

/** The host of an address, with its port if that is not the usual one. */
export function hostOf(url: string): string {
  return new URL(url).host;
}

function endpointOf(host: string): Endpoint {
  const { hostname, port } = new URL(`https://${host}`);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? HTTPS_PORT : Number(port) };
}

/** The tries to reach a host: as many as fit into the time that one may take. */
const REACH = { maximumTries: 4, backOff: { firstMs: 500, factor: 2, longestMs: 2_000, jitter: 0.2 } } as const;

/**
 * Finds the hosts that cannot be reached. They are tried at the same time, so that a machine without network knows soon.
 * A quick failure is tried again: a name service or a host may fail once.
 */
export async function unreachable(
  requests: readonly VendorRequest[],
  clock: Clock,
): Promise<Map<string, BootstrapError>> {
  const hosts = [...new Set(requests.map(({ url }) => hostOf(url)))];
  const tries = await Promise.all(hosts.map(async (host) => {
    return { host, reason: await lastingReason(endpointOf(host), clock) };
  }));
  const failed = Map.groupBy(tries, ({ reason }) => reason);
  failed.delete(undefined);
  return new Map([...failed].flatMap(([reason, ofReason]) => {
    const names = ofReason.map(({ host }) => host);
    const error = new BootstrapError("unavailable/collateral", `Cannot reach ${names.join(", ")}: ${reason}`, {
      next: "Check the network and the name service of this machine, or name another service with --address",
    });
    return names.map((name) => [name, error] as const);
  }));
}

/** Why a host cannot be reached within {@linkcode REACH_DEADLINE_MS}. */
async function lastingReason(endpoint: Endpoint, clock: Clock): Promise<string | undefined> {
  const startMs = clock.monotonicMs();
  let reason: string | undefined;
  await retry(async () => {
    reason = await unreachableReason(endpoint, clock);
    if (reason !== undefined) throw new BootstrapError("unavailable/collateral", reason);
  }, {
    ...{ clock, random: Math.random, ...REACH },
    isRetriable: () => clock.monotonicMs() - startMs < REACH_DEADLINE_MS,
  }).catch(() => {});
  return reason;
}

/**
 * Asks a service, again after a pause if it may answer later. A server whose certificate is refused is asked once.
 *
 * @param caCertificates Those of the client, PEM.
 * @param silent Keeps the hosts whose last request had no answer at all, so that they are not asked for other documents.
 */
export function asking(
  client: DocumentClient,
  caCertificates: readonly string[],
  { clock, printError }: { readonly clock: Clock; readonly printError: (text: string) => void },
  output: OutputForm,
  silent: Map<string, BootstrapError>,
): AskVendor {
  const onFailedTry = ({ error, pauseMs }: FailedTry) => {
    if (output === "text") printError(`${printable(error.message)}; trying again in ${Math.ceil(pauseMs / 1000)} s\n`);
  };
  return (url) =>
    retry(async () => {
      const answer = await client.ask(url).catch(async (cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : String(cause);
        const refused = await tlsRefusal(new URL(url), caCertificates);
        const error = refused === undefined ? unavailable(url, reason, true, cause) : untrusted(url, refused);
        silent.set(hostOf(url), error);
        throw error;
      });
      silent.delete(hostOf(url));
      if (answer.status === 200) return answer;
      const isLater = answer.status === 429 || answer.status >= 500;
      throw unavailable(url, `it was answered with ${answer.status}`, isLater);
    }, { clock, random: Math.random, maximumTries: TRIES, backOff: BACK_OFF, onFailedTry });
}

function unavailable(url: string, reason: string, retriable: boolean, cause?: unknown): BootstrapError {
  return new BootstrapError("unavailable/collateral", `Cannot get ${url}: ${reason}`, {
    next: "Check the address, the network and the platform, or give another address with --address",
    retriable,
    details: { address: url },
    ...present("cause", cause),
  });
}

function untrusted(url: string, refused: Error): BootstrapError {
  return new BootstrapError("unavailable/collateral", `Cannot get ${url}: ${refused.message}`, {
    next: "Check the address, the CA that --ca names, and the clock of this machine; a proxy may answer instead",
    retriable: false,
    details: { address: url },
    cause: refused,
  });
}
