import * as v from "valibot";
import { fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";

/** No journal is larger: 400 events of 500 characters, each of which JSON may write as six bytes, and the rest. */
export const MAXIMUM_JOURNAL_BYTES = 1 << 21;
/** As many of the latest events are kept. */
export const MAXIMUM_EVENTS = 400;
/** The longest text of an event, characters. */
export const MAXIMUM_DETAIL_LENGTH = 500;

/** What an event may say of its step. */
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

/** Whose steps a journal tells, and of which cluster. */
export interface JournalHead {
  /** Who holds the lock. */
  readonly owner: "init" | "join";
  /** What the node becomes. */
  readonly role: "control-plane" | "worker";
  /** The cluster that the lock names, 64 characters of lower-case hexadecimal. */
  readonly clusterId: string;
  /** The node's name. */
  readonly nodeName: string;
  /** What the operator asked for, where it is an init. */
  readonly operation?: JournalOperation;
}

/** What makes an operator's operation the same one; all in lower-case hexadecimal. */
export interface JournalOperation {
  /** Its ID, 16 bytes. */
  readonly id: string;
  /** SPKI of the operator's key. */
  readonly operatorKey: string;
  /** SHA-256 of the request as it was signed. */
  readonly request: string;
}

/** One step: how often it was begun, and when it was done. */
export interface JournalStep {
  /** Its name, in kebab case. */
  readonly name: string;
  /** How often it was begun, at least once. */
  readonly attempts: number;
  /** When it was begun the last time, ISO 8601. */
  readonly begun: string;
  /** When it was done, if that was after it was begun the last time, ISO 8601. */
  readonly done?: string;
}

/** One numbered event. */
export interface JournalEvent {
  /** From 1, without gaps. */
  readonly number: number;
  /** The step. */
  readonly phase: string;
  /** What of it. `waiting`: a try of it failed, and it waits for the next; the detail says why, and for how long. */
  readonly state: "started" | "detail" | "waiting" | "done" | "failed";
  /** A text, or nothing. */
  readonly detail: string;
  /** When, milliseconds since 1970. */
  readonly timeMs: number;
  /** How long the step took, at its end, milliseconds. */
  readonly durationMs: number;
}

/** All that a journal tells. */
export interface JournalContent {
  readonly head: JournalHead;
  readonly steps: readonly JournalStep[];
  readonly events: readonly JournalEvent[];
}

/** The bytes of a journal: a line with form, version and checksum, and the content as JSON. */
export async function encodeJournal(content: JournalContent): Promise<Bytes> {
  const body = JSON.stringify(content);
  return utf8(`${FORM} ${VERSION} ${await checksum(body)}\n${body}\n`);
}

/**
 * Reads the bytes of a journal. Nothing that is torn, changed or of another version is read, not even in part.
 *
 * @param what What the file is called in errors.
 * @throws {BootstrapError} `malformed/journal`, naming what is wrong.
 */
export async function decodeJournal(bytes: Uint8Array, what: string): Promise<JournalContent> {
  if (bytes.length > MAXIMUM_JOURNAL_BYTES) throw malformed(what, `it is larger than ${MAXIMUM_JOURNAL_BYTES} bytes`);
  const text = readText(bytes, what);
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
