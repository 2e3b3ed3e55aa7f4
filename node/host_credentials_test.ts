import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { base64, fromUtf8, utf8 } from "../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { hostCredential, readFirmwareData, smbiosCredential } from "./host_credentials.ts";
import { writeSmbios } from "./testing/smbios.ts";

const NAME = "bootstrapper.config";
const PREFIX = `io.systemd.credential:${NAME}=`;
const BINARY = `io.systemd.credential.binary:${NAME}=`;
const FW_CFG = `sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/${NAME}/raw`;
const TABLE = "sys/firmware/dmi/tables/DMI";

/** The credential of a machine with these files. */
async function credentialOf(files: Readonly<Record<string, Uint8Array>>) {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, bytes] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeFile(join(root, path), bytes);
    }
    const found = hostCredential(await readFirmwareData(root), NAME);
    return found === undefined ? undefined : [found.source, fromUtf8(found.bytes, "it")];
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

Deno.test("hostCredential() takes the credential from SMBIOS, else from fw_cfg, else there is none", async () => {
  assert.equal(await credentialOf({}), undefined);
  assert.equal(await credentialOf({ [TABLE]: writeSmbios("io.systemd.credential:other=x") }), undefined);
  const fwCfg = { [FW_CFG]: utf8("a: 1\n") };
  assert.deepEqual(await credentialOf(fwCfg), [`the credential ${NAME} of fw_cfg`, "a: 1\n"]);
  const both = { ...fwCfg, [TABLE]: writeSmbios(`${PREFIX}b: 2\n`) };
  assert.deepEqual(await credentialOf(both), [`the credential ${NAME} of SMBIOS`, "b: 2\n"]);
  const binary = { [TABLE]: writeSmbios("x", `${BINARY}${base64(utf8("c: 3\n"))}`) };
  assert.deepEqual(await credentialOf(binary), [`the credential ${NAME} of SMBIOS`, "c: 3\n"]);
});

Deno.test("hostCredential() takes exactly its own credential, and nothing that only looks like it", async () => {
  const others = [
    `io.systemd.credential:${NAME}`,
    `io.systemd.credential:${NAME}.x=1`,
    `io.systemd.credential:x${NAME}=1`,
    `io.systemd.credential: ${NAME}=1`,
    ` ${PREFIX}1`,
    `IO.systemd.credential:${NAME}=1`,
    `io.systemd.credential.binary:tmpfiles.extra=AAAA`,
    `io.systemd.stub.kernel-cmdline-extra=${PREFIX}`,
  ];
  assert.equal(await credentialOf({ [TABLE]: writeSmbios(...others) }), undefined);
  assert.deepEqual((await credentialOf({ [TABLE]: writeSmbios(...others, PREFIX) }))?.[1], "");
  const strings = fc.array(fc.string({ minLength: 1 }), { maxLength: 5 });
  fc.assert(fc.property(strings, fc.uint8Array({ maxLength: 200 }), (before, value) => {
    const all = [...before, `${BINARY}${base64(value)}`].map(utf8);
    assert.deepEqual(smbiosCredential(all, NAME), value);
  }));
});

Deno.test("hostCredential() passes over a vendor's broken table that contains no credential", async () => {
  assert.equal(await credentialOf({ [TABLE]: utf8("x") }), undefined);
});

Deno.test("hostCredential() refuses a credential that is there twice, is not base64 or is too large, and a broken table", async () => {
  const malformed = { code: "malformed/host-credential", details: { credential: NAME } };
  const cases: readonly (readonly string[])[] = [
    [`${PREFIX}a`, `${PREFIX}a`],
    [`${PREFIX}a`, `${BINARY}YQ==`],
    [`${BINARY}a`],
    [`${BINARY}YR==x`],
    [`${PREFIX}${"a".repeat(MAXIMUM_DOCUMENT_BYTES + 1)}`],
    [`${BINARY}${"a".repeat(MAXIMUM_DOCUMENT_BYTES * 2)}`],
  ];
  for (const strings of cases) {
    await assert.rejects(credentialOf({ [TABLE]: writeSmbios(...strings) }), malformed, strings.join().slice(0, 80));
  }
  assert.throws(() => smbiosCredential([utf8(BINARY), Uint8Array.of(...utf8(BINARY), 0xff)], NAME), malformed);
  assert.throws(() => smbiosCredential([Uint8Array.of(...utf8(BINARY), 0xff)], NAME), malformed);
  await assert.rejects(credentialOf({ [TABLE]: utf8(`x${PREFIX}a`) }), { code: "malformed/smbios" });
  const large = new Uint8Array(MAXIMUM_DOCUMENT_BYTES + 1);
  await assert.rejects(credentialOf({ [FW_CFG]: large }), { code: "malformed/size" });
});

Deno.test("readFirmwareData() keeps the errors of files for those who need them", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(root, TABLE), { recursive: true });
    const data = await readFirmwareData(root);
    assert.throws(() => hostCredential(data, NAME), { code: "system/file" });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
