import { join } from "node:path";
import { debianArchive, debianPackages } from "./debian_packages.ts";
import { run } from "./run.ts";
import { BuildStore, type Store } from "./store.ts";

/** The tools and the newest stubs. Their programs run in their own tree, by its own libraries. */
const suite = "trixie";
const packages = ["systemd", "systemd-boot-efi", "systemd-ukify"];
const efiFolder = "usr/lib/systemd/boot/efi";
const shimFolder = "usr/lib/shim";
const leftOut = ["/usr/share/*"];
/** Links that a merged /usr needs; packages that are only extracted do not make them. */
const merged = ["bin", "lib", "lib64", "sbin"];

/** The programs of one version of systemd for one architecture. Those of version 257 have a shim beside them. */
export interface EfiPrograms {
  /** The major version of systemd. */
  readonly version: number;
  readonly architecture: "amd64" | "arm64";
}

interface EfiSource extends EfiPrograms {
  readonly suite: string;
  readonly packages: readonly string[];
  /** The suites of the packages, if one of them is not in the suite's own sources. */
  readonly from: readonly string[];
}

const efiPackage = "systemd-boot-efi";
const efiSources: readonly EfiSource[] = (["amd64", "arm64"] as const).flatMap((architecture): EfiSource[] => [
  { version: 252, architecture, suite: "bookworm", packages: [efiPackage], from: [] },
  {
    ...{ version: 254, architecture, suite: "bookworm" },
    packages: [`${efiPackage}/bookworm-backports`],
    from: ["bookworm", "bookworm-backports"],
  },
  { version: 257, architecture, suite, packages: [efiPackage, "shim-unsigned"], from: [] },
]);

/** What {@linkcode ukiTools} returns. */
export interface UkiTools {
  /** The tree of the tools. */
  readonly root: string;
  /** The stubs that there are. */
  readonly programs: readonly EfiPrograms[];
  /** The folder of a version's programs, within the tree. */
  folderOf(programs: EfiPrograms): string;
  /** Runs `ukify` in the tree. Paths in its arguments are those of the tree. */
  ukify(...args: readonly string[]): readonly [string, ...string[]];
  /** Runs `systemd-measure` in the tree. Paths in its arguments are those of the tree. */
  measure(...args: readonly string[]): readonly [string, ...string[]];
}

/**
 * Extracts Debian's ukify and systemd-measure, and the EFI programs of three versions of systemd for two architectures,
 * into a tree of their own. Nothing is installed on this machine. Needs root.
 */
export async function ukiTools(store: Store = new BuildStore()): Promise<UkiTools> {
  const recipe = { suite, packages, leftOut, efiSources: efiSources.map((source) => ({ ...source })) };
  const folder = await store.cached("uki-tools", recipe, async (to) => {
    await debianPackages(["mmdebstrap"]);
    const root = join(to.folder, "root");
    await to.turn("one-core", async () => {
      await extract(root, "amd64", suite, packages, [], to.log);
      for (const name of merged) await Deno.symlink(`usr/${name}`, join(root, name));
      await Deno.mkdir(join(root, "efi"));
      const archive = await debianArchive();
      for (const source of efiSources) {
        const tree = join(to.folder, "tree");
        const sources = source.from.map((name) => `deb ${archive} ${name} main`);
        await extract(tree, source.architecture, source.suite, source.packages, sources, to.log);
        await Deno.rename(join(tree, efiFolder), join(root, folderOf(source)));
        await addShim(join(tree, shimFolder), join(root, folderOf(source)));
        await Deno.remove(tree, { recursive: true });
      }
      await Deno.chmod(root, 0o755);
    });
  });
  const root = join(folder, "root");
  return {
    root,
    programs: efiSources.map(({ version, architecture }) => ({ version, architecture })),
    folderOf,
    ukify: (...args) => ["chroot", root, "/usr/bin/python3", "/usr/lib/systemd/ukify", ...args],
    measure: (...args) => ["chroot", root, "/usr/lib/systemd/systemd-measure", ...args],
  };
}

function folderOf({ version, architecture }: EfiPrograms): string {
  return `/efi/${version}-${architecture}`;
}

/** Moves the shim, if there is one, to the other programs. */
async function addShim(from: string, to: string): Promise<void> {
  try {
    for await (const { name } of Deno.readDir(from)) {
      if (/^shim\w+\.efi$/.test(name)) await Deno.rename(join(from, name), join(to, name));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function extract(
  to: string,
  architecture: string,
  from: string,
  names: readonly string[],
  sources: readonly string[],
  log: string,
): Promise<void> {
  const options = [
    "--mode=root",
    "--variant=extract",
    `--architectures=${architecture}`,
    `--include=${names.join(",")}`,
  ];
  const excludes = leftOut.map((pattern) => `--dpkgopt=path-exclude=${pattern}`);
  // Mounts and processes of a killed run end with the namespaces.
  const isolated = ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child"] as const;
  await run([...isolated, "mmdebstrap", ...options, ...excludes, from, to, ...sources], { log });
}
