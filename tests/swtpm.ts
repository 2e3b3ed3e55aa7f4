/**
 * A real software TPM for tests, with its own state, certificates by an authority made for the test, and a socket.
 *
 * @module
 */
import { join } from "node:path";
import { connectTpmSocket } from "../attestation/kinds/tpm/testing/socket_transport.ts";
import { Tpm } from "../attestation/kinds/tpm/tpm.ts";
import type { TpmTransport } from "../attestation/kinds/tpm/transport.ts";
import { systemClock } from "../platform/clock.ts";
import { runOrThrow, systemCommands } from "../platform/command.ts";

/** A software TPM that runs until it is disposed of. */
export interface Swtpm extends AsyncDisposable {
  /** The path of its socket. The TPM serves one connection at a time. */
  readonly socketPath: string;
  /**
   * The certificate of the authority that signed the certificates of the endorsement keys, PEM; empty for a bare TPM.
   */
  readonly issuerPem: string;
  /** Connects, and starts the TPM if it is not running. */
  connect(): Promise<TpmTransport>;
  /** Stops the process where it is, so that it answers nothing, or lets it go on. */
  freeze(isFrozen: boolean): void;
  /** Ends the process and starts a new one with the same state, as a reboot of the machine does. */
  restart(): Promise<void>;
}

/** The options of {@linkcode startSwtpm}. */
export interface SwtpmOptions {
  /** The CN in the TPM's certificates. Default: `swtpm`. */
  readonly vmId?: string;
  /** A folder for the authority, which is made there if it is missing. TPMs may share it. Default: a new folder. */
  readonly authorityFolder?: string;
  /** Whether the TPM has neither endorsement keys nor certificates. Default: `false`. */
  readonly bare?: boolean;
}

const PROGRAMS = ["swtpm", "swtpm_setup", "swtpm_localca"] as const;
const SETUP_DEADLINE_MS = 120_000;
const START_DEADLINE_MS = 30_000;
const POLL_MS = 10;

/** Whether the programs are installed. If not, a test that needs them reports that and is ignored. */
export async function hasSwtpm(): Promise<boolean> {
  const found = await Promise.all(
    PROGRAMS.map((name) =>
      systemCommands.run([name, "--version"], { deadlineMs: SETUP_DEADLINE_MS }).then(() => true, () => false)
    ),
  );
  return found.every((isThere) => isThere);
}

/**
 * Makes and starts a software TPM with a SHA-256 bank, RSA-2048 and P-384 endorsement keys (swtpm 0.7 makes no P-256
 * key) and their certificates. It needs no root.
 */
export async function startSwtpm(options: SwtpmOptions = {}): Promise<Swtpm> {
  const folder = await Deno.makeTempDir({ prefix: "swtpm-" });
  try {
    const stateFolder = join(folder, "state");
    await Deno.mkdir(stateFolder);
    const authorityFolder = options.authorityFolder ?? join(folder, "authority");
    const issuerPem = options.bare ? "" : await setUp(folder, stateFolder, authorityFolder, options.vmId ?? "swtpm");
    const socketPath = join(folder, "socket");
    let child = await spawn(stateFolder, socketPath);
    const stop = async (signal: Deno.Signal) => {
      child.kill(signal);
      await child.status;
    };
    return {
      socketPath,
      issuerPem,
      connect: () => connect(socketPath),
      freeze: (isFrozen) => child.kill(isFrozen ? "SIGSTOP" : "SIGCONT"),
      async restart() {
        await stop("SIGTERM");
        child = await spawn(stateFolder, socketPath);
      },
      async [Symbol.asyncDispose]() {
        await stop("SIGKILL");
        await Deno.remove(folder, { recursive: true });
      },
    };
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

async function setUp(folder: string, stateFolder: string, authorityFolder: string, vmId: string): Promise<string> {
  await Deno.mkdir(authorityFolder, { recursive: true });
  const issuer = join(authorityFolder, "issuer.pem");
  const authority = join(folder, "localca.conf");
  await Deno.writeTextFile(
    authority,
    `statedir = ${authorityFolder}\nsigningkey = ${join(authorityFolder, "key.pem")}\nissuercert = ${issuer}\n` +
      `certserial = ${join(authorityFolder, "serial")}\n`,
  );
  const options = join(folder, "localca.options");
  await Deno.writeTextFile(options, "--platform-manufacturer Test\n--platform-version 1\n--platform-model Test\n");
  const configuration = join(folder, "setup.conf");
  await Deno.writeTextFile(
    configuration,
    `create_certs_tool = ${await pathOf("swtpm_localca")}\ncreate_certs_tool_config = ${authority}\n` +
      `create_certs_tool_options = ${options}\nactive_pcr_banks = sha256\n`,
  );
  await runOrThrow(systemCommands, [
    "swtpm_setup",
    "--tpm2",
    "--tpmstate",
    stateFolder,
    "--create-ek-cert",
    "--pcr-banks",
    "sha256",
    "--vmid",
    vmId,
    "--config",
    configuration,
  ], { deadlineMs: SETUP_DEADLINE_MS });
  return await Deno.readTextFile(issuer);
}

async function pathOf(program: string): Promise<string> {
  const path = await runOrThrow(systemCommands, ["which", program], { deadlineMs: SETUP_DEADLINE_MS });
  return path.trim();
}

async function spawn(stateFolder: string, socketPath: string): Promise<Deno.ChildProcess> {
  await Deno.remove(socketPath).catch(() => {});
  const child = new Deno.Command("swtpm", {
    args: [
      "socket",
      "--tpm2",
      "--tpmstate",
      `dir=${stateFolder}`,
      "--server",
      `type=unixio,path=${socketPath}`,
      "--flags",
      "not-need-init",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await waitUntilStarted(socketPath);
    return child;
  } catch (error) {
    child.kill("SIGKILL");
    await child.status;
    throw error;
  }
}

async function waitUntilStarted(socketPath: string): Promise<void> {
  const deadline = systemClock.monotonicMs() + START_DEADLINE_MS;
  for (;;) {
    try {
      return (await connect(socketPath)).close();
    } catch (error) {
      if (systemClock.monotonicMs() > deadline) throw error;
      await systemClock.sleep(POLL_MS);
    }
  }
}

async function connect(path: string): Promise<TpmTransport> {
  const transport = await connectTpmSocket({ path });
  try {
    await new Tpm(transport, systemClock).startup();
    return transport;
  } catch (error) {
    transport.close();
    throw error;
  }
}
