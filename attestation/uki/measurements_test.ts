import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, hex, sha256, utf8 } from "../../platform/bytes.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { errorOf, flipped } from "../testing/evidence.ts";
import { imageHash } from "./authenticode.ts";
import { NO_IMPORT_ARGUMENT } from "./kernel_arguments.ts";
import { ukiRegisters } from "./measurements.ts";
import { readPeImage } from "./pe.ts";
import { kernelSection, magicSection, STUB_252, writePe, type WrittenSection } from "./testing/images.ts";

const linux = kernelSection("a kernel");
const cmdline = { name: ".cmdline", content: utf8("quiet") };
const osrel = { name: ".osrel", content: utf8("ID=debian\n") };
const pcrsig = { name: ".pcrsig", content: utf8("{}") };
/** One section of each name that any stub measures, and of names that none does, in an order of no stub. */
const everySection: readonly WrittenSection[] = [
  ...[".hwids", ".pcrpkey", ".sbat", ".uname", ".dtb", ".splash", ".ucode", ".initrd", ".efifw", ".unknown"].map((
    name,
  ) => ({ name, content: utf8(`content of ${name}`) })),
  ...[pcrsig, cmdline, osrel, linux],
];
const stub257 = magicSection("systemd-stub 257.13-1~deb13u1");

async function extended(...contents: readonly Uint8Array[]): Promise<string> {
  let value = new Uint8Array(32);
  for (const content of contents) value = await sha256(value, await sha256(content));
  return hex(value);
}

function named(...sections: readonly WrittenSection[]): readonly Uint8Array[] {
  return sections.flatMap(({ name, content }) => [utf8(`${name}\0`), content]);
}

async function valuesOf(...sections: readonly WrittenSection[]): Promise<readonly (readonly [string, string])[]> {
  const { kernelImages } = await ukiRegisters(writePe(sections), "f");
  return kernelImages.map(({ name, value }) => [name, hex(value)]);
}

Deno.test("ukiRegisters() measures names and contents in the stub's order, whatever the order in the file", async () => {
  const image = writePe([STUB_252, cmdline, pcrsig, osrel, linux]);
  const { bootLoader, kernelImages, started } = await ukiRegisters(image, "f");
  assert.deepEqual(kernelImages.map(({ name, value }) => [name, hex(value)]), [[
    "",
    await extended(...named(linux, osrel, cmdline)),
  ]]);
  const [calling, separator] = [utf8("Calling EFI Application from Boot Option"), new Uint8Array(4)];
  const before = Uint8Array.fromHex(await extended(calling, separator));
  const underSecureBoot = await sha256(before, imageHash(readPeImage(image, "f")));
  const otherwise = await sha256(underSecureBoot, imageHash(readPeImage(linux.content, "kernel")));
  assert.deepEqual(bootLoader.map(hex), [hex(otherwise), hex(underSecureBoot)]);
  const measurements = [...started, ...kernelImages.flatMap(({ measurements }) => measurements)];
  assert.deepEqual(measurements.map(({ pcr }) => pcr), [4, 4, 4, 4, 11, 11, 11, 11, 11, 11]);
  const old = await ukiRegisters(writePe([STUB_252, kernelSection("a kernel", 0)]), "f");
  assert.equal(old.bootLoader.length, 1);
});

Deno.test("ukiRegisters() measures the sections that each version of the stub knows", async () => {
  const orders: Readonly<Record<string, string>> = {
    "252": ".linux .osrel .cmdline .initrd .splash .dtb .pcrpkey",
    "253": ".linux .osrel .cmdline .initrd .splash .dtb .pcrpkey",
    "254": ".linux .osrel .cmdline .initrd .splash .dtb .uname .sbat .pcrpkey",
    "255": ".linux .osrel .cmdline .initrd .splash .dtb .uname .sbat .pcrpkey",
    "256": ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey",
    "257": ".linux .osrel .cmdline .initrd .ucode .splash .dtb .uname .sbat .pcrpkey .hwids",
  };
  for (const [version, order] of Object.entries(orders)) {
    for (const suffix of ["", ".4-1ubuntu8", "~rc2-3", "-1.fc40"]) {
      const values = await valuesOf(...everySection, magicSection(`systemd-stub ${version}${suffix}`));
      const sections = order.split(" ").map((name) => everySection.find((one) => one.name === name));
      const measured = named(...sections.filter((one) => one !== undefined));
      assert.deepEqual(values, [["", await extended(...measured)]], version + suffix);
    }
  }
});

