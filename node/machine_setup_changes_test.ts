import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { base64, utf8 } from "../platform/bytes.ts";
import type { CommandRunner } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { applySetup, parseSetupRecord, SETUP_FOLDER, undoSetup } from "./machine_setup_changes.ts";
import type { SetupFinding } from "./machine_setup_finding.ts";

/** A machine as a folder: packages are files, and so is what a service has last read. */
class Machine implements AsyncDisposable {
  readonly told: string[] = [];
  /** How many more programs run before the process is killed. */
  left = Infinity;

  private constructor(readonly root: string) {}

  static async create(): Promise<Machine> {
    const machine = new Machine(await Deno.makeTempDir());
    await machine.write("etc/fstab", "UUID=3 none swap sw 0 0\n");
    await machine.write("proc/sys/net/ipv4/ip_forward", "0\n");
    await machine.write("packages/curl", "installed");
    await machine.write("service", "old");
    return machine;
  }

  readonly commands: CommandRunner = {
    run: async ([program, ...args]) => {
      if (this.left-- <= 0) throw new Error("killed");
      const name = args.at(-1) ?? "";
      const folder = join(this.root, "packages", name);
      const done = { code: 0, stdout: "", stderr: "" };
      if (program === "dpkg-query") {
        return await Deno.readTextFile(folder).then((stdout) => ({ ...done, stdout }), () => ({ ...done, code: 1 }));
      }
      if (program === "apt-get") {
        if (args.includes("install")) await Deno.writeTextFile(folder, "installed");
        else await Deno.remove(folder);
      } else if (program === "restart") {
        await this.write("service", await Deno.readTextFile(join(this.root, "etc/service")).catch(() => "old"));
      } else if (program === "fails") return { code: 1, stdout: "", stderr: "It does not work\n" };
      return done;
    },
  };

  get tools() {
    return { root: this.root, commands: this.commands, tell: (line: string) => void this.told.push(line) };
  }

  async write(path: string, text: string): Promise<void> {
    await Deno.mkdir(dirname(join(this.root, path)), { recursive: true });
    await Deno.writeTextFile(join(this.root, path), text);
  }

