/**
 * `bootstrapper join-service prover` with the software TPM of a socket. The only argument is `{"tpm": PATH}`.
 *
 * @module
 */
import * as v from "valibot";
import { connectTpmSocket } from "../../../attestation/kinds/tpm/testing/socket_transport.ts";
import { joinProver } from "../../../cli/commands/join_service_prover.ts";
import { runProgram } from "../../../cli/program.ts";
import { createSystemContext } from "../../../cli/system_context.ts";

const CONFIGURATION = "/etc/bootstrapper/config.yaml";
const optionsSchema = v.strictObject({ tpm: v.string() });

if (import.meta.main) {
  const { tpm } = v.parse(optionsSchema, JSON.parse(Deno.args[0] ?? ""));
  const system = createSystemContext();
  const context = {
    ...system,
    openTpm: () => connectTpmSocket({ path: tpm }),
    paths: { ...system.paths, tpmDevice: tpm },
  };
  Deno.exit(await runProgram(["join-service", "prover", "--config", CONFIGURATION], context, [joinProver]));
}
