/**
 * The version of kubeadm on this machine.
 *
 * @module
 */
import { type CommandRunner, runOrThrow } from "../platform/command.ts";
import { SECOND_MS } from "../platform/duration.ts";
import { readVersion } from "./version.ts";

const DEADLINE_MS = 30 * SECOND_MS;

/**
 * Returns the version of this machine's kubeadm, such as `v1.36.3`.
 *
 * @throws {BootstrapError} `system/command` if there is none, `timeout/command`, `malformed/kubernetes-version`.
 */
export async function kubeadmVersion(commands: CommandRunner): Promise<string> {
  const text = (await runOrThrow(commands, ["kubeadm", "version", "--output=short"], { deadlineMs: DEADLINE_MS }))
    .trim();
  readVersion(text);
  return text;
}
