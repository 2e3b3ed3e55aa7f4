import assert from "node:assert/strict";
import { equalBytes, fromHex, fromUtf8, hex } from "../../../platform/bytes.ts";
import { oracleTest, sizedIn } from "./testing/tpm.ts";
import { errorOf } from "../../testing/evidence.ts";
import { encodeCommand } from "./command.ts";
import { COMMAND, HANDLE, MAXIMUM_MESSAGE_BYTES } from "./constants.ts";
import { nameOf, readPublicArea } from "./public_area.ts";
import { readQuoteInfo } from "./quote_info.ts";
import { readSignature } from "./signature.ts";
import { ATTESTATION_KEY_PUBLIC } from "./templates.ts";
import { Tpm } from "./tpm.ts";
import type { TpmTransport } from "./transport.ts";
import { TpmTransportError } from "./transport.ts";
import { tpmReader } from "./wire.ts";

interface Exchange {
  readonly cc: string;
  readonly command: string;
  readonly response: string;
}

const noWaiting = { sleep: () => Promise.resolve() };

/** A TPM that returns the given responses in order and records the commands. */
function scripted(
  responses: readonly string[],
): { readonly tpm: Tpm; readonly commands: string[]; readonly waits: number[] } {
  const commands: string[] = [];
  const waits: number[] = [];
  const transport: TpmTransport = {
    transmit(command) {
      const response = responses[commands.length] ?? responses.at(-1) ?? "";
      commands.push(hex(command));
      return Promise.resolve(fromHex(response, "response"));
    },
    close() {},
  };
  return { tpm: new Tpm(transport, { sleep: (ms) => Promise.resolve(void waits.push(ms)) }), commands, waits };
}

async function traces(read: (path: string) => Promise<Uint8Array>): Promise<(name: string, cc: string) => Exchange> {
  const all: Record<string, Exchange[]> = JSON.parse(
    fromUtf8(await read("swtpm/tpm2_tools_wire_traces.json"), "traces"),
  );
  return (name, cc) => {
    const exchange = all[name]?.find((candidate) => candidate.cc === cc);
    assert.ok(exchange !== undefined, `${name} ${cc}`);
    return exchange;
  };
}

/** A command with sessions, without its authorisations: code, handles and parameters. */
function withoutSessions(command: string, handles: number): string {
  const reader = tpmReader(fromHex(command, "command"), "command");
  const [tag, , code] = [reader.u16("tag"), reader.u32("size"), reader.u32("code")];
  assert.equal(tag, 0x8002);
  const head = reader.bytes(handles * 4, "handles");
  reader.skip(reader.u32("authorizationSize"), "authorisations");
  return `${code.toString(16)} ${hex(head)} ${hex(reader.rest("parameters"))}`;
}

oracleTest("Tpm() sends the same bytes as tpm2-tools when the command has no session", async (read) => {
  const trace = await traces(read);
  const replay = async (name: string, cc: string, run: (tpm: Tpm) => Promise<unknown>) => {
    const { command, response } = trace(name, cc);
    const { tpm, commands } = scripted([response]);
    const result = await run(tpm);
    assert.deepEqual(commands, [command]);
    return result;
  };
  const publicArea = await replay("activate", "ReadPublic", (tpm) => tpm.readPublic(0x81010001));
  assert.ok(publicArea instanceof Uint8Array);
  assert.ok(equalBytes(publicArea, sizedIn(await read("swtpm/ek_rsa.tpm2b_public"))));
  await replay("activate", "FlushContext", (tpm) => tpm.flushContext(0x02000001));
  const values = await replay("pcrread", "PCR_Read", (tpm) => tpm.pcrRead([23]));
  assert.deepEqual(values, [fromHex("9c5dd5a9912257c4f75cfc857a6479895e8c5cedce4113a4a09e8a2b97ca20a9", "")]);
  await replay(
    "extend",
    "PCR_Extend",
    (tpm) => tpm.pcrExtend(23, fromHex(trace("extend", "PCR_Extend").command.slice(-64), "")),
  );
});

oracleTest(
  "Tpm() sends the handles and parameters of tpm2-tools, and reads the responses, when sessions differ",
  async (read) => {
    const trace = await traces(read);
    const replay = async <T>(name: string, cc: string, handles: number, run: (tpm: Tpm) => Promise<T>): Promise<T> => {
      const { command, response } = trace(name, cc);
      const { tpm, commands } = scripted([response]);
      const result = await run(tpm);
      assert.equal(withoutSessions(commands[0] ?? "", handles), withoutSessions(command, handles));
      return result;
    };
    const key = await replay(
      "createprimary",
      "CreatePrimary",
      1,
      // That key was made without noDA.
      (tpm) =>
        tpm.createPrimary(
          HANDLE.endorsement,
          fromHex(hex(ATTESTATION_KEY_PUBLIC).replace("00050472", "00050072"), "template"),
        ),
    );
    assert.equal(key.handle, 0x80000000);
    assert.ok(equalBytes(await nameOf(key.publicArea), await read("swtpm/ak.name")));
    const nonce = fromHex(fromUtf8(await read("swtpm/nonce.hex"), "nonce").trim(), "nonce");
    const quote = await replay("quote", "Quote", 1, (tpm) => tpm.quote(0x80000000, nonce, [4, 11, 15]));
    assert.ok(equalBytes(readQuoteInfo(quote.attest).extraData, nonce));
    assert.equal(readSignature(quote.signature).length, 64);
    const activation = trace("activate", "ActivateCredential").command;
    const blobs = fromHex(activation, "").subarray(10 + 8 + 4 + 0x92);
    const challenge = { credentialBlob: blobs.subarray(0, 70), encryptedSecret: blobs.subarray(70) };
    const secret = await replay(
      "activate",
      "ActivateCredential",
      2,
      (tpm) => tpm.activateCredential(0x80000000, 0x81010001, 0x02000000, challenge),
    );
    assert.ok(equalBytes(secret, await read("swtpm/cred.secret")));
  },
);

