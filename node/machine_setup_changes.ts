/**
 * Changes a machine as `bootstrapper machine setup --apply` does, and takes back what was changed.
 *
 * Each change is on record before it is made, with what was there before. So a process that is killed leaves nothing
 * that `undo` does not know, and the next `apply` finds what is still missing.
 *
 * @module
 */
import { join } from "node:path";
import * as v from "valibot";
import { base64, fromBase64, fromUtf8, hex, sha256, utf8 } from "../platform/bytes.ts";
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { MINUTE_MS } from "../platform/duration.ts";
import { BootstrapError } from "../platform/errors.ts";
import { ensureFolder, fileMode, readFileIfExists, removeIfExists, writeFileAtomic } from "../platform/files.ts";
import { readJson } from "../platform/json.ts";
import { type Argv, type SetupAction, type SetupFinding, shellLine } from "./machine_setup_finding.ts";

/** The folder of the record, outside the folder that a reset empties. */
export const SETUP_FOLDER = "var/lib/bootstrapper-setup";
const RECORD = "changes.json";
const MAXIMUM_RECORD_BYTES = 8 << 20;
const MAXIMUM_FILE_BYTES = 1 << 20;
/** Packages and images come over a network. */
const DEADLINE_MS = 20 * MINUTE_MS;
/** How long apt-get waits for another program that works with packages. */
const LOCK_SECONDS = 600;
const APT_ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  DEBIAN_FRONTEND: "noninteractive",
};
/** Each round may show what the one before has made visible: a program's configuration, once it is installed. */
const MOST_ROUNDS = 5;

/** A change that was made, or was about to be made. */
export type SetupChange =
  | {
    readonly kind: "file";
    readonly path: string;
    /** SHA-256 of what was written, hexadecimal. */
    readonly written: string;
    /** What was there, base64; absent if there was no file. */
    readonly before?: string;
    /** The mode of what was there. */
    readonly mode?: number;
  }
  | { readonly kind: "packages"; readonly names: readonly string[] }
  | { readonly kind: "sysctl"; readonly name: string; readonly value: string; readonly before: string }
  | { readonly kind: "run"; readonly undo: readonly string[] };

/** The record of changes, oldest first. */
export interface SetupRecord {
  readonly version: 1;
  readonly changes: readonly SetupChange[];
}

/** What changes are made with. */
export interface SetupTools {
  /** The root folder: `/` on a node. */
  readonly root: string;
  readonly commands: CommandRunner;
  /** Told of each line before it runs, and of what is left as it is. */
  readonly tell: (line: string) => void;
}

const argvSchema = v.pipe(v.array(v.string()), v.minLength(1));
const recordSchema: v.GenericSchema<unknown, SetupRecord> = v.strictObject({
  version: v.literal(1),
  changes: v.array(v.variant("kind", [
    v.strictObject({
      kind: v.literal("file"),
      path: v.string(),
      written: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, "it is no SHA-256")),
      before: v.exactOptional(v.pipe(v.string(), v.base64("it is not in base64"))),
      mode: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o7777))),
    }),
    v.strictObject({ kind: v.literal("packages"), names: v.array(v.string()) }),
    v.strictObject({ kind: v.literal("sysctl"), name: v.string(), value: v.string(), before: v.string() }),
    v.strictObject({ kind: v.literal("run"), undo: argvSchema }),
  ])),
});

/** Parses a record of changes. `what` names the file in errors. */
export function parseSetupRecord(bytes: Uint8Array, what: string): SetupRecord {
  return readJson(bytes, {
    schema: recordSchema,
    maximumBytes: MAXIMUM_RECORD_BYTES,
    newest: 1,
    error: (reason, key, cause) =>
      new BootstrapError("malformed/setup-record", `Cannot read ${what}: ${reason}`, {
        cause,
        details: { path: what, key },
      }),
  });
}

async function readRecord(root: string): Promise<SetupRecord> {
  const path = join(root, SETUP_FOLDER, RECORD);
  const bytes = await readFileIfExists(path, MAXIMUM_RECORD_BYTES);
  return bytes === undefined ? { version: 1, changes: [] } : parseSetupRecord(bytes, path);
}

async function writeRecord(root: string, changes: readonly SetupChange[]): Promise<void> {
  const folder = join(root, SETUP_FOLDER);
  const path = join(folder, RECORD);
  if (changes.length === 0) return await removeIfExists(path);
  await ensureFolder(folder, 0o700);
  // A file that was there may have had secrets.
  await writeFileAtomic(path, utf8(`${JSON.stringify({ version: 1, changes })}\n`), { mode: 0o600 });
}

/**
 * Mends what can be mended, and looks again, until nothing is left that this program mends.
 *
 * @param find Finds what is missing now.
 * @returns What is left for a person.
 * @throws {BootstrapError} `system/command` for a program that fails, `system/file`, `malformed/setup-record`.
 */
export async function applySetup(
  tools: SetupTools,
  find: () => Promise<readonly SetupFinding[]>,
): Promise<readonly SetupFinding[]> {
  const tried = new Set<string>();
  let findings = await find();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const mendable = findings.filter(({ actions, check }) => actions.length > 0 && !tried.has(check));
    if (mendable.length === 0) return findings;
    for (const { check, actions } of mendable) {
      tried.add(check);
      for (const action of actions) await perform(tools, action);
    }
    findings = await find();
  }
  return findings;
}

