/**
 * Prints what this machine is by its own name, addresses and routes, and the failed checks, as JSON.
 *
 * @module
 */
import { openMachine } from "../../../cli/machine.ts";
import { createSystemContext } from "../../../cli/system_context.ts";
import { resolveNodeSelf } from "../../../node/configuration_defaults.ts";
import { nodeNetworks } from "../../../node/own_address.ts";
import { nodePaths } from "../../../node/paths.ts";
import { failedChecks, nodeChecks } from "../../../node/preflight.ts";
import { utf8 } from "../../../platform/bytes.ts";
import { systemClock } from "../../../platform/clock.ts";
import { systemCommands } from "../../../platform/command.ts";
import { asBootstrapError } from "../../../platform/errors.ts";
import { present } from "../../../platform/present.ts";

const [addressFrom] = Deno.args;
const { facts } = await openMachine(createSystemContext());
const checks = nodeChecks({
  ...{ paths: nodePaths(), clock: systemClock, commands: systemCommands },
  ...{ unmeasured: [], allowUnmeasuredImage: true, ports: [] },
});
const failed = (await failedChecks(checks)).filter(({ check }) => check === "swap");
try {
  const { name, address } = resolveNodeSelf(
    { node: { role: "worker", ...present("addressFrom", addressFrom) } },
    facts,
  );
  print({ name, address, networks: nodeNetworks(facts, address), failed });
} catch (error) {
  print({ code: asBootstrapError(error).code, failed });
}

function print(found: Readonly<Record<string, unknown>>): void {
  Deno.stdout.writeSync(utf8(JSON.stringify(found)));
}
