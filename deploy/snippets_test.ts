/** What the examples for cloud-init and Ignition write to a machine. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as v from "valibot";
import { readNewNodeConfiguration } from "../node/configuration.ts";
import { sourceText } from "../platform/endpoint_source.ts";
import { readJson } from "../platform/json.ts";
import { readYaml } from "../platform/yaml.ts";
import { METADATA_FIELDS, readMetadataValues } from "../node/metadata/values.ts";
import { readInstanceData } from "../node/metadata/sources.ts";
import { utf8 } from "../platform/bytes.ts";

const deploy = import.meta.dirname ?? ".";
const CONFIGURATION = "/etc/bootstrapper/config.yaml";

const cloudConfig = v.object({
  write_files: v.array(v.object({ path: v.string(), content: v.string() })),
  runcmd: v.array(v.array(v.string())),
});
const butane = v.object({
  storage: v.object({
    files: v.array(v.object({ path: v.string(), mode: v.number(), contents: v.object({ inline: v.string() }) })),
  }),
  systemd: v.object({ units: v.array(v.object({ name: v.string(), enabled: v.boolean() })) }),
});
const ignition = v.object({
  ignition: v.object({ version: v.string() }),
  storage: v.object({
    files: v.array(v.object({ path: v.string(), mode: v.number(), contents: v.object({ source: v.string() }) })),
  }),
  systemd: v.object({ units: v.array(v.object({ name: v.string(), enabled: v.boolean() })) }),
});

async function yaml(path: string): Promise<unknown> {
  return readYaml(await Deno.readTextFile(join(deploy, path)));
}

Deno.test("the user data for cloud-init writes a configuration that a fresh node takes, and starts units that there are", async () => {
  const { write_files, runcmd } = v.parse(cloudConfig, await yaml("cloud-init/worker.yaml"));
  const text = write_files.find(({ path }) => path === CONFIGURATION)?.content ?? "";
  const { metadata, join: { endpoints } } = readNewNodeConfiguration(text, CONFIGURATION);
  assert.deepEqual(metadata, { source: "nocloud", use: ["name"] });
  assert.deepEqual(endpoints.map(sourceText), ["dns:join.example.org:9444"]);
  const units = runcmd.flat().filter((word) => word.endsWith(".service"));
  assert.ok(units.length > 0);
  for (const unit of units) await Deno.stat(join(deploy, unit));
  assert.match(await Deno.readTextFile(join(deploy, "cloud-init/worker.yaml")), /^#cloud-config\n/);
});

Deno.test("the metadata for cloud-init has every value that a node may take from it", async () => {
  const meta_data = await yaml("cloud-init/meta-data.yaml");
  const texts = readInstanceData(utf8(JSON.stringify({ ds: { meta_data } })), "it");
  assert.equal(readMetadataValues({ use: METADATA_FIELDS }, texts, "it").name, "worker-1");
});

Deno.test("Ignition's document is that of Butane's, and writes a configuration that a fresh node takes", async () => {
  const source = v.parse(butane, await yaml("ignition/worker.bu"));
  const { ignition: { version }, ...made } = readJson(
    await Deno.readTextFile(join(deploy, "ignition/worker.ign")),
    { schema: ignition, maximumBytes: 1 << 16, error: (reason) => assert.fail(reason) },
  );
  // Butane's fcos 1.4.0 makes Ignition's 3.3.0.
  assert.equal(version, "3.3.0");
  assert.deepEqual(made.systemd, source.systemd);
  const files = source.storage.files.map(({ path, mode, contents: { inline } }) => ({
    path,
    // Butane reads YAML 1.1, where a leading zero is octal.
    mode: parseInt(String(mode), 8),
    contents: { source: `data:,${encodeURIComponent(inline)}` },
  }));
  assert.deepEqual(made.storage.files, files);
  const [{ contents: { inline } } = assert.fail()] = source.storage.files;
  readNewNodeConfiguration(inline, CONFIGURATION);
  for (const { name } of made.systemd.units) await Deno.stat(join(deploy, name));
});

/** A program that checks an example, if this machine has it. */
async function checkedBy(command: string, args: readonly string[]): Promise<void> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
    assert.ok(success, new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    // deno-lint-ignore no-console
    console.warn(`SKIPPED: there is no ${command} on this machine`);
  }
}

Deno.test("cloud-init's schema accepts the user data", () =>
  checkedBy("cloud-init", ["schema", "--config-file", join(deploy, "cloud-init/worker.yaml")]));

Deno.test("ignition-validate accepts Ignition's document", () =>
  checkedBy("ignition-validate", [join(deploy, "ignition/worker.ign")]));
