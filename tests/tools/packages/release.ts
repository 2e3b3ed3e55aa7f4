import { join } from "node:path";
import project from "../../../deno.json" with { type: "json" };
import { capture } from "../run.ts";

/** What a package says of the sources that it was made from. */
export interface Release {
  /**
   * The version of the packages, in the form that dpkg and rpm share. A commit without a tag is older than its release:
   * `0.1.0~git20261201062200.e044cd846aac` comes before `0.1.0`.
   */
  readonly version: string;
  /** The commit's hash, with `-dirty` at its end if files differ from it: what `bootstrapper version` prints. */
  readonly commit: string;
  /** The commit's date, in seconds since 1970: the date of all files in the packages (`SOURCE_DATE_EPOCH`). */
  readonly epochSeconds: number;
}

/** What git knows of a checkout. */
export interface Checkout {
  readonly commit: string;
  readonly epochSeconds: number;
  /** The tags of the commit. */
  readonly tags: readonly string[];
  /** Whether a file differs from the commit, or is not in it. */
  readonly isDirty: boolean;
}

const SHORT_HASH = 12;
const repository = join(import.meta.dirname ?? ".", "../../..");

/** The release of the checkout that this file is in. Its version comes from `deno.json`, the rest from git. */
export async function currentRelease(): Promise<Release> {
  const git = (...args: readonly string[]) => capture(["git", "-C", repository, ...args]);
  const [commit = "", seconds = ""] = (await git("show", "--no-patch", "--format=%H %ct", "HEAD")).split(" ");
  const tags = (await git("tag", "--points-at", "HEAD")).split("\n");
  const isDirty = (await git("status", "--porcelain")) !== "";
  return releaseOf(project.version, { commit, epochSeconds: Number(seconds), tags, isDirty });
}

/**
 * Names the release of a checkout.
 *
 * @param program The program's version, as `0.1.0`.
 */
export function releaseOf(program: string, { commit, epochSeconds, tags, isDirty }: Checkout): Release {
  if (!isDirty && tags.includes(`v${program}`)) return { version: program, commit, epochSeconds };
  const date = new Date(epochSeconds * 1000).toISOString().slice(0, 19).replaceAll(/[-:T]/g, "");
  const dirty = isDirty ? ".dirty" : "";
  return {
    version: `${program}~git${date}.${commit.slice(0, SHORT_HASH)}${dirty}`,
    commit: isDirty ? `${commit}-dirty` : commit,
    epochSeconds,
  };
}
