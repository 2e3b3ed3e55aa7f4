import { repositoryRoot } from "../../world.ts";
import { BOOTSTRAPPER } from "./run_process.ts";

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

function program(part: "signer" | "front"): readonly string[] {
  const unit = Deno.readTextFileSync(`${repositoryRoot}/deploy/bootstrapper-join-${part}.service`);
  const copies = [...unit.matchAll(/^LoadCredential=([^:\n]+):(.+)$/gm)].map(([, name, path]) =>
    `cp "${path}" "${CREDENTIALS}/${name}"`
  );
  const [, condition] = /^ConditionPathExists=(.+)$/m.exec(unit) ?? [];
  if (condition === undefined || (copies.length === 0) !== (part === "front")) {
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
    [...prepare, `"$@" join-service ${part}`].join(" && "),
    `sleep ${RESTART_SECONDS}`,
    "done",
  ].join("\n");
  return ["sh", "-uc", script, "sh", ...BOOTSTRAPPER];
}
