/**
 * The container images on this machine.
 *
 * @module
 */
import * as v from "valibot";
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { CRI_SOCKET } from "./documents.ts";

const imagesSchema = v.object({
  images: v.array(v.object({ repoTags: v.optional(v.array(v.string()), []) })),
});

/**
 * Those of the `required` images that containerd does not have, in the same order. An image that is missing would have to
 * be fetched, and what is fetched was not measured.
 *
 * @throws {BootstrapError} `system/command` if crictl fails, `malformed/crictl` if its answer is not understood.
 */
export async function missingImages(
  commands: CommandRunner,
  required: readonly string[],
  deadlineMs: number,
): Promise<string[]> {
  const argv = [
    "crictl",
    "--runtime-endpoint",
    CRI_SOCKET,
    "--image-endpoint",
    CRI_SOCKET,
    "images",
    "--output",
    "json",
  ] as const;
  const present = new Set(tagsOf(await runOrThrow(commands, argv, { deadlineMs })));
  return required.filter((image) => !present.has(image));
}

function tagsOf(text: string): string[] {
  try {
    return v.parse(imagesSchema, JSON.parse(text)).images.flatMap(({ repoTags }) => repoTags);
  } catch (cause) {
    throw new BootstrapError("malformed/crictl", "Cannot read crictl's list of images", { cause });
  }
}
