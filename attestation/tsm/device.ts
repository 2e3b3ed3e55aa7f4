/**
 * Access to the devices of a confidential VM through a separate process.
 *
 * Deno opens `/sys` only for a process with all permissions. The bootstrapper therefore starts a small process that
 * keeps all permissions, before it gives up its own. That process does only three things: it makes a report, reads a
 * register, and extends a register. It ends when its parent closes the pipe.
 *
 * Each request and each answer is one line of JSON. Bytes are base64.
 *
 * @module
 */
import { MAXIMUM_BLOB_BYTES } from "./report.ts";
import * as v from "valibot";
import { base64, fromBase64 } from "../../platform/bytes.ts";
import { abortable } from "../../platform/abortable.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/clock.ts";
import { withDeadline } from "../../platform/deadline.ts";
import { asBootstrapError, BootstrapError, hasCode, readErrorCode } from "../../platform/errors.ts";
import { readJson } from "../../platform/json.ts";
import type { RegisterFiles } from "../kinds/tdx/rtmr.ts";
import { TDX_LOCK_REGISTER, TDX_REGISTER_BYTES } from "../kinds/tdx/rtmr.ts";
import type { TsmReport, TsmRequest } from "./report.ts";

/** The operations of the process. */
export interface ConfidentialDevice {
  /** Asks the kernel for a report; see `readTsmReport()`. */
  report(request: TsmRequest): Promise<TsmReport>;
  /** The registers' files; see `createTdxRegisters()`. */
  readonly registers: RegisterFiles;
}

/** One side of the connection between the two processes. */
export interface DevicePipe {
  /** The output of the other process. */
  readonly readable: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The input of the other process. */
  readonly writable: WritableStream<Uint8Array<ArrayBuffer>>;
}

/** The only accessible files. An attacker who takes over the parent gets no others. */
const WRITABLE = `rtmr${TDX_LOCK_REGISTER}:sha384`;
const READABLE = ["mrconfigid", "rtmr0:sha384", "rtmr1:sha384", "rtmr2:sha384", WRITABLE];

const bytes = v.pipe(v.string(), v.transform((text) => fromBase64(text, "bytes")));
const registerBytes = v.pipe(bytes, v.check(({ length }) => length === TDX_REGISTER_BYTES, "must be a register's"));
const requestSchema = v.variant("do", [
  v.strictObject({
    do: v.literal("report"),
    provider: v.picklist(["sev_guest", "tdx_guest"]),
    reportData: bytes,
    privilegeLevel: v.exactOptional(v.number()),
  }),
  v.strictObject({ do: v.literal("read"), name: v.picklist(READABLE) }),
  v.strictObject({ do: v.literal("write"), name: v.literal(WRITABLE), bytes: registerBytes }),
]);
const answerSchema = v.union([
  v.strictObject({ outblob: bytes, auxblob: bytes }),
  v.strictObject({ bytes }),
  v.strictObject({ error: v.strictObject({ code: v.string(), message: v.string(), next: v.string() }) }),
]);
type Answer = v.InferOutput<typeof answerSchema>;

/**
 * How long an answer may take. Linux waits up to a minute for a busy secure processor (`sev-guest.c`,
 * SNP_REQ_MAX_RETRY_DURATION), and half a minute for a quote of a TD (`tdx-guest.c`, getquote_timeout_sec).
 */
const ANSWER_DEADLINE_MS = 120_000;

/** The limit on a line: a report of two blobs in base64, and the names of the fields. */
const MAXIMUM_LINE_BYTES = 2 * Math.ceil(MAXIMUM_BLOB_BYTES / 3) * 4 + 1024;

/**
 * Serves requests until the pipe ends. The answer to a failed request is its error.
 *
 * @param device The real device.
 */
export async function serveDevice(pipe: DevicePipe, device: ConfidentialDevice): Promise<void> {
  const writer = pipe.writable.getWriter();
  for await (const line of linesOf(pipe.readable)) {
    const answer = await answerTo(line, device).catch((error) => {
      const { code, message, next } = asBootstrapError(error);
      return { error: { code, message, next } };
    });
    await writer.write(new TextEncoder().encode(`${JSON.stringify(answer)}\n`));
  }
}

