/**
 * The image of containerd's sandboxes, the "pause" image.
 *
 * @module
 */
import type { CommandRunner } from "../platform/command.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { asBootstrapError } from "../platform/errors.ts";
import { missingImages } from "./images.ts";

/**
 * The key of the image in containerd's configuration: `sandbox_image` in versions 1 and 2 of its form, `sandbox` in
 * `pinned_images` of version 3 (`internal/cri/config`). Strings have either kind of quotes.
 */
const SANDBOX = /^[ \t]*(?:sandbox_image|sandbox)[ \t]*=[ \t]*(?:'([^'\n]*)'|"([^"\\\n]*)")[ \t]*$/m;

/** What crictl fails with where it is missing, or cannot be asked. */
const UNKNOWN: readonly AnyErrorCode[] = ["system/command", "timeout/command", "malformed/crictl"];

/** Finds the sandbox image in the output of `containerd config dump`. */
export function parseSandboxImage(configuration: string): string | undefined {
  const [, single, double] = SANDBOX.exec(configuration) ?? [];
  const image = single ?? double;
  return image === "" ? undefined : image;
}

/**
 * Checks that containerd has the image of its own sandboxes. It may be another one than kubeadm's, and it is in no list
 * of kubeadm's: without it no Pod starts, as no image is fetched.
 *
 * @returns A sentence if the image is missing. Nothing if that is not known: a worker needs no crictl, and containerd may
 *   not tell its configuration.
 */
export async function sandboxImageProblems(commands: CommandRunner, deadlineMs: number): Promise<readonly string[]> {
  const dumped = await commands.run(["containerd", "config", "dump"], { deadlineMs }).catch(() => undefined);
  const image = dumped?.code === 0 ? parseSandboxImage(dumped.stdout) : undefined;
  if (image === undefined) return [];
  const missing = await missingImages(commands, [image], deadlineMs).catch((cause: unknown) => {
    if (UNKNOWN.includes(asBootstrapError(cause).code)) return [];
    throw cause;
  });
  return missing.map(() =>
    `containerd starts each Pod with the image ${image}, which is not on this machine: name the pause image that is there ` +
    "in containerd's configuration (pinned_images.sandbox, or sandbox_image)"
  );
}