  /** All files and their contents, but the record. */
  async files(folder = ""): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for await (const { name, isDirectory } of Deno.readDir(join(this.root, folder))) {
      const path = join(folder, name);
      if (path === SETUP_FOLDER) continue;
      if (isDirectory) Object.assign(found, await this.files(path));
      else found[path] = await Deno.readTextFile(join(this.root, path));
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

const FINDINGS: readonly SetupFinding[] = [
  {
    ...{ check: "program", what: "It is missing", why: "it is needed" },
    actions: [{ kind: "packages", names: ["curl"] }, { kind: "packages", names: ["kubeadm"] }],
  },
  {
    ...{ check: "kernel", what: "It is 0", why: "it is to be 1" },
    actions: [
      { kind: "file", path: "/etc/sysctl.d/90.conf", text: "net.ipv4.ip_forward = 1\n" },
      { kind: "sysctl", name: "net.ipv4.ip_forward", value: "1" },
    ],
  },
  {
    ...{ check: "service", what: "It is not configured", why: "it must be" },
    actions: [
      { kind: "afterUndo", argv: ["restart"] },
      { kind: "file", path: "/etc/service", text: "new" },
      { kind: "run", argv: ["restart"] },
      { kind: "file", path: "/etc/fstab", text: "# UUID=3 none swap sw 0 0\n" },
    ],
  },
  {
    check: "person",
    what: "There is no configuration",
    why: "only a person has it",
    actions: [],
    advice: ["# write it"],
  },
];
const CHANGED = {
  "etc/fstab": "# UUID=3 none swap sw 0 0\n",
  "etc/service": "new",
  "etc/sysctl.d/90.conf": "net.ipv4.ip_forward = 1\n",
  "packages/curl": "installed",
  "packages/kubeadm": "installed",
  "proc/sys/net/ipv4/ip_forward": "1\n",
  service: "new",
};

/** Looks as a machine that mends nothing by itself: what was done is not found again. */
function finder(findings = FINDINGS): () => Promise<readonly SetupFinding[]> {
  let round = 0;
  return () => Promise.resolve(round++ === 0 ? findings : findings.filter(({ actions }) => actions.length === 0));
}

Deno.test("applySetup() mends what can be mended, and undoSetup() brings all of it back", async () => {
  await using machine = await Machine.create();
  const before = await machine.files();
  const left = await applySetup(machine.tools, finder());
  assert.deepEqual(left.map(({ check }) => check), ["person"]);
  assert.deepEqual(await machine.files(), CHANGED);
  assert.ok(machine.told.includes("apt-get install -y kubeadm"), machine.told.join("\n"));
  const record = join(machine.root, SETUP_FOLDER, "changes.json");
  assert.equal(((await Deno.stat(record)).mode ?? 0) & 0o777, 0o600);
  machine.told.length = 0;
  assert.ok(await undoSetup(machine.tools) > 0);
  assert.deepEqual(await machine.files(), before);
  // curl was there before, and stays.
  assert.ok(machine.told.includes("apt-get remove -y kubeadm") && !machine.told.join().includes("curl"));
  assert.equal(await undoSetup(machine.tools), 0);
});

Deno.test("applySetup() and undoSetup() that are killed at any step leave nothing that undoSetup() does not know", async () => {
  for (let step = 0, killed = true; killed; step++) {
    assert.ok(step < 40, "it never ends");
    await using machine = await Machine.create();
    const before = await machine.files();
    machine.left = step;
    killed = await applySetup(machine.tools, finder()).then(() => false, () => true);
    // The undo is killed once too, and goes on.
    machine.left = 1;
    await undoSetup(machine.tools).catch(() => {});
    machine.left = Infinity;
    await undoSetup(machine.tools);
    assert.deepEqual(await machine.files(), before, `killed at ${step}`);
  }
});

Deno.test("applySetup() that was interrupted goes on, and undoSetup() still knows what was there first", async () => {
  for (let step = 0, killed = true; killed; step++) {
    assert.ok(step < 40, "it never ends");
    await using machine = await Machine.create();
    const before = await machine.files();
    machine.left = step;
    killed = await applySetup(machine.tools, finder()).then(() => false, () => true);
    machine.left = Infinity;
    await applySetup(machine.tools, finder());
    assert.deepEqual(await machine.files(), CHANGED);
    await undoSetup(machine.tools);
    assert.deepEqual(await machine.files(), before, `killed at ${step}`);
  }
});

Deno.test("undoSetup() leaves what somebody has changed since, and says so", async () => {
  await using machine = await Machine.create();
  await applySetup(machine.tools, finder());
  await machine.write("etc/fstab", "UUID=9 /data ext4 defaults 0 2\n");
  await machine.write("proc/sys/net/ipv4/ip_forward", "2\n");
  await Deno.remove(join(machine.root, "packages/kubeadm"));
  machine.told.length = 0;
  await undoSetup(machine.tools);
  const files = await machine.files();
  assert.equal(files["etc/fstab"], "UUID=9 /data ext4 defaults 0 2\n");
  assert.equal(files["proc/sys/net/ipv4/ip_forward"], "2\n");
  assert.ok(machine.told.includes("# /etc/fstab was changed since, and is left as it is"), machine.told.join("\n"));
  assert.ok(!machine.told.join().includes("apt-get remove"));
});

Deno.test("applySetup() ends with the error of the program that fails", async () => {
  await using machine = await Machine.create();
  const [one] = FINDINGS;
  assert.ok(one);
  const failing = [{ ...one, actions: [{ kind: "run", argv: ["fails"] } as const] }];
  await assert.rejects(applySetup(machine.tools, finder(failing)), /fails ended with exit code 1: It does not work/);
});

Deno.test("applySetup() does not do the same again and again where that mends nothing", async () => {
  await using machine = await Machine.create();
  const left = await applySetup(machine.tools, () => Promise.resolve(FINDINGS.slice(0, 1)));
  assert.deepEqual(left.map(({ check }) => check), ["program"]);
  assert.equal(machine.told.filter((line) => line.includes("kubeadm")).length, 1);
});

Deno.test("parseSetupRecord() reads what was written, and refuses all else by name", () => {
  const good = {
    version: 1,
    changes: [
      { kind: "file", path: "/etc/fstab", written: "ab".repeat(32), before: base64(utf8("x")), mode: 0o644 },
      { kind: "packages", names: ["kubeadm"] },
      { kind: "sysctl", name: "net.ipv4.ip_forward", value: "1", before: "0" },
      { kind: "run", undo: ["swapon", "/dev/sda3"] },
    ],
  };
  const bytes = utf8(JSON.stringify(good));
  assert.deepEqual(parseSetupRecord(bytes, "FILE"), good);
  const bad = [
    "",
    "{",
    "{}",
    '{"version":2,"changes":[]}',
    JSON.stringify({ ...good, more: 1 }),
    JSON.stringify(good).replace("/etc/fstab", "").replace('"written":"ab', '"written":"zz'),
    JSON.stringify({ version: 1, changes: [{ kind: "run", undo: [] }] }),
  ];
  for (const text of bad) {
    assert.throws(() => parseSetupRecord(utf8(text), "FILE"), (error) => {
      return error instanceof BootstrapError && error.code === "malformed/setup-record" && /FILE/.test(error.message);
    });
  }
  for (let index = 0; index < bytes.length; index++) {
    const flipped = bytes.slice();
    flipped[index] = (flipped[index] ?? 0) ^ 0x10;
    try {
      parseSetupRecord(flipped, "FILE");
    } catch (error) {
      assert.ok(error instanceof BootstrapError && error.code === "malformed/setup-record", String(error));
    }
  }
});
