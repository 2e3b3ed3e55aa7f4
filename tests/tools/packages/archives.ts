import { run } from "../run.ts";

/**
 * Writes a tar file of members of a folder. The same content gives the same bytes: all belongs to root, and has one date.
 *
 * @param epochSeconds the date of all members, in seconds since 1970
 */
export async function tarFile(
  file: string,
  folder: string,
  members: readonly string[],
  epochSeconds: number,
  log: string,
): Promise<void> {
  const fixed = [
    "--sort=name",
    "--format=gnu",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    `--mtime=@${epochSeconds}`,
  ];
  await run(["tar", ...fixed, "-C", folder, "-cf", file, ...members], { log });
}

/** Compresses a file to `FILE.gz`, in which neither its name nor its date is, and removes it. */
export async function gzipFile(file: string, log: string): Promise<string> {
  await run(["gzip", "--no-name", "--force", file], { log });
  return `${file}.gz`;
}
