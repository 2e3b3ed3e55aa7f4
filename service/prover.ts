/**
 * The process that makes evidence for a join service: the signer has no device.
 *
 * It listens on a Unix socket in a folder that only root and the signer enter. It computes A1 itself, of its own
 * machine's cluster, so it makes evidence and answers challenges for no statement of another form. One connection has
 * one request and one answer, each a JSON document; bytes are base64.
 *
 * ```text
 * {"do":"issue", …the values in A1}                     → {"variant", "payload"}
 * {"do":"answer", …the values in A1, "challenge": {…}}  → {"hmac"}
 * ```
 *
 * @module
 */
import * as v from "valibot";
import type { EvidenceIssuer } from "../attestation/evidence.ts";
import { abortable, onAbort } from "../platform/abortable.ts";
import type { Bytes } from "../platform/bytes.ts";
import { base64, concat, fromBase64, utf8 } from "../platform/bytes.ts";
import type { Clock } from "../platform/clock.ts";
import { systemClock } from "../platform/clock.ts";
import { withDeadline } from "../platform/deadline.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";
import { errorFields } from "../platform/log.ts";
import { activationAnswer } from "../protocol/activation.ts";
import { joinA1 } from "../protocol/transcript.ts";
import type { JoinContext } from "../protocol/transcript.ts";
import type { FounderProver } from "./exchange_parts.ts";

/** 64 foundings with names of the longest kind, in base64. */
const MAXIMUM_REQUEST_BYTES = 256 * 1024;
/** A node takes messages of 256 KiB, and this machine's evidence is some kilobytes. */
const MAXIMUM_ANSWER_BYTES = 256 * 1024;
/** A request comes from a process of the same machine, which has all of it. */
const REQUEST_DEADLINE_MS = 5_000;
/** A node waits half a minute for the proposal (`JOIN_CLIENT_DEADLINES`). */
const ANSWER_DEADLINE_MS = 25_000;
/** The signer asks one thing at a time; one that it gave up may still be under way. */
const MAXIMUM_CONNECTIONS = 16;

const bytes = v.pipe(v.string(), v.transform((text) => fromBase64(text, "bytes")));
const contextEntries = {
  binding: bytes,
  clientNonce: bytes,
  serverNonce: bytes,
  foundings: v.array(bytes),
  successions: v.array(bytes),
  documents: v.array(bytes),
};
const challengeSchema = v.strictObject({ credentialBlob: bytes, encryptedSecret: bytes });
const requestSchema = v.variant("do", [
  v.strictObject({ do: v.literal("issue"), ...contextEntries }),
  v.strictObject({ do: v.literal("answer"), ...contextEntries, challenge: challengeSchema }),
]);
const evidenceSchema = v.strictObject({ variant: v.string(), payload: bytes });
const hmacSchema = v.strictObject({ hmac: bytes });
const failureSchema = v.strictObject({ error: v.string() });

/** What the process works with. */
export interface ProverOptions {
  /** From `listenOnUnixSocket()`. */
  readonly listener: Deno.Listener;
  /** Makes this machine's evidence, one piece at a time. */
  readonly issuer: EvidenceIssuer;
  /** The cluster ID that this machine's lock names, 32 bytes. */
  readonly clusterId: Uint8Array;
  readonly clock: Pick<Clock, "sleep">;
  readonly log: Log;
}

/** Serves requests until the signal. A request that fails is answered with the reason. */
export async function serveProofs(options: ProverOptions, signal: AbortSignal): Promise<void> {
  const { listener, log } = options;
  using _ending = onAbort(signal, () => listener.close());
  const open = new Set<Promise<void>>();
  while (!signal.aborted) {
    let conn: Deno.Conn;
    try {
      conn = await listener.accept();
    } catch (cause) {
      if (signal.aborted) break;
      throw new BootstrapError("system/listen", "The prover's socket no longer accepts connections", { cause });
    }
    if (open.size >= MAXIMUM_CONNECTIONS) {
      conn.close();
      continue;
    }
    const served = serve(conn, options)
      .catch((error) => log.event("warn", "prover-refused", errorFields(asBootstrapError(error))))
      .finally(() => open.delete(served));
    open.add(served);
  }
  await Promise.all(open);
}

