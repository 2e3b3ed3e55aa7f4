import { basename, join } from "node:path";

/** What a command in the machine wrote, and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Mounts the machine's root and its `/proc` as `$2/merged`, in namespaces that end with the command. `$1` is the Debian that
 * stays as it is; what changes is in `$2/upper`.
 */
const MOUNT = `mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/merged"
  mount -t proc proc "$2/merged/proc"`;

/**
 * A plain Debian of its own, in which commands run as root with processes of their own. systemd does not run in it, as in
 * an image that is being built.
 */
export class DebianMachine implements AsyncDisposable {
  private constructor(readonly original: string, readonly folder: string) {}

  /** @param original the Debian's root, which nobody changes */
  static async create(original: string): Promise<DebianMachine> {
    const folder = await Deno.makeTempDir({ prefix: "bootstrapper-debian-" });
    for (const name of ["upper", "work", "merged"]) await Deno.mkdir(join(folder, name), { mode: 0o755 });
    return new DebianMachine(original, folder);
  }

  /** Runs a shell script in the machine. */
  sh(script: string): Promise<Outcome> {
    return this.#inNamespaces(`${MOUNT}; exec chroot "$2/merged" /bin/sh -euc "$3"`, script);
  }

  /** Runs a shell script of this machine, in which `$root` is the root of the other. */
  from(script: string): Promise<Outcome> {
    return this.#inNamespaces(`${MOUNT}; root="$2/merged"; eval "$3"`, script);
  }

  async #inNamespaces(outer: string, script: string): Promise<Outcome> {
    const isolated = ["--mount", "--pid", "--fork", "--kill-child"];
    const output = await new Deno.Command("unshare", {
      args: [...isolated, "/bin/sh", "-euc", outer, "sh", this.original, this.folder, script],
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
      clearEnv: true,
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
  }

  /** Reads a file that was written in the machine. */
  read(path: string): Promise<string> {
    return Deno.readTextFile(join(this.folder, "upper", path));
  }

  /**
   * Runs a shell script, and returns all that it printed.
   *
   * @throws Error with its output if it fails.
   */
  async does(script: string): Promise<string> {
    const { code, stdout, stderr } = await this.sh(script);
    if (code !== 0) throw new Error(`"${script}" failed (exit code ${code}):\n${stdout}${stderr}`);
    return stdout + stderr;
  }

  /** Copies files of this machine into the folder `/packages`. */
  async take(...files: readonly string[]): Promise<void> {
    const packages = join(this.folder, "upper/packages");
    await Deno.mkdir(packages, { recursive: true });
    for (const file of files) await Deno.copyFile(file, join(packages, basename(file)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