oracleTest("startPolicySession() and policySecret() differ from tpm2-tools only in the nonce", async (read) => {
  const trace = await traces(read);
  const started = trace("policysecret", "StartAuthSession");
  const session = scripted([started.response]);
  await session.tpm.startPolicySession(0x000b);
  const nonceAt = 2 * (10 + 8 + 2);
  const withoutNonce = (command: string) =>
    command.slice(0, nonceAt) + command.slice(nonceAt + 64).replace(/^0000(00|01)/, "000001");
  assert.equal(withoutNonce(session.commands[0] ?? ""), withoutNonce(started.command));

  const satisfied = trace("policysecret", "PolicySecret");
  const policy = scripted([satisfied.response]);
  await policy.tpm.policySecret(HANDLE.endorsement, 0x03000000);
  const [sent = "", recorded] = [policy.commands[0], satisfied.command].map((command) =>
    withoutSessions(command ?? "", 2)
  );
  // tpm2-tools sends the session's nonce, which binds nothing here.
  assert.match(recorded ?? "", /^151 4000000b03000000 /);
  assert.equal(sent, "151 4000000b03000000 00000000000000000000");
});

oracleTest("nvRead() reads an index in chunks and joins them", async (read) => {
  const trace = await traces(read);
  const certificate = await read("swtpm/ek_rsa_cert.der");
  const chunk = (bytes: Uint8Array) => {
    const size = bytes.length.toString(16).padStart(4, "0");
    const body = `${(bytes.length + 2).toString(16).padStart(8, "0")}${size}${hex(bytes)}0000010000`;
    return `8002${(10 + body.length / 2).toString(16).padStart(8, "0")}00000000${body}`;
  };
  const responses = [
    trace("nvread", "NV_ReadPublic").response,
    chunk(certificate.subarray(0, 512)),
    chunk(certificate.subarray(512)),
  ];
  const { tpm, commands } = scripted(responses);
  assert.ok(equalBytes(await tpm.nvRead(0x01c00002), certificate));
  assert.equal(commands.length, 3);
  assert.equal(commands[0], trace("nvread", "NV_ReadPublic").command);
  assert.ok(commands[1]?.endsWith("02000000") && commands[2]?.endsWith("01f80200"));
  const short = scripted([responses[0] ?? "", chunk(certificate.subarray(0, 511))]);
  assert.equal((await errorOf(() => short.tpm.nvRead(0x01c00002))).code, "malformed/tpm");
});

oracleTest("Tpm() refuses every response that is truncated or has a trailing byte", async (read) => {
  const trace = await traces(read);
  const runs: readonly [string, string, (tpm: Tpm) => Promise<unknown>][] = [
    ["activate", "ReadPublic", (tpm) => tpm.readPublic(0x81010001)],
    [
      "activate",
      "ActivateCredential",
      (tpm) =>
        tpm.activateCredential(1, 2, 3, { credentialBlob: new Uint8Array(2), encryptedSecret: new Uint8Array(2) }),
    ],
    ["quote", "Quote", (tpm) => tpm.quote(1, new Uint8Array(32), [15])],
    ["pcrread", "PCR_Read", (tpm) => tpm.pcrRead([23])],
    ["nvread", "NV_ReadPublic", (tpm) => tpm.nvRead(1)],
    ["policysecret", "StartAuthSession", (tpm) => tpm.startPolicySession(0x000b)],
    ["createprimary", "CreatePrimary", (tpm) => tpm.createPrimary(1, ATTESTATION_KEY_PUBLIC)],
  ];
  for (const [name, cc, run] of runs) {
    const { response } = trace(name, cc);
    const resized = (bytes: string) =>
      bytes.slice(0, 4) + (bytes.length / 2).toString(16).padStart(8, "0") + bytes.slice(12);
    for (let length = 10; length < response.length / 2; length++) {
      const cut = response.slice(0, length * 2);
      assert.equal((await errorOf(() => run(scripted([cut]).tpm))).code, "malformed/tpm", `${cc} cut to ${length}`);
      assert.equal(
        (await errorOf(() => run(scripted([resized(cut)]).tpm))).code,
        "malformed/tpm",
        `${cc} of ${length}`,
      );
    }
    assert.equal(
      (await errorOf(() => run(scripted([resized(`${response}00`)]).tpm))).code,
      "malformed/tpm",
      `${cc} longer`,
    );
  }
});

