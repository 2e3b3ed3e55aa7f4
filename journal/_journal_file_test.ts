import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, copyOf, fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { JournalContent } from "./_journal_file.ts";
import { decodeJournal, encodeJournal, EVENT_STATES, MAXIMUM_EVENTS, MAXIMUM_JOURNAL_BYTES } from "./_journal_file.ts";

const PATH = "/state/journal/join";
const TIME = "2026-11-21T05:00:00.000Z";

const SAMPLE: JournalContent = {
  head: { owner: "join", role: "worker", clusterId: "ab".repeat(32), nodeName: "worker-1" },
  steps: [
    { name: "join-ticket", attempts: 2, begun: TIME, done: TIME },
    { name: "kubeadm-join", attempts: 1, begun: TIME },
  ],
  events: [
    { number: 7, phase: "join-ticket", state: "done", detail: "", timeMs: 1_795_000_000_000, durationMs: 12 },
    {
      number: 8,
      phase: "kubeadm-join",
      state: "detail",
      detail: "certs: \u{1F511} “x”\n\r\u2028\u2029",
      timeMs: 5,
      durationMs: 0,
    },
  ],
};

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const time = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") }).map((date) =>
  date.toISOString()
);
const hexadecimal = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => hex(value));
const operation = fc.record({ id: hexadecimal(16), operatorKey: text, request: hexadecimal(32) });
const contents: fc.Arbitrary<JournalContent> = fc.record({
  head: fc.record({
    owner: fc.constantFrom("init", "join"),
    role: fc.constantFrom("control-plane", "worker"),
    clusterId: hexadecimal(32),
    nodeName: text,
    operation,
  }, { requiredKeys: ["owner", "role", "clusterId", "nodeName"] }),
  steps: fc.array(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 100 }),
      attempts: fc.integer({ min: 1 }),
      begun: time,
      done: time,
    }, { requiredKeys: ["name", "attempts", "begun"] }),
    { maxLength: 6 },
  ),
  events: fc.array(
    fc.record({
      number: fc.integer({ min: 1 }),
      phase: text,
      state: fc.constantFrom(...EVENT_STATES),
      detail: text,
      timeMs: fc.nat(),
      durationMs: fc.nat(),
    }),
    { maxLength: 6 },
  ),
});

/** The bytes of a journal with any content and a matching checksum. */
async function forged(body: string, form = "bootstrapper-journal 1"): Promise<Uint8Array> {
  return utf8(`${form} ${hex(await sha256(utf8(body)))}\n${body}\n`);
}

/** Asserts that bytes are refused as a journal, with the reason, the path and the next action. */
async function assertRefused(bytes: Uint8Array, reason?: RegExp): Promise<void> {
  await assert.rejects(decodeJournal(bytes, PATH), (error: unknown) => {
    assert(error instanceof BootstrapError, String(error));
    assert.equal(error.code, "malformed/journal");
    assert.ok(!error.retriable);
    assert.ok(error.message.includes(PATH), error.message);
    assert.equal(error.details["path"], PATH);
    assert.match(error.next, /bootstrapper reset|^Use the newer program/);
    if (reason !== undefined) assert.match(error.message, reason);
    return true;
  });
}

Deno.test("decodeJournal() restores the input of encodeJournal()", async () => {
  assert.deepEqual(await decodeJournal(await encodeJournal(SAMPLE), PATH), SAMPLE);
  await fc.assert(fc.asyncProperty(contents, async (content) => {
    // JSON has no negative zero and no null prototypes.
    const plain: unknown = JSON.parse(JSON.stringify(content));
    assert.deepEqual(await decodeJournal(await encodeJournal(content), PATH), plain);
  }));
});

Deno.test("decodeJournal() refuses a journal with any one bit flipped", async () => {
  const bytes = await encodeJournal(SAMPLE);
  for (let index = 0; index < bytes.length; index++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = copyOf(bytes);
      flipped[index] = (flipped[index] ?? 0) ^ (1 << bit);
      await assertRefused(flipped);
    }
  }
});

Deno.test("decodeJournal() refuses a journal that is cut off anywhere, empty, or followed by other bytes", async () => {
  const bytes = await encodeJournal(SAMPLE);
  for (let length = 0; length < bytes.length; length++) await assertRefused(bytes.subarray(0, length));
  for (const tail of ["\n", " ", "\0", "x", fromUtf8(bytes, "journal")]) {
    await assertRefused(concat(bytes, utf8(tail)), /does not begin and end/);
  }
  await assertRefused(concat(utf8("\n"), bytes), /does not begin and end/);
});

Deno.test("decodeJournal() refuses a journal with zeros in place of blocks that a file system lost", async () => {
  const bytes = await encodeJournal(SAMPLE);
  await fc.assert(fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(bytes.length), async (from, to) => {
    fc.pre(from < to);
    await assertRefused(copyOf(bytes).fill(0, from, to));
  }));
});

