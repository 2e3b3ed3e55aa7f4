import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { digestOfFile } from "./digest.ts";
import { run } from "./run.ts";

/** What is in a container image. */
export interface ImageContent {
  /** The full name by which Pods request the image. */
  readonly reference: string;
  /** The files of this machine, by their paths in the image. All may be executed. */
  readonly files: Readonly<Record<string, string>>;
  /** Programs of the VM's Debian that the image contains, by their paths there, with the libraries they need. */
  readonly debianPrograms?: readonly string[];
  readonly entrypoint?: readonly string[];
}

/** The programs that manage the firewall's rules, for {@linkcode ImageContent.debianPrograms}. */
export const IPTABLES: readonly string[] = ["iptables", "ip6tables"]
  .flatMap((name) => [name, `${name}-save`, `${name}-restore`])
  .map((name) => `/usr/sbin/${name}`);

const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Writes a container image as a docker-archive with one uncompressed layer. The same content gives the same bytes.
 *
 * @param archive the file to write
 * @param debian the folder that `debianTree` returns
 * @param log the file for the commands' output
 */
export async function imageArchive(archive: string, image: ImageContent, debian: string, log: string): Promise<void> {
  const { reference, files, debianPrograms = [], entrypoint } = image;
  const work = await Deno.makeTempDir({ prefix: "bootstrapper-image-" });
  try {
    const root = join(work, "root");
    await run(["mkdir", "-p", "-m", "0755", root, join(root, "etc")], { log });
    await run(["mkdir", "-m", "1777", join(root, "tmp")], { log });
    if (debianPrograms.length > 0) await addDebianPrograms(debianPrograms, debian, root, log);
    for (const [path, source] of Object.entries(files)) {
      await run(["mkdir", "-p", "-m", "0755", join(root, dirname(path))], { log });
      await run(["cp", source, join(root, path)], { log });
    }
    const layer = join(work, "layer.tar");
    await tar(layer, root, ["."], log);
    const config = {
      architecture: "amd64",
      os: "linux",
      config: { Env: [`PATH=${imagePath}`], ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }) },
      rootfs: { type: "layers", diff_ids: [`sha256:${await digestOfFile(layer)}`] },
    };
    const text = JSON.stringify(config);
    const configName = `${createHash("sha256").update(text).digest("hex")}.json`;
    await Deno.writeTextFile(join(work, configName), text);
    const manifest = [{ Config: configName, RepoTags: [reference], Layers: ["layer.tar"] }];
    await Deno.writeTextFile(join(work, "manifest.json"), JSON.stringify(manifest));
    await tar(archive, work, ["manifest.json", configName, "layer.tar"], log);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Copies programs with their libraries, and the modules that iptables loads at run time. */
async function addDebianPrograms(
  programs: readonly string[],
  debian: string,
  root: string,
  log: string,
): Promise<void> {
  await run(["mkdir", "-p", ...["bin", "sbin", "lib", "lib64"].map((name) => join(root, "usr", name))], { log });
  for (const name of ["bin", "sbin", "lib", "lib64"]) await Deno.symlink(`usr/${name}`, join(root, name));
  const script = `
    files=$(
      for program; do echo "$program"; ldd "$program" | grep -o '/[^ ]*'; done
      find /usr/lib/x86_64-linux-gnu/xtables -name '*.so'
    )
    echo "$files" | sort -u | sed 's/^/./' | tar -C / -c --dereference --hard-dereference -T - -f -`;
  const copy = `chroot "$1" sh -euc "$3" sh $4 | tar -C "$2" -x`;
  await run(["sh", "-euc", copy, "sh", debian, root, script, programs.join(" ")], { log });
}

async function tar(file: string, folder: string, members: readonly string[], log: string): Promise<void> {
  const owner = ["--owner=0", "--group=0", "--numeric-owner"];
  const fixed = ["--sort=name", "--mtime=@0", "--format=gnu", ...owner];
  await run(["tar", ...fixed, "-C", folder, "-cf", file, ...members], { log });
}
