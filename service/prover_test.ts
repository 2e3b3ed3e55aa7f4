import assert from "node:assert/strict";
import { join } from "node:path";
import fc from "fast-check";
import type { Evidence, EvidenceIssuer } from "../attestation/evidence.ts";
import { systemClock } from "../platform/clock.ts";
import { sha256, utf8 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { silentLog } from "../platform/log.ts";
import { listenOnUnixSocket } from "../platform/unix_socket.ts";
import { activationAnswer } from "../protocol/activation.ts";
import { joinA1 } from "../protocol/transcript.ts";
import { connectProver, serveProofs } from "./prover.ts";

const clusterId = new Uint8Array(32).fill(5);
const context = {
  binding: new Uint8Array(32).fill(1),
  clientNonce: new Uint8Array(32).fill(2),
  serverNonce: new Uint8Array(32).fill(3),
  clusterId,
  lists: { foundings: [Uint8Array.of(1, 2)], successions: [], documents: [Uint8Array.of(3)] },
};
const challenge = { credentialBlob: Uint8Array.of(1), encryptedSecret: Uint8Array.of(2) };

/** A machine that notes what it was asked to make evidence over. */
class Machine implements EvidenceIssuer {
  readonly variant = "test";
  readonly isChallenged = true;
  readonly statements: string[] = [];
  secrets: Bytes[] = [];
  failure: Error | undefined;

  issue(statement: Uint8Array): Promise<Evidence> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.statements.push(statement.toHex());
    return Promise.resolve({ variant: "test", payload: new Uint8Array(4000).fill(9) });
  }

  async activate(): Promise<Bytes> {
    const secret = await sha256(utf8("secret"));
    this.secrets.push(secret);
    return secret;
  }

  ownIdentity(): Promise<string> {
    return Promise.resolve("00".repeat(32));
  }
}

async function withProver(use: (path: string, machine: Machine) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "prover.sock");
  const stop = new AbortController();
  const machine = new Machine();
  const listener = await listenOnUnixSocket(path);
  const clock = systemClock;
  const serving = serveProofs({ listener, issuer: machine, clusterId, clock, log: silentLog }, stop.signal);
  try {
    await use(path, machine);
  } finally {
    stop.abort();
    await serving;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Says something to the prover, and returns its answer. */
async function say(path: string, text: Uint8Array): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path });
  try {
    for (let written = 0; written < text.length;) written += await conn.write(text.subarray(written));
    await conn.closeWrite();
  } catch {
    // The prover has heard enough.
  }
  const answer = await new Response(conn.readable).text().catch(() => "");
  return answer;
}

Deno.test("serveProofs() makes evidence over A1 of its own cluster alone, and answers challenges for it", () =>
  withProver(async (path, machine) => {
    const prover = connectProver(path);
    const a1 = await joinA1(context);
    assert.deepEqual(await prover.issue(context), { variant: "test", payload: new Uint8Array(4000).fill(9) });
    assert.deepEqual(await prover.issue({ ...context, clusterId: new Uint8Array(32) }), await prover.issue(context));
    assert.deepEqual([...new Set(machine.statements)], [a1.toHex()]);
    const answer = await prover.answer(context, challenge);
    assert.deepEqual(answer, await activationAnswer(await sha256(utf8("secret")), a1));
    // The secret itself never leaves the process, nor stays in it.
    assert.deepEqual(machine.secrets, [new Uint8Array(32)]);
  }));

Deno.test("serveProofs() refuses whatever is no request, and goes on", () =>
  withProver(async (path, machine) => {
    const { binding, clientNonce, serverNonce } = {
      ...{ binding: "AQ==", clientNonce: "AQ==", serverNonce: "AQ==" },
    };
    const lists = { foundings: [], successions: [], documents: [] };
    const right = { do: "issue", binding, clientNonce, serverNonce, ...lists };
    const wrong: readonly unknown[] = [
      {},
      { ...right, do: "quote" },
      { ...right, statement: "AQ==" },
      { ...right, clusterId: "AQ==" },
      { ...right, binding: 1 },
      { ...right, binding: "%" },
      { ...right, do: "answer" },
      { ...right, challenge: { credentialBlob: "", encryptedSecret: "" } },
    ];
    for (const request of wrong) {
      assert.match(await say(path, utf8(JSON.stringify(request))), /^\{"error":/, JSON.stringify(request));
    }
    assert.match(await say(path, utf8("x".repeat(300_000))), /^$/);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (noise) => {
        assert.match(await say(path, noise), /^\{"error":/);
      }),
      { numRuns: 50 },
    );
    assert.deepEqual(machine.statements, []);
    assert.match(await say(path, utf8(JSON.stringify(right))), /^\{"variant":/);
  }));

Deno.test("connectProver() tells what failed, and that it may be tried again", () =>
  withProver(async (path, machine) => {
    machine.failure = new BootstrapError("system/tpm-silent", "The TPM does not answer");
    const failed = { code: "unavailable/founder-evidence", retriable: true };
    await assert.rejects(connectProver(path).issue(context), { ...failed, message: /The TPM does not answer/ });
    await assert.rejects(connectProver(`${path}-other`).issue(context), { ...failed, message: /it is not there/ });
    const folder = await Deno.makeTempDir();
    const silent = join(folder, "s.sock");
    using listener = await listenOnUnixSocket(silent);
    const accepted = listener.accept();
    const slept: number[] = [];
    const clock = { sleep: (ms: number) => Promise.resolve(void slept.push(ms)) };
    await assert.rejects(connectProver(silent, clock).issue(context), { ...failed, message: /25 s/ });
    assert.deepEqual(slept, [25_000]);
    (await accepted).close();
    await Deno.remove(folder, { recursive: true });
  }));

Deno.test("serveProofs() serves no more than 16 connections at once, and hangs up on silent ones", () =>
  withProver(async (path, machine) => {
    const silent = await Promise.all(Array.from({ length: 16 }, () => Deno.connect({ transport: "unix", path })));
    try {
      await assert.rejects(connectProver(path).issue(context), { code: "unavailable/founder-evidence" });
    } finally {
      for (const conn of silent) conn.close();
    }
    const until = performance.now() + 10_000;
    while (performance.now() < until && machine.statements.length === 0) {
      await connectProver(path).issue(context).catch(() => {});
    }
    assert.equal(machine.statements.length, 1);
  }));