Deno.test("Tpm() retries while the TPM is busy, and finally gives up", async () => {
  const [retry, yielded, testing] = ["922", "908", "90a"].map((code) => `80010000000a00000${code}`);
  const done = "80010000000a00000000";
  const { tpm, commands, waits } = scripted([retry ?? "", yielded ?? "", testing ?? "", done]);
  await tpm.flushContext(1);
  assert.equal(new Set(commands).size, 1);
  assert.deepEqual(waits, [20, 40, 80]);
  const busy = scripted([retry ?? ""]);
  const error = await errorOf(() => busy.tpm.flushContext(1));
  assert.equal(error.code, "unavailable/tpm-busy");
  assert.ok(error.retriable);
  assert.equal(busy.commands.length, 9);
});

Deno.test("startup() succeeds when the TPM was started before, and fails for every other reason", async () => {
  await scripted(["80010000000a00000000"]).tpm.startup();
  await scripted(["80010000000a00000100"]).tpm.startup();
  assert.equal((await errorOf(() => scripted(["80010000000a00000101"]).tpm.startup())).code, "system/tpm");
});

Deno.test("pcrRead() fails when the TPM has no SHA-256 bank, or returns other PCRs than requested", async () => {
  const responses = [
    "80010000001c00000000" + "00000000" + "00000001000b03000000" + "00000000",
    "80010000001800000000" + "00000000" + "00000000" + "00000000" + "0000",
    "80010000003e00000000" + "0000002b" + "00000001000b03000040" + "00000001" + "0020" + "00".repeat(32),
    "80010000003e00000000" + "0000002b" + "00000001000403000080" + "00000001" + "0020" + "00".repeat(32),
  ];
  for (const response of responses) {
    const sized = response.slice(0, 4) + (response.length / 2).toString(16).padStart(8, "0") + response.slice(12);
    assert.equal((await errorOf(() => scripted([sized]).tpm.pcrRead([15]))).code, "system/tpm-pcr");
  }
});

Deno.test("Tpm() names the command and the code when the TPM refuses", async () => {
  const cases: readonly [string, string, RegExp][] = [
    ["0000018b", "precondition/tpm-handle", /TPM_RC_HANDLE 0000018b to ReadPublic: it has no such object/],
    ["0000098e", "system/tpm", /TPM_RC_AUTH_FAIL/],
    ["000001df", "refused/tpm-value", /TPM_RC_INTEGRITY/],
    ["00000902", "unavailable/tpm", /TPM_RC_OBJECT_MEMORY/],
    ["00000921", "unavailable/tpm", /TPM_RC_LOCKOUT/],
    ["00000fff", "system/tpm", /answered 00000fff to ReadPublic: see TPM 2\.0 Part 2/],
  ];
  for (const [responseCode, code, message] of cases) {
    const { tpm } = scripted([`80010000000a${responseCode}`]);
    const error = await errorOf(() => tpm.readPublic(1));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.details["command"], "ReadPublic");
  }
  const other = new Tpm(
    { transmit: () => Promise.resolve(fromHex("80020000000a00000000", "")), close() {} },
    noWaiting,
  );
  assert.equal((await errorOf(() => other.readPublic(1))).code, "malformed/tpm");
});

oracleTest("readPublicArea() reads the keys of the traces", async (read) => {
  const trace = await traces(read);
  const { tpm } = scripted([trace("quote", "ReadPublic").response]);
  assert.equal(readPublicArea(await tpm.readPublic(0x80000000), "key").key.type, "ecc");
});

Deno.test("encodeCommand() refuses a command that is longer than a TPM takes", () => {
  const command = { code: COMMAND.startup, parameters: new Uint8Array(MAXIMUM_MESSAGE_BYTES) };
  assert.throws(() => encodeCommand({ name: "Startup", ...command }), { code: "internal/tpm-field" });
});

Deno.test("Tpm() sends a command again once when its call failed as a whole, and never an extension", async () => {
  const digest = new Uint8Array(32);
  // An answer without parameters, after each number of failures.
  const success = fromHex("80010000000a00000000", "response");
  for (
    const [failures, mayRepeat, run, expected] of [
      [1, true, (tpm: Tpm) => tpm.flushContext(1), "done after 2"],
      [2, true, (tpm: Tpm) => tpm.flushContext(1), "system/tpm-transport after 2"],
      [1, false, (tpm: Tpm) => tpm.flushContext(1), "system/tpm-transport after 1"],
      [1, true, (tpm: Tpm) => tpm.pcrExtend(15, digest), "system/tpm-transport after 1"],
    ] as const
  ) {
    let calls = 0;
    const transport: TpmTransport = {
      transmit: () =>
        ++calls <= failures
          ? Promise.reject(new TpmTransportError("Cannot talk to the TPM at it: EIO", mayRepeat))
          : Promise.resolve(success),
      close() {},
    };
    const outcome = await run(new Tpm(transport, noWaiting)).then(() => "done", (error) => String(error.code));
    assert.equal(`${outcome} after ${calls}`, expected);
  }
});
