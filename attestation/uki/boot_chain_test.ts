import assert from "node:assert/strict";
import { hex, sha256, utf8 } from "../../platform/bytes.ts";
import { errorOf } from "../testing/evidence.ts";
import { imageHash } from "./authenticode.ts";
import { readBootLoader, readShim } from "./boot_chain.ts";
import { ukiRegisters } from "./measurements.ts";
import { readPeImage } from "./pe.ts";
import { kernelSection, magicSection, writePe } from "./testing/images.ts";

const kernel = kernelSection("a kernel");
const image = writePe([magicSection("systemd-stub 257.1"), kernel]);
const boot = writePe([{ name: ".text", content: utf8("boot") }, magicSection("systemd-boot 257.13-1~deb13u1")]);
const shim = writePe([{ name: ".text", content: utf8("shim") }, {
  name: ".sbat",
  content: utf8("sbat,1,SBAT Version,sbat,1,https://example\nshim,4,UEFI shim,shim,1,https://example\n"),
}]);

/** PCR 4 after firmware, a boot option and these programs, each measured by its Authenticode hash. */
async function pcr4(...programs: readonly Uint8Array[]): Promise<string> {
  const calling = await sha256(utf8("Calling EFI Application from Boot Option"));
  const separator = await sha256(new Uint8Array(4));
  let value = new Uint8Array(32);
  for (const digest of [calling, separator, ...programs.map((one) => imageHash(readPeImage(one, "f")))]) {
    value = await sha256(value, digest);
  }
  return hex(value);
}

Deno.test("ukiRegisters() measures the programs before the image into PCR 4, in their order", async () => {
  const chains = [
    [[readBootLoader(boot, "boot.efi")], [boot]],
    [[readShim(shim, "shim.efi")], [shim]],
    [[readShim(shim, "shim.efi"), readBootLoader(boot, "boot.efi")], [shim, boot]],
  ] as const;
  for (const [programs, files] of chains) {
    const { bootLoader, started, remarks } = await ukiRegisters(image, "f", { programs });
    assert.deepEqual(bootLoader.map(hex), [
      await pcr4(...files, image, kernel.content),
      await pcr4(...files, image),
    ]);
    assert.equal(started.length, files.length + 4);
    assert.deepEqual(remarks, []);
  }
});

Deno.test("ukiRegisters() says that systemd-boot before version 257 changes PCR 12", async () => {
  const old = writePe([{ name: ".text", content: utf8("boot") }, magicSection("systemd-boot 252.39-1")]);
  const { remarks } = await ukiRegisters(image, "f", { programs: [readBootLoader(old, "boot.efi")] });
  assert.match(remarks.join(), /PCR 12: .*boot\.efi cannot join.*version 252.*kernel arguments into PCR 12/);
});

Deno.test("readBootLoader() and readShim() refuse other programs by name", async () => {
  const asBoot = await errorOf(() => readBootLoader(shim, "shim.efi"));
  assert.equal(asBoot.code, "usage/boot-program");
  assert.match(asBoot.message, /shim\.efi as the boot loader: it is not systemd-boot/);
  const stub = await errorOf(() => readBootLoader(image, "uki.efi"));
  assert.equal(stub.details["seen"], "systemd-stub 257");
  for (const other of [boot, image]) {
    const error = await errorOf(() => readShim(other, "other.efi"));
    assert.equal(error.code, "usage/boot-program");
    assert.match(error.message, /other\.efi as the shim/);
  }
  assert.equal((await errorOf(() => readShim(utf8("MZ"), "f"))).code, "malformed/pe");
});