function readRequest(line: string): v.InferOutput<typeof requestSchema> {
  return readJson(line, {
    schema: requestSchema,
    maximumBytes: MAXIMUM_LINE_BYTES,
    error: (reason, _key, cause) =>
      new BootstrapError("malformed/device-request", `Cannot read a request for this machine's devices: ${reason}`, {
        cause,
      }),
  });
}

function readAnswer(line: string): Answer {
  return readJson(line, {
    schema: answerSchema,
    maximumBytes: MAXIMUM_LINE_BYTES,
    error: (reason, _key, cause) =>
      new BootstrapError("internal/device", `Cannot read an answer of this machine's devices: ${reason}`, { cause }),
  });
}

async function answerTo(line: string, device: ConfidentialDevice): Promise<unknown> {
  const request = readRequest(line);
  switch (request.do) {
    case "report": {
      const { outblob, auxblob } = await device.report(request);
      return { outblob: base64(outblob), auxblob: base64(auxblob) };
    }
    case "read":
      return { bytes: base64(await device.registers.read(request.name)) };
    case "write":
      await device.registers.write(request.name, request.bytes);
      return { bytes: "" };
  }
}

/**
 * Connects to the device at the other end of a pipe. Requests are served in order. Disposing of the device ends the
 * pipe.
 *
 * @param clock Measures how long an answer takes.
 * @returns A device that throws the errors of the real one, `system/device` if the process has ended, and
 *   `system/device-silent` if it did not answer in time; it is not asked again after that.
 */
export function connectDevice(
  pipe: DevicePipe,
  clock: Pick<Clock, "sleep"> = systemClock,
): ConfidentialDevice & Disposable {
  const writer = pipe.writable.getWriter();
  const lines = linesOf(pipe.readable)[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  const ask = (request: unknown): Promise<Answer> => {
    const answer = last.then(() => exchange(request));
    last = answer.catch(() => {});
    return answer;
  };
  let isSilent = false;
  const exchange = async (request: unknown): Promise<Answer> => {
    // The answer to an earlier request may still come, and would be taken for that to this one.
    if (isSilent) throw silent();
    let line: string | undefined;
    try {
      line = await withDeadline(clock, ANSWER_DEADLINE_MS, silent, (signal) =>
        abortable(
          writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`))
            .then(async () => (await lines.next()).value),
          signal,
        ));
    } catch (cause) {
      if (hasCode(cause, "system/device-silent")) isSilent = true;
      if (cause instanceof BootstrapError) throw cause;
      throw new BootstrapError("system/device", "The process with access to this machine's devices does not answer", {
        cause,
      });
    }
    if (line === undefined) {
      throw new BootstrapError("system/device", "The process with access to this machine's devices has ended");
    }
    const answer = readAnswer(line);
    if (!("error" in answer)) return answer;
    const { code, message, next } = answer.error;
    throw new BootstrapError(readErrorCode(code) ?? "internal/device", message, { next });
  };
  const answered = <T>(value: T | undefined): T => {
    if (value !== undefined) return value;
    throw new BootstrapError("internal/device", "The answer is to another request");
  };
  return {
    [Symbol.dispose]: () => void writer.close().catch(() => {}),
    async report({ reportData, ...request }) {
      const answer = await ask({ do: "report", ...request, reportData: base64(reportData) });
      return answered("outblob" in answer ? answer : undefined);
    },
    registers: {
      async read(name) {
        const answer = await ask({ do: "read", name });
        return answered("bytes" in answer ? answer.bytes : undefined);
      },
      write: async (name, value) => void await ask({ do: "write", name, bytes: base64(value) }),
    },
  };
}

function silent(): BootstrapError {
  return new BootstrapError(
    "system/device-silent",
    `This machine's device did not answer within ${ANSWER_DEADLINE_MS / 1000} s`,
  );
}

async function* linesOf(readable: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncIterable<string> {
  let open = "";
  for await (const text of readable.pipeThrough(new TextDecoderStream())) {
    const lines = (open + text).split("\n");
    open = lines.pop() ?? "";
    yield* lines;
    if (open.length > MAXIMUM_LINE_BYTES) {
      throw new BootstrapError(
        "internal/device",
        `A line of the devices' process is longer than ${MAXIMUM_LINE_BYTES} bytes`,
      );
    }
  }
}
