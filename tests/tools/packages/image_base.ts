import { join } from "node:path";
import { digestOfFile } from "../digest.ts";
import { capture, run } from "../run.ts";
import type { Store } from "../store.ts";
import type { DebianPart } from "./sbom.ts";

/** The root file system below the program in the container image. */
export interface ImageBase {
  /** The folder that is its root. */
  readonly root: string;
  /** The file that lists the Debian packages that it was made from. */
  readonly parts: string;
}

/** The libraries that the program needs, and the file `/etc/os-release`, by which scanners know whose they are. */
const packages = ["base-files", "libc6", "libgcc-s1"];
const leftOut = ["usr/share/info", "usr/share/lintian", "usr/share/locale", "usr/share/man", "usr/share/bug"];
/** A container has no other users. */
const etc: Readonly<Record<string, string>> = {
  group: "root:x:0:\noperator:x:65532:\n",
  "nsswitch.conf": "hosts: files dns\n",
  passwd: "root:x:0:0::/root:/usr/sbin/nologin\noperator:x:65532:65532::/work:/usr/sbin/nologin\n",
};

/**
 * Makes the root file system from packages of the Debian that runs here, in the versions that its apt knows. It needs
 * neither root nor an installation.
 */
export async function imageBase(store: Store): Promise<ImageBase> {
  const recipe = { packages, leftOut, etc, system: await Deno.readTextFile("/etc/os-release") };
  const folder = await store.cached("image-base", recipe, async ({ folder, log, turn }) => {
    const archives = join(folder, "archives");
    const root = join(folder, "root");
    for (const path of [archives, root]) await Deno.mkdir(path);
    // apt would give up root for a user who cannot write here.
    await run(["apt-get", "-o", "APT::Sandbox::User=root", "download", ...packages], { log, cwd: archives });
    await turn("one-core", async () => {
      for (const { name } of Deno.readDirSync(archives)) {
        await run(["dpkg-deb", "--extract", join(archives, name), root], { log });
      }
    });
    await run(["rm", "-rf", ...leftOut.map((path) => join(root, path))], { log });
    for (const [name, text] of Object.entries(etc)) await Deno.writeTextFile(join(root, "etc", name), text);
    await run(["mkdir", "-p", "-m", "0777", join(root, "work")], { log });
    await run(["chmod", "-R", "u=rwX,go=rX", root, ...Object.keys(etc).map((name) => join(root, "etc", name))], {
      log,
    });
    const parts = Array.from(Deno.readDirSync(archives)).map(({ name }) => describe(join(archives, name)));
    await Deno.writeTextFile(join(folder, "parts.json"), JSON.stringify(await Promise.all(parts)));
    await Deno.remove(archives, { recursive: true });
  });
  return { root: join(folder, "root"), parts: join(folder, "parts.json") };
}

async function describe(archive: string): Promise<DebianPart> {
  const form = "${Package} ${Version} ${Architecture}";
  const text = await capture(["dpkg-deb", "--show", `--showformat=${form}`, archive]);
  const [name = "", version = "", architecture = ""] = text.split(" ");
  return { name, version, architecture, sha256: await digestOfFile(archive) };
}

/**
 * Reads the list of an {@linkcode ImageBase}, sorted by name.
 *
 * @throws Error if it is no such list.
 */
export async function readParts(file: string): Promise<DebianPart[]> {
  const parts: unknown = JSON.parse(await Deno.readTextFile(file));
  if (!Array.isArray(parts) || !parts.every(isPart)) throw new Error(`Cannot read the packages in "${file}"`);
  return parts.toSorted((a, b) => a.name < b.name ? -1 : 1);
}

function isPart(value: unknown): value is DebianPart {
  return typeof value === "object" && value !== null &&
    ["name", "version", "architecture", "sha256"].every((key) => typeof Reflect.get(value, key) === "string");
}
