/**
 * Pledges, and is killed at one file operation: for `pledge_crash_test.ts`. Each signature is written down when it is made.
 *
 *     deno run --allow-all pledge_process.ts FOLDER ROSTER KILL
 *
 * KILL counts file operations, before and after each; 0 kills nothing.
 *
 * @module
 */
import { join } from "node:path";
import { readPrivateKeyPem } from "../../../certificate/keys.ts";
import { makePledge, readPledge } from "../../../founding/pledge.ts";
import { Roster } from "../../../founding/roster.ts";
import type { RosterEntry } from "../../../protocol/transcript.ts";

const [folder = "", file = "", kill = "0"] = Deno.args;
let left = Number(kill);

function mayDie(): void {
  if (--left === 0) Deno.kill(Deno.pid, "SIGKILL");
}

/** Kills before or after the operation, if its turn has come. */
function killing<A extends unknown[], R>(operation: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
  return async (...args) => {
    mayDie();
    const result = await operation(...args);
    mayDie();
    return result;
  };
}

const keys = await readPrivateKeyPem(await Deno.readTextFile(join(folder, "key.pem")), "key.pem");
const stored: (RosterEntry & { certificate: string })[] = JSON.parse(await Deno.readTextFile(file));
const entries = stored.map((entry) => ({ ...entry, certificate: Uint8Array.fromBase64(entry.certificate) }));
const others: { key: string; signature: string }[] = JSON.parse(await Deno.readTextFile(`${file}.pledges`));
const parts = { folder, keys, trustDigest: new Uint8Array(32), size: entries.length };

const { open } = Deno;
Deno.open = killing(async (...args: Parameters<typeof open>) => {
  const opened = await open(...args);
  const sync = opened.sync.bind(opened);
  opened.sync = killing(sync);
  return opened;
});
Deno.link = killing(Deno.link);
Deno.remove = killing(Deno.remove);
Deno.rename = killing(Deno.rename);
Deno.mkdir = killing(Deno.mkdir);

const pledge = await readPledge(parts) ?? await makePledge(entries, parts);
// What was signed cannot be taken back.
Deno.writeTextFileSync(join(folder, "signed"), `${pledge.roster.toHex()}\n`, { append: true });
const roster = await Roster.open(folder, pledge);
await roster.hear(others.map(({ key, signature }) => ({ key, signature: Uint8Array.fromBase64(signature) })));
if (roster.isFixed) Deno.writeTextFileSync(join(folder, "fixed"), `${pledge.roster.toHex()}\n`, { append: true });