async function serve(conn: Deno.Conn, options: ProverOptions): Promise<void> {
  using _open = conn;
  const late = () => new BootstrapError("timeout/peer", "The signer sent no whole request in time");
  const text = await withDeadline(
    options.clock,
    REQUEST_DEADLINE_MS,
    late,
    (signal) => abortable(readAll(conn, MAXIMUM_REQUEST_BYTES), signal),
  );
  let answer: unknown;
  let failure: BootstrapError | undefined;
  try {
    answer = await answerTo(text, options);
  } catch (error) {
    failure = asBootstrapError(error);
    answer = { error: failure.message };
  }
  await writeAll(conn, utf8(JSON.stringify(answer)));
  if (failure !== undefined) throw failure;
}

async function answerTo(text: Uint8Array, { issuer, clusterId }: ProverOptions): Promise<unknown> {
  const request = readJson(text, {
    schema: requestSchema,
    maximumBytes: MAXIMUM_REQUEST_BYTES,
    error: (reason, _key, cause) =>
      new BootstrapError("malformed/device-request", `Cannot read a request for this machine's evidence: ${reason}`, {
        cause,
      }),
  });
  const { binding, clientNonce, serverNonce, foundings, successions, documents } = request;
  const lists = { foundings, successions, documents };
  const a1 = await joinA1({ binding, clientNonce, serverNonce, clusterId, lists });
  if (request.do === "issue") {
    const { variant, payload } = await issuer.issue(a1);
    return { variant, payload: base64(payload) };
  }
  const secret = await issuer.activate(request.challenge);
  try {
    return { hmac: base64(await activationAnswer(secret, a1)) };
  } finally {
    secret.fill(0);
  }
}

/**
 * Returns the signer's way to the process.
 *
 * @param path The process's socket.
 * @returns A prover that throws `unavailable/founder-evidence`.
 */
export function connectProver(path: string, clock: Pick<Clock, "sleep"> = systemClock): FounderProver {
  const ask = async <T>(request: Record<string, unknown>, schema: v.GenericSchema<unknown, T>): Promise<T> => {
    const answer = await exchange(path, utf8(JSON.stringify(request)), clock);
    const read = readJson(answer, {
      schema: v.union([schema, failureSchema]) as v.GenericSchema<unknown, T | v.InferOutput<typeof failureSchema>>,
      maximumBytes: MAXIMUM_ANSWER_BYTES,
      error: (reason, _key, cause) => unavailable(`its answer cannot be read: ${reason}`, cause),
    });
    if (isFailure(read)) throw unavailable(read.error);
    return read;
  };
  return {
    issue: (context) => ask({ do: "issue", ...contextText(context) }, evidenceSchema),
    answer: async (context, { credentialBlob, encryptedSecret }) => {
      const challenge = { credentialBlob: base64(credentialBlob), encryptedSecret: base64(encryptedSecret) };
      return (await ask({ do: "answer", ...contextText(context), challenge }, hmacSchema)).hmac;
    },
  };
}

function isFailure(answer: unknown): answer is v.InferOutput<typeof failureSchema> {
  return v.is(failureSchema, answer);
}

async function exchange(path: string, request: Uint8Array, clock: Pick<Clock, "sleep">): Promise<Bytes> {
  const late = () => unavailable(`it did not answer within ${ANSWER_DEADLINE_MS / 1000} s`);
  try {
    using conn = await Deno.connect({ transport: "unix", path });
    return await withDeadline(clock, ANSWER_DEADLINE_MS, late, (signal) =>
      abortable(
        (async () => {
          await writeAll(conn, request);
          await conn.closeWrite();
          return await readAll(conn, MAXIMUM_ANSWER_BYTES);
        })(),
        signal,
      ));
  } catch (cause) {
    if (cause instanceof BootstrapError) throw cause;
    throw unavailable("it is not there", cause);
  }
}

function unavailable(reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError(
    "unavailable/founder-evidence",
    `The process that makes evidence for this join service failed: ${reason}`,
    { cause },
  );
}

function contextText({ binding, clientNonce, serverNonce, lists }: JoinContext): Record<string, unknown> {
  return {
    binding: base64(binding),
    clientNonce: base64(clientNonce),
    serverNonce: base64(serverNonce),
    foundings: lists.foundings.map(base64),
    successions: lists.successions.map(base64),
    documents: lists.documents.map(base64),
  };
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let written = 0; written < data.length;) written += await conn.write(data.subarray(written));
}

/** Reads until the other end has written everything. */
async function readAll(conn: Deno.Conn, maximumBytes: number): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const buffer = new Uint8Array(16 * 1024);
    const count = await conn.read(buffer);
    if (count === null) return concat(...parts);
    length += count;
    if (length > maximumBytes) {
      throw new BootstrapError(
        "malformed/device-request",
        `More than ${maximumBytes} bytes came over the prover's socket`,
      );
    }
    parts.push(buffer.subarray(0, count));
  }
}