async function perform(tools: SetupTools, action: SetupAction): Promise<void> {
  const { root, commands, tell } = tools;
  if (action.kind !== "afterUndo") tell(action.kind === "file" ? `# ${action.path} is written` : shellLine(action));
  const { changes } = await readRecord(root);
  const change = await changeOf(tools, action);
  if (change !== undefined) await writeRecord(root, [...changes, change]);
  switch (action.kind) {
    case "packages":
      return await apt(commands, "install", action.names);
    case "file": {
      const path = join(root, action.path);
      await ensureFolder(join(path, ".."));
      return await writeFileAtomic(path, utf8(action.text), {
        mode: change?.kind === "file" ? change.mode ?? 0o644 : 0o644,
      });
    }
    case "sysctl":
      return await Deno.writeTextFile(sysctlPath(root, action.name), `${action.value}\n`);
    case "run":
      await runOrThrow(commands, action.argv, { deadlineMs: DEADLINE_MS });
      return;
    case "afterUndo":
      return;
  }
}

/**
 * Another program may be at work with packages: one that looks for updates, or the apt-get of a process that was killed.
 */
async function apt(commands: CommandRunner, verb: "install" | "remove", names: readonly string[]): Promise<void> {
  const waiting = `DPkg::Lock::Timeout=${LOCK_SECONDS}`;
  await runOrThrow(commands, ["apt-get", "-o", waiting, verb, "-y", ...names], {
    deadlineMs: DEADLINE_MS,
    env: APT_ENVIRONMENT,
  });
}

/** What the record has to say of an action; nothing if it leaves nothing behind that could be taken back. */
async function changeOf({ root, commands }: SetupTools, action: SetupAction): Promise<SetupChange | undefined> {
  switch (action.kind) {
    case "packages": {
      const added: string[] = [];
      for (const name of action.names) if (!await isInstalled(commands, name)) added.push(name);
      return added.length === 0 ? undefined : { kind: "packages", names: added };
    }
    case "file": {
      const path = join(root, action.path);
      const before = await readFileIfExists(path, MAXIMUM_FILE_BYTES);
      const mode = before === undefined ? undefined : await fileMode(path);
      return {
        ...{ kind: "file", path: action.path, written: hex(await sha256(utf8(action.text))) },
        ...(before === undefined ? {} : { before: base64(before) }),
        ...(mode === undefined ? {} : { mode }),
      };
    }
    case "sysctl": {
      const before = await readFileIfExists(sysctlPath(root, action.name), MAXIMUM_FILE_BYTES);
      if (before === undefined) return undefined;
      return { kind: "sysctl", name: action.name, value: action.value, before: fromUtf8(before, action.name).trim() };
    }
    case "run":
      return action.undo === undefined ? undefined : { kind: "run", undo: action.undo };
    case "afterUndo":
      return { kind: "run", undo: action.argv };
  }
}

function sysctlPath(root: string, name: string): string {
  return join(root, "proc/sys", ...name.split("."));
}

async function isInstalled(commands: CommandRunner, name: string): Promise<boolean> {
  const argv = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name] as const;
  const { code, stdout } = await commands.run(argv, { deadlineMs: MINUTE_MS });
  return code === 0 && stdout === "installed";
}

/**
 * Takes back what is on record, newest first. What somebody has changed since is left, and told.
 *
 * @returns How many changes were on record.
 * @throws {BootstrapError} `system/command` for a program that fails, `system/file`, `malformed/setup-record`.
 */
export async function undoSetup(tools: SetupTools): Promise<number> {
  const { changes } = await readRecord(tools.root);
  for (let left = changes; left.length > 0; left = left.slice(0, -1)) {
    const last = left.at(-1);
    if (last !== undefined) await takeBack(tools, last);
    await writeRecord(tools.root, left.slice(0, -1));
  }
  return changes.length;
}

async function takeBack(tools: SetupTools, change: SetupChange): Promise<void> {
  const { root, commands, tell } = tools;
  switch (change.kind) {
    case "packages": {
      const there: string[] = [];
      for (const name of change.names) if (await isInstalled(commands, name)) there.push(name);
      if (there.length === 0) return;
      tell(`apt-get remove -y ${there.join(" ")}`);
      return await apt(commands, "remove", there);
    }
    case "file": {
      const path = join(root, change.path);
      const now = await readFileIfExists(path, MAXIMUM_FILE_BYTES);
      const isOurs = now !== undefined && hex(await sha256(now)) === change.written;
      if (!isOurs) {
        const asBefore = now === undefined ? change.before === undefined : base64(now) === change.before;
        if (!asBefore) tell(`# ${change.path} was changed since, and is left as it is`);
        return;
      }
      if (change.before === undefined) {
        tell(`rm ${change.path}`);
        return await removeIfExists(path);
      }
      tell(`# ${change.path} is as it was before`);
      return await writeFileAtomic(path, fromBase64(change.before, change.path), { mode: change.mode ?? 0o644 });
    }
    case "sysctl": {
      const path = sysctlPath(root, change.name);
      const now = await readFileIfExists(path, MAXIMUM_FILE_BYTES);
      if (now === undefined || fromUtf8(now, path).trim() !== change.value) return;
      tell(`sysctl -w ${change.name}=${change.before}`);
      return await Deno.writeTextFile(path, `${change.before}\n`);
    }
    case "run": {
      const [program = "true", ...args] = change.undo;
      const argv: Argv = [program, ...args];
      tell(shellLine({ kind: "run", argv }));
      // It may be undone already, by a process that was killed then.
      const { code, stderr } = await commands.run(argv, { deadlineMs: DEADLINE_MS });
      if (code !== 0) tell(`# it failed: ${stderr.trim().split("\n").at(-1) ?? ""}`);
    }
  }
}
