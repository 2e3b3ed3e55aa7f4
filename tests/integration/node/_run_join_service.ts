import { repositoryRoot } from "../../world.ts";
import { BOOTSTRAPPER, PROVER } from "./run_process.ts";

/** The delay before a restart in seconds, which the unit sets as `RestartSec`; it is shorter here. */
const RESTART_SECONDS = 1;
const CREDENTIALS = "/run/credentials/bootstrapper-join-signer.service";

/**
 * The processes of a join service as their units start them, by the units' names. Each needs a state folder, and is
 * started again when it ends. The signer receives a copy of each credential that its unit names, and the folder of its
 * socket.
 */
export const JOIN_SERVICE_PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "bootstrapper-join-signer": program("signer"),
  "bootstrapper-join-front": program("front"),
};

/**
 * The third process of a join service, which makes evidence with the software TPM of that socket. It may run where the
 * others do not: the file that its unit asks for says so.
 */
export function proverProgram(tpm: string): Readonly<Record<string, readonly string[]>> {
  return { "bootstrapper-join-prover": program("prover", [...PROVER, JSON.stringify({ tpm })]) };
}

function program(
  part: "signer" | "front" | "prover",
  argv: readonly string[] = [...BOOTSTRAPPER, "join-service", part],
): readonly string[] {
  const unit = Deno.readTextFileSync(`${repositoryRoot}/deploy/bootstrapper-join-${part}.service`);
  const copies = [...unit.matchAll(/^LoadCredential=([^:\n]+):(.+)$/gm)].map(([, name, path]) =>
    `cp "${path}" "${CREDENTIALS}/${name}"`
  );
  const [, condition] = /^ConditionPathExists=(.+)$/m.exec(unit) ?? [];
  if (condition === undefined || (copies.length > 0) !== (part === "signer")) {
    throw new Error("The join service's units have another form");
  }
  const [, folder] = /^RuntimeDirectory=(.+)$/m.exec(unit) ?? [];
  const prepare = [
    ...(folder === undefined ? [] : [`mkdir -p -m 750 /run/${folder}`]),
    ...(copies.length === 0 ? [] : [
      "mkdir -p -m 755 /etc/kubernetes/bootstrapper",
      `rm -rf "${CREDENTIALS}"`,
      `mkdir -p -m 700 "${CREDENTIALS}"`,
      ...copies,
    ]),
  ];
  const script = [
    `[ -e "${condition}" ] || exit 0`,
    ...(copies.length === 0 ? [] : [`export CREDENTIALS_DIRECTORY="${CREDENTIALS}"`]),
    "while :; do",
    [...prepare, '"$@"'].join(" && "),
    `sleep ${RESTART_SECONDS}`,
    "done",
  ].join("\n");
  return ["sh", "-uc", script, "sh", ...argv];
}