Deno.test("ukiRegisters() gives PCR 11 for each profile, which replaces sections of the base", async () => {
  const profile = (id: string): WrittenSection => ({ name: ".profile", content: utf8(`ID=${id}\nTITLE=Of ${id}\n`) });
  const rescue = { name: ".cmdline", content: utf8("rescue") };
  const [main, other, third] = [profile("main"), profile("rescue"), { name: ".profile", content: utf8("TITLE=3\n") }];
  const image = [osrel, cmdline, linux, stub257, main, other, rescue, third, { ...osrel, content: utf8("ID=x") }];
  assert.deepEqual(await valuesOf(...image), [
    ["profile 0 (main)", await extended(...named(linux, osrel, cmdline, main))],
    ["profile 1 (rescue)", await extended(...named(linux, osrel, rescue, other))],
    ["profile 2", await extended(...named(linux, { ...osrel, content: utf8("ID=x") }, cmdline, third))],
  ]);
  const { remarks, kernelImages } = await ukiRegisters(writePe(image), "f");
  assert.match(remarks.join(), /PCR 12: .*cannot join: profile 1 \(rescue\); profile 2$/);
  assert.equal(kernelImages[1]?.refusesCredentials, false);
  const knowsNone = await errorOf(() => ukiRegisters(writePe([...image, STUB_252].filter((s) => s !== stub257)), "f"));
  assert.match(
    `${knowsNone.message} ${knowsNone.next}`,
    /profiles.*systemd 252, which knows none.*stub of systemd 257/,
  );
  // Another kernel in a profile gives another PCR 4 without Secure Boot.
  const twoKernels = await ukiRegisters(writePe([...image, kernelSection("another kernel")]), "f");
  assert.equal(new Set(twoKernels.bootLoader.map(hex)).size, 3);
});

Deno.test("ukiRegisters() gives PCR 11 for each device tree that the stub may select", async () => {
  const tree = (content: string): WrittenSection => ({ name: ".dtbauto", content: utf8(content) });
  const dtb = { name: ".dtb", content: utf8("plain") };
  const hwids = { name: ".hwids", content: utf8("ids") };
  const [one, two] = [tree("one"), tree("two")];
  assert.deepEqual(await valuesOf(stub257, linux, one, dtb, two, hwids), [
    ["", await extended(...named(linux, dtb, hwids))],
    ["device tree of section 2", await extended(...named(linux, dtb, one, hwids))],
    ["device tree of section 4", await extended(...named(linux, dtb, two, hwids))],
  ]);
});

Deno.test("ukiRegisters() says whether the kernel arguments in the image keep systemd from importing credentials", async () => {
  const of = async (...more: readonly WrittenSection[]) =>
    (await ukiRegisters(writePe([STUB_252, ...more, linux]), "f")).kernelImages.map(({ refusesCredentials }) =>
      refusesCredentials
    );
  assert.deepEqual(await of(), [false]);
  assert.deepEqual(await of(cmdline), [false]);
  assert.deepEqual(await of({ name: ".cmdline", content: utf8(`quiet ${NO_IMPORT_ARGUMENT}\0`) }), [true]);
});

