/**
 * A real name server (CoreDNS) in namespaces of its own, whose answers change, and a program that asks it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Holder } from "../_world_process.ts";
import { inside, startHolder } from "../_world_process.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";

const PATIENCE_MS = 90_000;
const ORIGIN = "example.internal";

/** Lines of a process, as they come. */
async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** The name server, which is not started yet, and the lines of the program. */
export class NameServer implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #folder: string;
  readonly #coredns: string;
  readonly #holder: Holder;
  readonly #lines: AsyncGenerator<string>;
  readonly #program: Deno.ChildProcess;
  readonly #seen: string[] = [];
  #serial = 1;
  #server: Deno.ChildProcess | undefined;

  private constructor(
    parts: Readonly<{ folder: string; coredns: string; holder: Holder; program: string[] }>,
    stack: AsyncDisposableStack,
  ) {
    this.#folder = parts.folder;
    this.#coredns = parts.coredns;
    this.#holder = parts.holder;
    this.#stack = stack;
    this.#program = this.#spawn(parts.program, "piped");
    this.#lines = linesOf(this.#program.stdout);
  }

  /** Starts the program, without a name server. */
  static async create(program: readonly string[]): Promise<NameServer> {
    const { dir } = await prepareBinaries();
    await using stack = new AsyncDisposableStack();
    const folder = await Deno.makeTempDir({ prefix: "dns-" });
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
    await write("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    await write("nsswitch.conf", "hosts: files dns\n");
    const zone = `file ${join(folder, "zone")} ${ORIGIN} {\n    reload 200ms\n  }`;
    await write("Corefile", `.:53 {\n  bind 127.0.0.1\n  ${zone}\n}\n`);
    const holder = stack.use(await startHolder(["--mount", "--net", "--uts"]));
    const mounts = ["resolv.conf", "nsswitch.conf"].map((name) => `mount --bind ${join(folder, name)} /etc/${name}`);
    const [command, ...args] = inside(holder, ["sh", "-ec", ["ip link set lo up", ...mounts].join("\n")]);
    const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const parts = { folder, coredns: join(dir, "coredns"), holder, program: [...program] };
    const server = new NameServer(parts, stack.move());
    await server.answer([]);
    return server;
  }

  /** Answers with these records from now on, each as `NAME TYPE DATA`, the name below `example.internal`. */
  async answer(records: readonly string[]): Promise<void> {
    const path = join(this.#folder, "zone");
    const lines = [`$ORIGIN ${ORIGIN}.`, `@ 1 IN SOA ns a ${this.#serial++} 60 60 60 1`];
    lines.push(...records.map((record) => record.replace(" ", " 1 IN ")));
    // The file is replaced at once: half a zone is no answer.
    await Deno.writeTextFile(`${path}.new`, `${lines.join("\n")}\n`);
    await Deno.rename(`${path}.new`, path);
  }

  /** Starts the name server. */
  start(): void {
    const pid = join(this.#folder, "pid");
    const serve = `exec ${this.#coredns} -conf ${join(this.#folder, "Corefile")}`;
    // Its process ID is that of the namespace: nsenter stands between.
    this.#server = this.#spawn(["sh", "-c", `echo $$ > ${pid}; ${serve}`], "null");
  }

  /** Kills the name server. */
  async kill(): Promise<void> {
    await this.#signal("KILL");
    await this.#server?.status;
    this.#server = undefined;
  }

  /** Lets the name server answer nothing until {@linkcode resume}. */
  suspend(): Promise<void> {
    return this.#signal("STOP");
  }

  /** Lets the name server answer what it was asked meanwhile. */
  async resume(): Promise<void> {
    await this.#signal("CONT");
    // nsenter stops with its child.
    this.#server?.kill("SIGCONT");
  }

  /** Returns the program's first line from now on that fits. */
  async until(isIt: (line: string) => boolean, what: string): Promise<string> {
    // With the holder, the program ends, and so do its lines.
    const late = setTimeout(() => this.#holder[Symbol.asyncDispose](), PATIENCE_MS);
    for (;;) {
      const { done, value = "" } = await this.#lines.next();
      if (done) assert.fail(`not ${what} in time: ${this.#seen.join("\n")}`);
      this.#seen.push(value);
      if (!isIt(value)) continue;
      clearTimeout(late);
      return value;
    }
  }

  /** All lines that the program has printed, as far as they were waited for. */
  get seen(): readonly string[] {
    return this.#seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With the holder, all processes of its namespaces end.
    await this.#stack.disposeAsync();
    await this.#program.status;
    await this.#server?.status;
  }

  #spawn(argv: readonly string[], stdout: "piped" | "null"): Deno.ChildProcess {
    const [command, ...args] = inside(this.#holder, argv);
    return new Deno.Command(command, { args, stdin: "null", stdout, stderr: "null" }).spawn();
  }

  async #signal(name: string): Promise<void> {
    const pid = (await Deno.readTextFile(join(this.#folder, "pid"))).trim();
    const [command, ...args] = inside(this.#holder, ["kill", `-${name}`, pid]);
    const { success } = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output();
    assert.ok(success, `the name server could not be sent ${name}`);
  }
}
