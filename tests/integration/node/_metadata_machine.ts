/**
 * Serves or reads metadata at the address that metadata services have, in namespaces of a test.
 *
 *     _metadata_machine.ts serve
 *     _metadata_machine.ts read FOLDER ec2|openstack
 *
 * @module
 */
import { answering, EC2, imdsv2, OPENSTACK } from "../../../node/metadata/testing/services.ts";
import { machineMetadata } from "../../../node/metadata/metadata.ts";
import { METADATA_FIELDS, METADATA_SOURCES } from "../../../node/metadata/values.ts";
import { nodePaths } from "../../../node/paths.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLog } from "../../../platform/log.ts";
import { closeProcessNetwork } from "../../../platform/process_network.ts";

const [task, folder = "", wanted] = Deno.args;
const print = (text: string) => void Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
if (task === "serve") {
  const ec2 = imdsv2(EC2);
  const openStack = answering(OPENSTACK);
  Deno.serve(
    { hostname: "169.254.169.254", port: 80, onListen: () => {} },
    (request) => new URL(request.url).pathname.startsWith("/openstack/") ? openStack(request) : ec2(request),
  );
} else {
  closeProcessNetwork(Deno.env);
  const source = METADATA_SOURCES.find((one) => one === wanted) ?? "ec2";
  const options = { paths: nodePaths(folder), clock: systemClock, log: silentLog };
  print(JSON.stringify((await machineMetadata({ source, use: METADATA_FIELDS }, options))?.texts));
}
