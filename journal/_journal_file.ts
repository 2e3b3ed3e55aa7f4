import * as v from "valibot";
import { fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { newerVersion, withNewerProgram } from "../platform/file_version.ts";
import { readJson } from "../platform/json.ts";

/**
 * The limit of a journal: 400 events of 500 characters, each of which JSON may encode as six bytes, and the other
 * fields.
 */
export const MAXIMUM_JOURNAL_BYTES = 1 << 21;
/** How many events are kept: the latest ones. */
export const MAXIMUM_EVENTS = 400;
/** The longest detail of an event, characters. */
export const MAXIMUM_DETAIL_LENGTH = 500;

/** The possible states of an event. */
export const EVENT_STATES = ["started", "detail", "waiting", "done", "failed"] as const;

const FORM = "bootstrapper-journal";
const VERSION = 1;
const MAXIMUM_STEPS = 64;

const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const hexadecimal = (length: number) => v.pipe(v.string(), v.length(length), v.regex(/^[0-9a-f]*$/));

const headSchema: v.GenericSchema<unknown, JournalHead> = v.strictObject({
  owner: v.picklist(["init", "join"]),
  role: v.picklist(["control-plane", "worker"]),
  clusterId: hexadecimal(64),
  nodeName: v.string(),
  operation: v.exactOptional(v.strictObject({
    id: hexadecimal(32),
    operatorKey: v.string(),
    request: hexadecimal(64),
  })),
});

const stepSchema: v.GenericSchema<unknown, JournalStep> = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(100)),
  attempts: v.pipe(count, v.minValue(1)),
  begun: time,
  done: v.exactOptional(time),
});

const eventSchema: v.GenericSchema<unknown, JournalEvent> = v.strictObject({
  number: v.pipe(count, v.minValue(1)),
  phase: v.string(),
  state: v.picklist(EVENT_STATES),
  detail: v.string(),
  timeMs: count,
  durationMs: count,
});

const contentSchema = v.strictObject({
  head: headSchema,
  steps: v.pipe(v.array(stepSchema), v.maxLength(MAXIMUM_STEPS)),
  events: v.pipe(v.array(eventSchema), v.maxLength(MAXIMUM_EVENTS)),
});

/** The node, owner and cluster that a journal belongs to. */
export interface JournalHead {
  /** The holder of the lock. */
  readonly owner: "init" | "join";
  /** The role that the node gets. */
  readonly role: "control-plane" | "worker";
  /** The cluster ID in the lock, 64 lower-case hexadecimal digits. */
  readonly clusterId: string;
  readonly nodeName: string;
  /** The operator's request; only for an init. */
  readonly operation?: JournalOperation;
}

/** The identity of an operator's operation. All fields are lower-case hexadecimal. */
export interface JournalOperation {
  /** 16 bytes. */
  readonly id: string;
  /** The SPKI of the operator's key. */
  readonly operatorKey: string;
  /** The SHA-256 of the request as signed. */
  readonly request: string;
}

/** One step, with its attempts and times. */
export interface JournalStep {
  /** The name, in kebab case. */
  readonly name: string;
  /** How many times the step was begun, at least 1. */
  readonly attempts: number;
  /** When the step was last begun, ISO 8601. */
  readonly begun: string;
  /** When the step was done, ISO 8601; absent if it was begun again since. */
  readonly done?: string;
}

/** One numbered event. */
export interface JournalEvent {
  /** From 1, without gaps. */
  readonly number: number;
  /** The name of the step. */
  readonly phase: string;
  /**
   * The state. `waiting` means that a try failed and the step waits for the next try; the detail gives the reason and
   * the delay.
   */
  readonly state: "started" | "detail" | "waiting" | "done" | "failed";
  /** A text, may be empty. */
  readonly detail: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** How long the step took, milliseconds; set when it ends. */
  readonly durationMs: number;
}

/** The content of a journal. */
export interface JournalContent {
  readonly head: JournalHead;
  readonly steps: readonly JournalStep[];
  readonly events: readonly JournalEvent[];
}

/** Encodes a journal: a line with form, version and checksum, then the content as JSON. */
export async function encodeJournal(content: JournalContent): Promise<Bytes> {
  const body = JSON.stringify(content);
  return utf8(`${FORM} ${VERSION} ${await checksum(body)}\n${body}\n`);
}

/**
 * Decodes a journal. A torn or changed journal, or one of another version, is refused as a whole.
 *
 * @param what The name of the file, for errors.
 * @throws {BootstrapError} `malformed/journal`, with the reason.
 */
export async function decodeJournal(bytes: Uint8Array, what: string): Promise<JournalContent> {
  if (bytes.length > MAXIMUM_JOURNAL_BYTES) throw malformed(what, `it is larger than ${MAXIMUM_JOURNAL_BYTES} bytes`);
  const text = readText(bytes, what);
  // What follows the version is that version's own.
  const [, later] = /^bootstrapper-journal (\d{1,6}) /.exec(text) ?? [];
  const newer = newerVersion(Number(later), VERSION);
  if (newer !== undefined) {
    throw withNewerProgram(malformed(what, `its version is ${later}, and this program reads ${VERSION}: ${newer}`));
  }
  const [, form, version, sum, body = ""] = /^(\S+) (\d{1,6}) ([0-9a-f]{64})\n([^\n]*)\n$/.exec(text) ?? [];
  if (form !== FORM) throw malformed(what, "it does not begin and end as a journal does");
  if (Number(version) !== VERSION) {
    throw malformed(what, `its version is ${version}, and this program reads ${VERSION}`);
  }
  if (sum !== await checksum(body)) throw malformed(what, "its checksum is wrong");
  return parseContent(body, what);
}

function readText(bytes: Uint8Array, what: string): string {
  try {
    return fromUtf8(bytes, what);
  } catch (cause) {
    throw malformed(what, "it is not UTF-8", cause);
  }
}

function parseContent(body: string, what: string): JournalContent {
  return readJson(body, {
    schema: contentSchema,
    maximumBytes: MAXIMUM_JOURNAL_BYTES,
    error: (reason, _key, cause) => malformed(what, `its content is wrong: ${reason}`, cause),
  });
}

async function checksum(body: string): Promise<string> {
  return hex(await sha256(utf8(body)));
}

function malformed(what: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/journal", `Cannot read the journal ${what} as ${reason}`, {
    cause,
    next: "The node cannot know how far it came: run `bootstrapper reset`, or build it anew from its image",
    details: { path: what },
  });
}
