import assert from "node:assert/strict";
import { concat, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { errorOf } from "../testing/evidence.ts";
import { imageHash } from "./authenticode.ts";
import { NO_IMPORT_ARGUMENT } from "./kernel_arguments.ts";
import { ukiRegisters } from "./measurements.ts";
import { readPeImage } from "./pe.ts";
import { kernelSection, STUB_252, writePe, type WrittenSection } from "./testing/images.ts";

const linux = kernelSection("a kernel");
const cmdline = { name: ".cmdline", content: utf8("quiet") };
const osrel = { name: ".osrel", content: utf8("ID=debian\n") };
const pcrsig = { name: ".pcrsig", content: utf8("{}") };

async function extended(...contents: readonly Uint8Array[]): Promise<string> {
  let value = new Uint8Array(32);
  for (const content of contents) value = await sha256(value, await sha256(content));
  return hex(value);
}

Deno.test("ukiRegisters() measures names and contents in the stub's order, whatever the order in the file", async () => {
  const image = writePe([STUB_252, cmdline, pcrsig, osrel, linux]);
  const { bootLoader, kernelImage, measurements } = await ukiRegisters(image, "f");
  const named = [linux, osrel, cmdline].flatMap(({ name, content }) => [utf8(`${name}\0`), content]);
  assert.equal(hex(kernelImage), await extended(...named));
  const [calling, separator] = [utf8("Calling EFI Application from Boot Option"), new Uint8Array(4)];
  const before = Uint8Array.fromHex(await extended(calling, separator));
  const underSecureBoot = await sha256(before, imageHash(readPeImage(image, "f")));
  const otherwise = await sha256(underSecureBoot, imageHash(readPeImage(linux.content, "kernel")));
  assert.deepEqual(bootLoader.map(hex), [hex(otherwise), hex(underSecureBoot)]);
  assert.deepEqual(measurements.map(({ pcr }) => pcr), [4, 4, 4, 4, 11, 11, 11, 11, 11, 11]);
  const old = await ukiRegisters(writePe([STUB_252, kernelSection("a kernel", 0)]), "f");
  assert.equal(old.bootLoader.length, 1);
});

Deno.test("ukiRegisters() says whether the kernel arguments in the image keep systemd from importing credentials", async () => {
  const of = async (...more: readonly WrittenSection[]) =>
    (await ukiRegisters(writePe([STUB_252, ...more, linux]), "f")).refusesCredentials;
  assert.equal(await of(), false);
  assert.equal(await of(cmdline), false);
  assert.equal(await of({ name: ".cmdline", content: utf8(`quiet ${NO_IMPORT_ARGUMENT}\0`) }), true);
});

Deno.test("ukiRegisters() adds the requested phases of boot, and refuses words that are no phases", async () => {
  const image = writePe([STUB_252, linux]);
  const parts = [utf8(".linux\0"), linux.content, utf8("enter-initrd"), utf8("leave-initrd")];
  const { kernelImage } = await ukiRegisters(image, "f", ["enter-initrd", "leave-initrd"]);
  assert.equal(hex(kernelImage), await extended(...parts));
  assert.equal((await errorOf(() => ukiRegisters(image, "f", ["a b"]))).code, "usage/phase");
});

Deno.test("ukiRegisters() refuses images whose measurements it cannot predict", async () => {
  const magic = (text: string): WrittenSection => ({ name: ".sdmagic", content: utf8(text) });
  const cases: readonly (readonly [readonly WrittenSection[], string])[] = [
    [[linux], "usage/uki-stub"],
    [[magic("#### LoaderInfo: systemd-stub 257.1 ####\0"), linux], "usage/uki-stub"],
    [[magic("#### LoaderInfo: systemd-boot 252.1 ####\0"), linux], "usage/uki-stub"],
    [[magic("#### LoaderInfo: systemd-stub 2521 ####\0"), linux], "usage/uki-stub"],
    [[STUB_252, cmdline], "malformed/uki"],
    [[STUB_252, { name: ".linux", content: utf8("no kernel") }], "malformed/pe"],
    [[STUB_252, linux, linux], "malformed/uki"],
    [[STUB_252, linux, { ...linux, name: ".linuxx" }], "malformed/uki"],
    [[STUB_252, { ...linux, virtualSize: linux.content.length + 0x200 }], "malformed/uki"],
  ];
  for (const [sections, code] of cases) {
    assert.equal(
      (await errorOf(() => ukiRegisters(writePe(sections), "f"))).code,
      code,
      sections.map(({ name }) => name).join(),
    );
  }
  assert.equal((await errorOf(() => ukiRegisters(concat(utf8("MZ")), "f"))).code, "malformed/pe");
});
