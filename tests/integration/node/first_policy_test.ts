/** The commands of docs/first-policy.md do what the page shows, in their order, with a real software TPM. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EVENT_TYPE } from "../../../attestation/eventlog/event_types.ts";
import { writeLog, type WrittenEvent } from "../../../attestation/eventlog/testing/event_logs.ts";
import { createTpmIssuer } from "../../../attestation/kinds/tpm/issuer.ts";
import { TestWorld } from "../../../cli/testing/command_line.ts";
import { sha256, utf8 } from "../../../platform/bytes.ts";
import { hasSwtpm, startSwtpm, type Swtpm } from "../../swtpm.ts";
import { repositoryRoot } from "../../world.ts";

const PAGE = "docs/first-policy.md";
/** The calls before which the page has the machine boot, and what it boots then. */
const BOOTS: Readonly<Record<string, string>> = {
  "bootstrapper evidence --out good.json": "the old image",
  "bootstrapper evidence --out new.json": "the new image",
};

/** The page's commands, in order, with the line below each. */
async function callsOfPage(): Promise<readonly { readonly line: string; readonly below: string }[]> {
  const page = await Deno.readTextFile(join(repositoryRoot, PAGE));
  const blocks = [...page.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, text = ""]) => text.split("\n"));
  return blocks.flatMap((lines) =>
    lines.flatMap((text, index) =>
      text.startsWith("$ ") ? [{ line: text.slice(2), below: lines[index + 1] ?? "" }] : []
    )
  );
}

/** Boots the machine anew: its TPM's registers are zero, its firmware measures the image, and then its configuration is. */
async function boot(world: TestWorld, tpm: Swtpm, image: string): Promise<void> {
  await tpm.restart();
  const started: WrittenEvent = { pcr: 4, type: EVENT_TYPE.efiAction, data: utf8(`Starting ${image}`) };
  await createTpmIssuer(await world.context.openTpm(), "rsa2048").extend(4, await sha256(started.data));
  await world.write("sys/kernel/security/tpm0/binary_bios_measurements", "");
  await Deno.writeFile(join(world.root, "sys/kernel/security/tpm0/binary_bios_measurements"), writeLog([started]));
  assert.equal(await world.run("measure"), 0, world.err);
}

const isThere = await hasSwtpm();
const NAME = `the commands of ${PAGE} do what it shows`;

Deno.test({
  name: isThere ? NAME : `${NAME} -- IGNORED: swtpm and swtpm-tools are not installed`,
  ignore: !isThere,
  async fn() {
    await using tpm = await startSwtpm();
    let open: { close(): void } | undefined;
    await using world = await TestWorld.create({
      openTpm: async () => {
        open?.close();
        const transport = await tpm.connect();
        open = transport;
        return transport;
      },
    });
    await world.write("dev/tpmrm0", "");
    const configuration = await Deno.readTextFile(join(repositoryRoot, "deploy/node-worker.example.yaml"));
    await world.write("etc/bootstrapper/config.yaml", configuration);
    await world.write("config.yaml", configuration);
    const calls = await callsOfPage();
    assert.ok(calls.length >= 9, `${calls.length} commands`);
    try {
      for (const { line, below } of calls) {
        const image = BOOTS[line];
        if (image !== undefined) await boot(world, tpm, image);
        const [call = "", file] = line.split(" > ");
        const args = call.split(" ").slice(1).map((arg) => /\.(?:json|yaml)$/.test(arg) ? join(world.root, arg) : arg);
        const exitCode = await world.run(...args);
        assert.equal(exitCode, below.startsWith("Verdict: refused") ? 3 : 0, `${line}\n${world.out}${world.err}`);
        if (file !== undefined) await world.write(file, world.out);
        const [first = ""] = world.out.replaceAll(`${world.root}/`, "").split("\n");
        if (!["", "…", "```"].includes(below) && !below.startsWith("$ ")) assert.equal(first, below, line);
        if (line.includes("--reference")) assert.match(world.out, /here .*Starting the new image/);
      }
    } finally {
      open?.close();
    }
  },
});