Deno.test("ukiRegisters() adds the requested phases of boot, and refuses words that are no phases", async () => {
  const image = writePe([STUB_252, linux]);
  const parts = [utf8(".linux\0"), linux.content, utf8("enter-initrd"), utf8("leave-initrd")];
  const { kernelImages } = await ukiRegisters(image, "f", { phases: ["enter-initrd", "leave-initrd"] });
  assert.deepEqual(kernelImages.map(({ value }) => hex(value)), [await extended(...parts)]);
  assert.equal((await errorOf(() => ukiRegisters(image, "f", { phases: ["a b"] }))).code, "usage/phase");
});

Deno.test("ukiRegisters() accepts sections that overlap in memory if none of them is measured", async () => {
  const sbat = { name: ".sbat", content: utf8("sbat".repeat(0x4d)), virtualAddress: 0x9019000 };
  const old = { ...STUB_252, virtualAddress: 0x9019100 };
  assert.deepEqual(await valuesOf(linux, sbat, old), [["", await extended(...named(linux))]]);
  const stub254 = { ...magicSection("systemd-stub 254.26-1"), virtualAddress: 0x9019100 };
  const error = await errorOf(() => ukiRegisters(writePe([linux, sbat, stub254]), "f"));
  assert.equal(error.code, "malformed/uki");
  assert.match(`${error.message} ${error.next}`, /f as a UKI: its sections \.sbat and \.sdmagic overlap.*one version/);
});

Deno.test("ukiRegisters() measures a kernel that is longer in memory than in the file with zeros behind it", async () => {
  const virtualSize = linux.content.length + 0x1234;
  const inMemory = { ...linux, content: concat(linux.content, new Uint8Array(0x1234)) };
  const image = writePe([stub257, { ...linux, virtualSize }]);
  const { bootLoader, kernelImages, remarks, started } = await ukiRegisters(image, "f");
  assert.deepEqual(kernelImages.map(({ value }) => hex(value)), [await extended(...named(inMemory))]);
  assert.equal(bootLoader.length, 2);
  assert.equal(started.at(-1)?.digest, hex(imageHash(readPeImage(inMemory.content, "kernel"))));
  assert.match(remarks.join(), /kernel of f is longer in memory.*fills the rest with zeros/);
});

Deno.test("ukiRegisters() finds the stub's name where linkers without .sdmagic put it, and not in the kernel", async () => {
  const data = (text: string): WrittenSection => ({ name: ".data", content: utf8(text) });
  const text = "\0\0#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####\0more";
  assert.deepEqual(await valuesOf(data(text), linux), [["", await extended(...named(linux))]]);
  const twoNames = data(`${text}\0#### LoaderInfo: systemd-stub 257 ####\0`);
  const inKernel = { name: ".linux", content: writePe([data(text)]) };
  for (const sections of [[twoNames, linux], [data("no name"), inKernel], [inKernel]]) {
    assert.equal((await errorOf(() => ukiRegisters(writePe(sections), "f"))).code, "usage/uki-stub");
  }
});

