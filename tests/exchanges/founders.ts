/**
 * Founders for tests: machines that meet over loopback, each with a folder, a key and a meeting of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EvidenceIssuer, EvidenceVerifier, MeasurementRegisters } from "../../attestation/evidence.ts";
import { TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import type { FounderKey } from "../../founding/founder_key.ts";
import { readOrCreateFounderKey } from "../../founding/founder_key.ts";
import type { FounderMeetingOptions, MeetingState } from "../../founding/meeting.ts";
import { FounderMeeting } from "../../founding/meeting.ts";
import type { FounderTrust } from "../../founding/trust_comparison.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import type { Clock } from "../../platform/clock.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Endpoint } from "../../platform/endpoint.ts";
import { readEndpoint } from "../../platform/endpoint.ts";
import { BootstrapError } from "../../platform/errors.ts";
import type { Log, LogFields } from "../../platform/log.ts";
import { ShownMachine, shownVerifier } from "./init_machine.ts";

/** How founders of a test prove themselves. */
export type FoundingMode = "token" | "evidence" | "both";
/** All modes. */
export const FOUNDING_MODES: readonly FoundingMode[] = ["token", "evidence", "both"];

/** A wait's patience. Nothing is asserted about the time that is needed. */
export const PATIENCE_MS = 60_000;

/** What the founders of one test share. */
export interface TestFounding {
  readonly trust: FounderTrust;
  readonly token: KeyPair;
  readonly verifier: EvidenceVerifier;
}

/** Makes a trust part for founders. */
export async function newFounding(mode: FoundingMode, size = 3): Promise<TestFounding> {
  const [token, operator] = [await generateKeyPair("ed25519"), await generateKeyPair("ed25519")];
  const trust: FounderTrust = {
    ...{ clusterName: "demo", clusterId: new Uint8Array(), operatorKeys: [operator.spki], ...TPM_SETTINGS },
    founding: {
      size,
      policyDigest: mode === "token" ? new Uint8Array() : new Uint8Array(32).fill(7),
      tokenKey: mode === "evidence" ? new Uint8Array() : token.spki,
    },
  };
  return { trust, token, verifier: shownVerifier };
}

/** The system's clock, whose steady time can be set forward: evidence for one peer is made only so often. */
export function jumpingClock(): Clock & { jump(ms: number): void } {
  let jumpedMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + jumpedMs,
    jump: (ms) => void (jumpedMs += ms),
  };
}

/** One line of a founder's log. */
export interface LogLine {
  readonly name: string;
  readonly fields: LogFields;
}

/** Makes evidence, and has registers. */
export type TestMachine = EvidenceIssuer & MeasurementRegisters;

/** A machine that founds. */
export class TestFounder implements AsyncDisposable {
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly name: string,
    readonly machine: TestMachine,
    readonly folder: string,
    readonly key: FounderKey,
    readonly meeting: FounderMeeting,
    readonly lines: readonly LogLine[],
  ) {}

  /** Makes a machine, measures its trust part, and prepares its meeting. It does not run yet. */
  static async create(
    name: string,
    founding: TestFounding,
    peers: readonly Endpoint[],
    changes: Partial<FounderMeetingOptions> & {
      readonly machine?: TestMachine;
      readonly address?: string;
      readonly listenPort?: number;
      readonly folder?: string;
    } = {},
  ): Promise<TestFounder> {
    const {
      machine = new ShownMachine() as TestMachine,
      address = `${name}.example:9444`,
      listenPort = 0,
      folder,
      ...options
    } = changes;
    const { trust, token, verifier } = founding;
    await measureTrust(machine, trust);
    const at = folder ?? await Deno.makeTempDir({ prefix: "founder-" });
    const key = options.key ?? await readOrCreateFounderKey(at, readEndpoint(address, "address"));
    const lines: LogLine[] = [];
    const meeting = await FounderMeeting.create({
      listen: { host: "127.0.0.1", port: listenPort },
      self: { name, address },
      key,
      trust,
      peers,
      ...(trust.founding.policyDigest.length === 0 ? {} : { attestation: { issuer: machine, verifier } }),
      ...(trust.founding.tokenKey.length === 0 ? {} : { token }),
      clock: systemClock,
      log: recordingLog(lines),
      ...options,
    });
    return new TestFounder(name, machine, at, key, meeting, lines);
  }

  /** Starts the meeting, and returns where it listens. */
  async start(): Promise<Endpoint> {
    this.#running = this.meeting.run(this.#stop.signal).catch((error) => error);
    const { port = 0 } = await this.until(({ port }) => port !== undefined, "it listens");
    return { host: "127.0.0.1", port };
  }

  /** Waits for a state. */
  async until(isIt: (state: MeetingState) => boolean, what: string): Promise<MeetingState> {
    let last = this.meeting.state;
    const late = AbortSignal.timeout(PATIENCE_MS);
    for await (const state of this.meeting.states(late)) {
      last = state;
      if (isIt(state)) return state;
    }
    const { view: { summary }, dials } = last;
    const errors = dials.map(({ endpoint, error, met }) => `${endpoint}: ${met ?? error?.message ?? "-"}`).join("; ");
    return assert.fail(`${this.name}: not ${what} in time: ${summary}; ${errors}`);
  }

  /** Waits until a dial has failed with a code, and returns the error. */
  async failure(code: string): Promise<BootstrapError> {
    const isIt = ({ dials }: MeetingState) => dials.some(({ error }) => error?.code === code);
    const { dials } = await this.until(isIt, `refused with ${code}`);
    return dials.find(({ error }) => error?.code === code)?.error ?? assert.fail();
  }

  /** Waits until the view is agreed. */
  agreed(): Promise<MeetingState> {
    return this.until(({ view }) => view.isAgreed, "agreed");
  }

  /** Ends the meeting, and returns how it ended. */
  async stop(): Promise<unknown> {
    this.#stop.abort(new BootstrapError("aborted/run", "The test has ended"));
    return await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

function recordingLog(lines: LogLine[], base: LogFields = {}): Log {
  return {
    event: (_level, name, fields = {}) => void lines.push({ name, fields: { ...base, ...fields } }),
    with: (fields) => recordingLog(lines, { ...base, ...fields }),
  };
}

/** Starts founders in order. Each dials those that were started before it. */
export async function startFounders(
  founding: TestFounding,
  names: readonly string[],
): Promise<AsyncDisposable & { readonly founders: readonly TestFounder[]; readonly endpoints: readonly Endpoint[] }> {
  const stack = new AsyncDisposableStack();
  const founders: TestFounder[] = [];
  const endpoints: Endpoint[] = [];
  for (const name of names) {
    const founder = stack.use(await TestFounder.create(name, founding, [...endpoints]));
    founders.push(founder);
    endpoints.push(await founder.start());
  }
  return { founders, endpoints, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