Deno.test("decodeJournal() refuses random bytes", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (bytes) => assertRefused(bytes)));
  await assertRefused(utf8("{}\n"), /does not begin and end/);
  await assertRefused(Uint8Array.of(0xff, 0xfe), /not UTF-8/);
});

Deno.test("decodeJournal() refuses a journal of another version or form, and names the version", async () => {
  const body = JSON.stringify(SAMPLE);
  await assertRefused(await forged(body, "bootstrapper-journal 2"), /its version is 2, and this program reads 1/);
  await assertRefused(await forged(body, "bootstrapper-journal 0"), /its version is 0/);
  await assertRefused(await forged(body, "another-journal 1"), /does not begin and end/);
  await decodeJournal(await forged(body), PATH);
});

Deno.test("decodeJournal() refuses the checksum of another content", async () => {
  const one = fromUtf8(await encodeJournal(SAMPLE), "one").split("\n");
  const other = fromUtf8(await encodeJournal({ ...SAMPLE, steps: [] }), "other").split("\n");
  await assertRefused(utf8([one[0], other[1], ""].join("\n")), /checksum is wrong/);
});

Deno.test("decodeJournal() names the field of malformed content with a valid checksum", async () => {
  const [step, event] = [SAMPLE.steps[0], SAMPLE.events[0]];
  const cases: readonly (readonly [field: RegExp, content: unknown])[] = [
    [/it is not JSON/, undefined],
    [/wrong: head(:| is) /, { steps: [], events: [] }],
    [/wrong: head\.owner(:| is) /, { ...SAMPLE, head: { ...SAMPLE.head, owner: "nobody" } }],
    [/wrong: head\.role(:| is) /, { ...SAMPLE, head: { ...SAMPLE.head, role: "" } }],
    [/wrong: head\.clusterId(:| is) /, { ...SAMPLE, head: { ...SAMPLE.head, clusterId: "AB".repeat(32) } }],
    [/wrong: head\.clusterId(:| is) /, { ...SAMPLE, head: { ...SAMPLE.head, clusterId: "ab" } }],
    [/wrong: head\.operation\.id(:| is) /, {
      ...SAMPLE,
      head: { ...SAMPLE.head, operation: { operatorKey: "", request: "" } },
    }],
    [/wrong: head\.more(:| is) /, { ...SAMPLE, head: { ...SAMPLE.head, more: 1 } }],
    [/wrong: more(:| is) /, { ...SAMPLE, more: 1 }],
    [/wrong: steps\[0\]\.attempts(:| is) /, { ...SAMPLE, steps: [{ ...step, attempts: 0 }] }],
    [/wrong: steps\[0\]\.begun(:| is) /, { ...SAMPLE, steps: [{ ...step, begun: "yesterday" }] }],
    [/wrong: steps\[0\]\.done(:| is) /, { ...SAMPLE, steps: [{ ...step, done: null }] }],
    [/wrong: steps\[0\]\.name(:| is) /, { ...SAMPLE, steps: [{ ...step, name: "" }] }],
    [/wrong: steps(:| is) /, { ...SAMPLE, steps: Array(65).fill(step) }],
    [/wrong: events\[0\]\.number(:| is) /, { ...SAMPLE, events: [{ ...event, number: 0 }] }],
    [/wrong: events\[0\]\.number(:| is) /, { ...SAMPLE, events: [{ ...event, number: 1.5 }] }],
    [/wrong: events\[0\]\.state(:| is) /, { ...SAMPLE, events: [{ ...event, state: "over" }] }],
    [/wrong: events(:| is) /, { ...SAMPLE, events: Array(MAXIMUM_EVENTS + 1).fill(event) }],
  ];
  for (const [field, content] of cases) await assertRefused(await forged(JSON.stringify(content) ?? "{"), field);
});

Deno.test("decodeJournal() refuses input above the largest size", async () => {
  await assertRefused(new Uint8Array(MAXIMUM_JOURNAL_BYTES + 1).fill(32), /larger than/);
});

Deno.test("encodeJournal() keeps within the largest size however long the events are", async () => {
  const event = { number: Number.MAX_SAFE_INTEGER, phase: "p".repeat(100), state: "started", timeMs: 1e15 } as const;
  // The longest case in JSON: six characters for one.
  const events = Array(MAXIMUM_EVENTS).fill({ ...event, detail: "\u0001".repeat(500), durationMs: 1e15 });
  const bytes = await encodeJournal({ ...SAMPLE, events });
  assert.ok(bytes.length <= MAXIMUM_JOURNAL_BYTES, `${bytes.length} bytes`);
});