Deno.test("ukiRegisters() refuses images whose measurements it cannot predict, and says why", async () => {
  const cases: readonly (readonly [readonly WrittenSection[], string, RegExp])[] = [
    [[linux], "usage/uki-stub", /seen: no name of a program/],
    [[magicSection("systemd-stub 258.1"), linux], "usage/uki-stub", /252 to 257.*seen: systemd-stub 258/],
    [[magicSection("systemd-stub 251"), linux], "usage/uki-stub", /seen: systemd-stub 251/],
    [[magicSection("systemd-stub 2521"), linux], "usage/uki-stub", /seen: systemd-stub 2521/],
    [[magicSection("systemd-boot 252.1"), linux], "usage/uki-stub", /is systemd-boot.*--boot-loader/],
    [[magicSection("systemd-addon 257"), cmdline], "usage/uki-stub", /add-on.*PCR 12.*into the image/],
    [[STUB_252, cmdline], "malformed/uki", /no \.linux/],
    [[stub257, { name: ".profile", content: utf8("ID=a") }, cmdline], "malformed/uki", /no \.linux/],
    [[STUB_252, { name: ".linux", content: utf8("no kernel") }], "malformed/pe", /f, \.linux/],
    [[STUB_252, linux, linux], "malformed/uki", /\.linux and \.linux.*takes the last/],
    [[stub257, linux, cmdline, cmdline], "malformed/uki", /\.cmdline and \.cmdline.*takes the first.*ukify joins/],
    [[STUB_252, linux, { ...linux, name: ".linuxx" }], "malformed/uki", /\.linux and \.linuxx/],
    [[STUB_252, linux, { name: ".dtbauto", content: utf8("x") }], "malformed/uki", /\.dtbauto.*for \.dtb /],
    [[STUB_252, { ...linux, virtualSize: 0x8000001 }], "malformed/uki", /\.linux is longer in memory.*ukify 257\.3/],
    [[STUB_252, linux, { ...cmdline, virtualSize: 0x201 }], "malformed/uki", /\.cmdline is longer in memory/],
  ];
  for (const [sections, code, said] of cases) {
    const error = await errorOf(() => ukiRegisters(writePe(sections), "f"));
    const name = sections.map(({ name }) => name).join();
    assert.equal(error.code, code, name);
    assert.match(`${error.message} ${error.next} seen: ${error.details["seen"]}`, said, name);
  }
  assert.equal((await errorOf(() => ukiRegisters(concat(utf8("MZ")), "f"))).code, "malformed/pe");
});

Deno.test("ukiRegisters() refuses an image with more ways to start than anyone would list", async () => {
  const tree = { name: ".dtbauto", content: utf8("t") };
  const empty = { name: ".profile", content: utf8("p") };
  const sections = [stub257, linux, ...Array(20).fill(tree), ...Array(20).fill(empty)];
  const error = await errorOf(() => ukiRegisters(writePe(sections, { headerBytes: 0x1000 }), "f"));
  assert.equal(error.code, "malformed/uki");
  assert.match(error.message, /420 combinations/);
});

Deno.test("ukiRegisters() changes a value with every changed byte of a measured section, or refuses the image", async () => {
  const image = writePe([stub257, cmdline, linux, { name: ".profile", content: utf8("ID=main\n") }]);
  const before = await ukiRegisters(image, "f");
  const known = new Set([...before.bootLoader, ...before.kernelImages.map(({ value }) => value)].map(hex));
  for (let index = 0; index < image.length; index += 3) {
    try {
      const { bootLoader } = await ukiRegisters(flipped(image, index), "f");
      assert.ok(bootLoader.every((value) => !known.has(hex(value))) || isOutsideTheHash(index), String(index));
    } catch (error) {
      assert.ok(error instanceof BootstrapError && /^(malformed|usage)\//.test(error.code), String(error));
    }
  }
});

/** The checksum and the certificate entry. */
function isOutsideTheHash(index: number): boolean {
  return (index >= 0xd8 && index < 0xdc) || (index >= 0x128 && index < 0x130);
}

Deno.test("ukiRegisters() throws only errors with a code, whatever the bytes and the sections", async () => {
  const section = fc.record({
    name: fc.constantFrom(".linux", ".cmdline", ".profile", ".dtbauto", ".dtb", ".sbat", ".data", ".sdmagic"),
    content: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(linux.content, stub257.content, STUB_252.content),
    ),
  });
  const images = fc.array(section, { maxLength: 12 }).map((sections) => writePe(sections));
  await fc.assert(
    fc.asyncProperty(fc.oneof(images, fc.uint8Array({ maxLength: 600 })), async (bytes) => {
      try {
        const { bootLoader, kernelImages } = await ukiRegisters(bytes, "f");
        assert.ok(bootLoader.length > 0 && kernelImages.every(({ value }) => value.length === 32));
      } catch (error) {
        assert.ok(error instanceof BootstrapError && /^(malformed|usage)\//.test(error.code), String(error));
      }
    }),
    { numRuns: 300 },
  );
});
