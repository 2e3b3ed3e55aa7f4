import { join } from "node:path";
import { BootstrapError } from "../../platform/errors.ts";
import { DEMO_CODES } from "./demo_codes.ts";
import { isAlive, type ProcessIdentity } from "../e2e/process.ts";
import { Testbed } from "../e2e/testbed.ts";
import { cacheFolder } from "../tools/cache_folder.ts";
import { withLock } from "../tools/with_lock.ts";

/** The command that stops a running demo. */
export const stopCommand = `npx --yes deno@${Deno.version.deno} task demo --down`;

/** The name of the operator, and of the folder with the operator's files in the testbed's folder. */
export const operatorName = "operator";

/** The file in that folder with the output of the operator's `init`. */
export const initLog = "init.log";

/**
 * The demo's testbed on this machine that was not taken down, whether or not its machines are running. There is at most
 * one.
 */
export async function findDemoTestbed(): Promise<Testbed | undefined> {
  const parent = demosFolder();
  await Deno.mkdir(parent, { recursive: true });
  for await (const { name } of Deno.readDir(parent)) {
    const folder = join(parent, name);
    if (await isFile(join(folder, "testbed.json")) && !await isFile(join(folder, "ended"))) {
      return await Testbed.open(folder);
    }
  }
  return undefined;
}

/**
 * Fails when a demo is up. It removes the leftovers of a killed demo if none of its machines is running.
 *
 * @throws {BootstrapError} `precondition/demo-is-up`.
 */
export async function refuseSecondDemo(): Promise<void> {
  const testbed = await findDemoTestbed();
  if (testbed === undefined) return;
  const running = await Promise.all(testbed.machines.map((machine) => machine.isRunning()));
  if (!running.includes(true) && !await isOwned(testbed)) return await testbed.down();
  throw new BootstrapError(DEMO_CODES.isUp, "A demo is already up", {
    next: `Stop it with "${stopCommand}"`,
    details: { folder: testbed.folder, reach: `${kubectlInNetwork(testbed)} get nodes` },
  });
}

/**
 * Makes the demo's testbed.
 *
 * @param keepRunning whether its machines outlive this process
 * @throws {BootstrapError} `precondition/demo-is-up`.
 */
export async function createDemoTestbed(keepRunning: boolean): Promise<Testbed> {
  return await withLock("demo", async () => {
    await refuseSecondDemo();
    return await Testbed.create({ parent: demosFolder(), keepRunning });
  });
}

/** The operator's kubectl with its kubeconfig, as a command that runs in the testbed's network. */
export function kubectlArguments(testbed: Testbed): string[] {
  const kubeconfig = join(testbed.folder, operatorName, "kubeconfig");
  return [join(cacheFolder(), "bin", "kubectl"), `--kubeconfig=${kubeconfig}`];
}

/** {@linkcode kubectlArguments} as a command line to type outside the network. */
export function kubectlInNetwork(testbed: Testbed): string {
  return testbed.command(kubectlArguments(testbed)).join(" ");
}

function demosFolder(): string {
  return join(cacheFolder(), "demo");
}

/** Whether the process that made the testbed is still using it. */
async function isOwned({ folder }: Testbed): Promise<boolean> {
  const { owner }: { owner: ProcessIdentity } = JSON.parse(await Deno.readTextFile(join(folder, "testbed.json")));
  return await isAlive(owner);
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}
