/**
 * The container images on this machine.
 *
 * @module
 */
import * as v from "valibot";
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { BootstrapError } from "../platform/errors.ts";
import { readJson } from "../platform/json.ts";
import { CRI_SOCKET } from "./documents.ts";
import { imageName } from "./image_name.ts";

/** The most that is kept of a program's output. */
const MAXIMUM_LIST_BYTES = 1 << 20;

const imagesSchema = v.object({
  images: v.array(v.object({
    id: v.optional(v.string(), ""),
    repoTags: v.optional(v.array(v.string()), []),
    repoDigests: v.optional(v.array(v.string()), []),
  })),
});

/**
 * Returns those of the `required` images that containerd does not have, in the same order. A missing image would have
 * to be fetched, and a fetched image was not measured. Names are compared in their full form, and an ID is one too.
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
  const present = new Set(namesOf(await runOrThrow(commands, argv, { deadlineMs })));
  return required.filter((image) => !present.has(image) && !present.has(imageName(image)));
}

function namesOf(text: string): string[] {
  const { images } = readJson(text, {
    schema: imagesSchema,
    maximumBytes: MAXIMUM_LIST_BYTES,
    error: (reason, _key, cause) =>
      new BootstrapError("malformed/crictl", `Cannot read crictl's list of images: ${reason}`, { cause }),
  });
  return images.flatMap(({ id, repoTags, repoDigests }) => [id, ...[...repoTags, ...repoDigests].map(imageName)]);
}
