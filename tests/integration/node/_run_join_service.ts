import { repositoryRoot } from "../../world.ts";
import { BOOTSTRAPPER } from "./run_process.ts";

/** The delay before a restart in seconds, which the unit sets as `RestartSec`; it is shorter here. */
const RESTART_SECONDS = 1;
const CREDENTIALS = "/run/credentials/bootstrapper-join-service.service";

/**
 * The join service as its unit starts it. It needs a state folder, receives a copy of each credential that the unit
 * names, and is started again when a credential is missing or the service ends.
 */
export const JOIN_SERVICE_PROGRAM: readonly string[] = ["sh", "-uc", joinServiceScript(), "sh", ...BOOTSTRAPPER];

function joinServiceScript(): string {
  const unit = Deno.readTextFileSync(`${repositoryRoot}/deploy/bootstrapper-join-service.service`);
  const copies = [...unit.matchAll(/^LoadCredential=([^:\n]+):(.+)$/gm)].map(([, name, path]) =>
    `cp "${path}" "${CREDENTIALS}/${name}"`
  );
  const [, condition] = /^ConditionPathExists=(.+)$/m.exec(unit) ?? [];
  if (copies.length === 0 || condition === undefined) throw new Error("The join service's unit has another form");
  return [
    `[ -e "${condition}" ] || exit 0`,
    `export CREDENTIALS_DIRECTORY="${CREDENTIALS}"`,
    "while :; do",
    `rm -rf "${CREDENTIALS}"; mkdir -p -m 700 "${CREDENTIALS}"`,
    `{ ${copies.join(" && ")}; } && "$@" join-service`,
    `sleep ${RESTART_SECONDS}`,
    "done",
  ].join("\n");
}
