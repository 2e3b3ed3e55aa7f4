import assert from "node:assert/strict";
import { join } from "node:path";
import { operatorKeyLine } from "../certificate/operator_key.ts";
import { concat, copyOf, fromHex, utf8 } from "../platform/bytes.ts";
import type { BootstrapError } from "../platform/errors.ts";
import { readFirmwareData } from "./host_credentials.ts";
import { writeSmbios } from "./testing/smbios.ts";
import { loadNodeConfiguration } from "./configuration_source.ts";
import { nodePaths } from "./paths.ts";

const key = operatorKeyLine(concat(fromHex("302a300506032b6570032100", "prefix"), new Uint8Array(32)));
const text = (name: string) => `version: 1\ntrust: {clusterName: ${name}, operatorKeys: ["${key}"]}\n`;

async function withFiles(run: (root: string) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    await run(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function write(path: string, name: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, text(name));
}

Deno.test("loadNodeConfiguration() uses the first configuration that exists, alone", () =>
  withFiles(async (root) => {
    const paths = nodePaths(root);
    const credentialsFolder = join(root, "unit-credentials");
    const file = join(root, "given.yaml");
    const source = async (given?: string) => {
      const loaded = await loadNodeConfiguration({
        ...(given === undefined ? {} : { file: given }),
        credentialsFolder,
        firmware: await readFirmwareData(root),
        paths,
      });
      return [loaded.source, loaded.configuration.trust.clusterName];
    };
    await assert.rejects(source(), (error: BootstrapError) => {
      assert.equal(error.code, "usage/no-configuration");
      assert.ok(error.next.includes("bootstrapper.config"));
      return true;
    });
    await write(paths.configuration, "etc");
    assert.deepEqual(await source(), [paths.configuration, "etc"]);
    const item = "sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/bootstrapper.config/raw";
    await write(join(root, item), "item");
    assert.deepEqual(await source(), ["the credential bootstrapper.config of fw_cfg", "item"]);
    await Deno.mkdir(join(root, "sys/firmware/dmi/tables"), { recursive: true });
    const table = writeSmbios(`io.systemd.credential:bootstrapper.config=${text("string")}`);
    await Deno.writeFile(join(root, "sys/firmware/dmi/tables/DMI"), table);
    assert.deepEqual(await source(), ["the credential bootstrapper.config of SMBIOS", "string"]);
    const unit = join(credentialsFolder, "bootstrapper.config");
    await write(unit, "unit");
    assert.deepEqual(await source(), [unit, "unit"]);
    await write(file, "given");
    assert.deepEqual(await source(file), [file, "given"]);
  }));

Deno.test("loadNodeConfiguration() does not look elsewhere when the file of --config is missing, or one is wrong", () =>
  withFiles(async (root) => {
    const paths = nodePaths(root);
    await write(paths.configuration, "etc");
    const noFirmware = { smbios: undefined, fwCfg: new Map() };
    const missing = loadNodeConfiguration({ file: join(root, "missing"), firmware: noFirmware, paths });
    await assert.rejects(missing, { code: "system/file" });
    const given = (bytes: Uint8Array) =>
      loadNodeConfiguration({
        firmware: { smbios: undefined, fwCfg: new Map([["bootstrapper.config", copyOf(bytes)]]) },
        paths,
      });
    await assert.rejects(given(utf8("version: 3\n")), { code: "usage/document" });
    await assert.rejects(given(Uint8Array.of(0xff)), { code: "usage/document", message: /not a text in UTF-8$/ });
  }));

Deno.test("loadNodeConfiguration() refuses of a fresh node what a member may have", () =>
  withFiles(async (root) => {
    const paths = nodePaths(root);
    const file = join(root, "given.yaml");
    await Deno.writeTextFile(file, `${text("demo")}node: {name: kubernetes}\n`);
    const firmware = { smbios: undefined, fwCfg: new Map() };
    const { configuration } = await loadNodeConfiguration({ file, firmware, paths });
    assert.equal(configuration.node.name, "kubernetes");
    await assert.rejects(loadNodeConfiguration({ file, firmware, paths, isFresh: true }), {
      code: "usage/document",
      details: { document: file, key: "node.name" },
    });
  }));
