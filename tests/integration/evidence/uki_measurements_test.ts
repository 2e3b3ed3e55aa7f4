/**
 * Compares the values calculated for unified kernel images with those that systemd's and signing tools calculate for
 * the same images. Debian's ukify builds the images, from stubs of three versions and two architectures.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type BootProgram, readBootLoader, readShim } from "../../../attestation/uki/boot_chain.ts";
import type { UkiRegisters } from "../../../attestation/uki/measurements.ts";
import { ukiRegisters } from "../../../attestation/uki/measurements.ts";
import { hex, utf8 } from "../../../platform/bytes.ts";
import { capture } from "../../tools/run.ts";
import { type EfiPrograms, type UkiTools, ukiTools } from "../../tools/uki_tools.ts";

const tools = await ukiTools().catch((error: unknown) => error instanceof Error ? error : new Error(String(error)));

/** What a test of images does with the tools, and a folder of its own in their tree. */
type WithFolder = (tools: UkiTools, folder: ImageFolder) => Promise<void>;

function test(name: string, run: WithFolder): void {
  if (tools instanceof Error) {
    const [reason] = tools.message.split("\n");
    Deno.test({ name: `${name} -- IGNORED: there are no tools: ${reason}`, ignore: true, fn: () => {} });
    return;
  }
  Deno.test(name, async () => {
    const path = await Deno.makeTempDir({ dir: join(tools.root, "tmp") });
    try {
      await run(tools, new ImageFolder(path, path.slice(tools.root.length)));
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  });
}

/** A folder with inputs and images, by its path and by its path in the tree. */
class ImageFolder {
  constructor(readonly path: string, readonly inTree: string) {}

  async write(name: string, content: Uint8Array): Promise<string> {
    await Deno.writeFile(join(this.path, name), content);
    return this.of(name);
  }

  /** The path of a file in the tree. */
  of(name: string): string {
    return `${this.inTree}/${name}`;
  }

  read(name: string): Promise<Uint8Array> {
    return Deno.readFile(join(this.path, name));
  }
}

/** Writes the sections of an image into files, by another reader of PE images than ours. */
const EXTRACT = `
import sys, pefile
for index, section in enumerate(pefile.PE(sys.argv[1], fast_load=True).sections):
    open(f"{sys.argv[2]}-{index}", "wb").write(section.get_data()[:section.Misc_VirtualSize])
    print(section.Name.rstrip(b"\\0").decode())
`;

/** The sections that each version measures, as options of systemd-measure (its manual page of that version). */
const MEASURED: Readonly<Record<number, readonly string[]>> = {
  252: ["linux", "osrel", "cmdline", "initrd", "splash", "dtb", "pcrpkey"],
  254: ["linux", "osrel", "cmdline", "initrd", "splash", "dtb", "uname", "sbat", "pcrpkey"],
  257: [
    ...["linux", "osrel", "cmdline", "initrd", "ucode", "splash", "dtb", "uname", "sbat", "pcrpkey"],
    "profile",
  ],
};

interface NamedFile {
  readonly name: string;
  readonly file: string;
}

async function sectionsOf({ root }: UkiTools, folder: ImageFolder, image: string): Promise<readonly NamedFile[]> {
  const prefix = folder.of(`${image}.section`);
  const names = await capture(["chroot", root, "/usr/bin/python3", "-c", EXTRACT, folder.of(image), prefix]);
  return names.split("\n").map((name, index) => ({ name: name.slice(1), file: `${prefix}-${index}` }));
}

async function measured(
  tools: UkiTools,
  version: number,
  sections: readonly NamedFile[],
  phases: readonly string[],
  more: readonly string[] = [],
): Promise<string> {
  const files = (MEASURED[version] ?? []).flatMap((name) => {
    const found = sections.find((section) => section.name === name);
    return found === undefined ? [] : [`--${name}=${found.file}`];
  });
  const phase = `--phase=${phases.join(":") || ":"}`;
  const calculated = await capture(tools.measure("calculate", "--bank=sha256", phase, ...files, ...more));
  const [, value] = /11:sha256=([0-9a-f]{64})/.exec(calculated) ?? [];
  assert.ok(value !== undefined, calculated);
  return value;
}

/** The sections of each profile: those of the base, where the profile has none of its own. */
function profilesOf(sections: readonly NamedFile[]): readonly (readonly NamedFile[])[] {
  const starts = sections.flatMap(({ name }, index) => name === "profile" ? [index] : []);
  const base = sections.slice(0, starts[0]);
  if (starts.length === 0) return [base];
  return starts.map((start, index) => [...sections.slice(start, starts[index + 1]), ...base]);
}

function nameOf({ version, architecture }: EfiPrograms): string {
  return `${version}-${architecture}`;
}

function valuesOf({ kernelImages }: UkiRegisters): readonly string[] {
  return kernelImages.map(({ value }) => hex(value));
}

function suffixOf({ architecture }: EfiPrograms): string {
  return architecture === "amd64" ? "x64" : "aa64";
}

/** Writes inputs of odd lengths, and returns the options of ukify for each of the images that are built. */
async function inputs(tools: UkiTools, folder: ImageFolder, programs: EfiPrograms) {
  const programFolder = tools.folderOf(programs);
  const stub = `${programFolder}/linux${suffixOf(programs)}.efi.stub`;
  const write = (name: string, text: string, times = 1) => folder.write(name, utf8(text.repeat(times)));
  const osrel = await write("os-release", "ID=example\nVERSION_ID=1\n");
  const cmdline = await write("cmdline", "console=ttyS0 root=/dev/x\n");
  const [first, second] = [await write("initrd1", "a", 60_003), await write("initrd2", "b", 10_001)];
  const splash = await write("splash.bmp", "BM", 101);
  const dtb = await write("dtb", "dtb", 21);
  const ucode = await write("ucode", "c", 5_001);
  const pcrpkey = await write("pcrpkey", "-----BEGIN PUBLIC KEY-----\n");
  // The stub itself is a PE image of the architecture, and stands in for a kernel.
  const plain = [`--linux=${stub}`, `--stub=${stub}`, `--initrd=${first}`, `--os-release=@${osrel}`];
  const common = [...plain, `--cmdline=@${cmdline}`, "--uname=6.x"];
  // The stub of version 252 has room for six sections.
  const joined = [...plain, `--initrd=${second}`, `--splash=${splash}`, `--devicetree=${dtb}`];
  const other = [
    ...[...plain, `--microcode=${ucode}`, `--pcrpkey=${pcrpkey}`],
    ...["--sbat=sbat,1,SBAT Version,sbat,1,x\nexample,1,Example,example,1,x\n", "--section=.other:of no known name"],
  ];
  return { images: { plain, common, joined, other }, common, programFolder };
}

test("ukiRegisters() calculates what systemd-measure calculates for each stub", async (tools, folder) => {
  for (const programs of tools.programs) {
    const { images } = await inputs(tools, folder, programs);
    for (const [name, options] of Object.entries(images)) {
      const image = `${nameOf(programs)}-${name}.efi`;
      await capture(tools.ukify("build", ...options, `--output=${folder.of(image)}`));
      const sections = await sectionsOf(tools, folder, image);
      const expected = name === "other" ? ["linux", "ucode", "other"] : ["linux", "osrel"];
      for (const one of expected) assert.ok(sections.some((section) => section.name === one), `${image}: ${one}`);
      for (const phases of [[], ["enter-initrd", "leave-initrd", "sysinit", "ready"]]) {
        const registers = await ukiRegisters(await folder.read(image), image, { phases });
        assert.deepEqual(valuesOf(registers), [await measured(tools, programs.version, sections, phases)], image);
      }
    }
  }
});

test("ukiRegisters() calculates what systemd-measure calculates for each profile", async (tools, folder) => {
  for (const programs of tools.programs.filter(({ version }) => version >= 257)) {
    const { images, programFolder } = await inputs(tools, folder, programs);
    const main = await folder.write("profile1", utf8("ID=main\nTITLE=Main\n"));
    const joined: string[] = [];
    for (const id of ["rescue", "third"]) {
      const profile = await folder.write(`${id}.profile`, utf8(`ID=${id}\nTITLE=Of ${id}\n`));
      const output = folder.of(`${id}.efi`);
      const addon = `--stub=${programFolder}/addon${suffixOf(programs)}.efi.stub`;
      await capture(tools.ukify("build", addon, `--profile=@${profile}`, `--cmdline=${id}`, `--output=${output}`));
      joined.push(`--join-profile=${output}`);
    }
    const image = `${nameOf(programs)}-profiles.efi`;
    const output = `--output=${folder.of(image)}`;
    await capture(tools.ukify("build", ...images.joined, `--profile=@${main}`, ...joined, output));
    const profiles = profilesOf(await sectionsOf(tools, folder, image));
    const registers = await ukiRegisters(await folder.read(image), image);
    const values = await Promise.all(profiles.map((sections) => measured(tools, programs.version, sections, [])));
    assert.deepEqual(valuesOf(registers), values);
    assert.equal(new Set(values).size, 3);
    const names = ["profile 0 (main)", "profile 1 (rescue)", "profile 2 (third)"];
    assert.deepEqual(registers.kernelImages.map(({ name }) => name), names);
  }
});

test("ukiRegisters() calculates what systemd-measure calculates for each device tree", async (tools, folder) => {
  for (const programs of tools.programs.filter(({ version }) => version >= 257)) {
    const { common } = await inputs(tools, folder, programs);
    const trees = [await folder.write("tree1", utf8("tree 1")), await folder.write("tree2", utf8("tree two"))];
    const hwids = await folder.write("hwids-content", utf8("ids of machines"));
    const image = `${nameOf(programs)}-trees.efi`;
    const options = [...trees.map((tree) => `--devicetree-auto=${tree}`), `--section=.hwids:@${hwids}`];
    await capture(tools.ukify("build", ...common, ...options, `--output=${folder.of(image)}`));
    const sections = await sectionsOf(tools, folder, image);
    const registers = await ukiRegisters(await folder.read(image), image);
    // systemd-measure 257 exchanges these two options (ARG_HWIDS and ARG_DTBAUTO in `parse_argv()`). The stub measures
    // .dtbauto, then .hwids (`UnifiedSection`).
    const more = [[], ...trees.map((tree) => [`--hwids=${tree}`])].map((tree) => [...tree, `--dtbauto=${hwids}`]);
    const values = await Promise.all(more.map((options) => measured(tools, programs.version, sections, [], options)));
    assert.deepEqual(valuesOf(registers), values);
  }
});

test("ukiRegisters() gives PCR 4 of the digests that sbsign signs", async (tools, folder) => {
  const [key, certificate] = ["key.pem", "certificate.pem"].map((name) => join(folder.path, name));
  assert.ok(key !== undefined && certificate !== undefined);
  const made = ["-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=test", "-days", "9"];
  await capture(["openssl", "req", "-x509", "-newkey", "rsa:2048", ...made]);
  /** SpcIndirectDataContent contains the digest that is signed: the first OCTET STRING of 32 bytes. */
  const signatureOf = async (file: string) => {
    const path = (suffix: string) => join(folder.path, `${file}.${suffix}`);
    const signer = ["--key", key, "--cert", certificate];
    await capture(["sbsign", ...signer, "--output", path("signed"), join(folder.path, file)]);
    await capture(["sbattach", "--detach", path("signature"), path("signed")]);
    return hex(await Deno.readFile(path("signature")));
  };
  for (const programs of tools.programs) {
    const { common, programFolder } = await inputs(tools, folder, programs);
    const suffix = suffixOf(programs);
    const copy = (name: string) => Deno.copyFile(join(tools.root, programFolder, name), join(folder.path, name));
    const boot = `systemd-boot${suffix}.efi`;
    const shims = programs.version >= 257 ? [`shim${suffix}.efi`] : [];
    for (const name of [...shims, boot]) await copy(name);
    await capture(tools.ukify("build", ...common, `--output=${folder.of("uki.efi")}`));
    // The tool pads a file to whole words before it signs it, so only the signed file has the digest.
    const signatures = [];
    for (const name of [...shims, boot, "uki.efi"]) signatures.push(await signatureOf(name));
    const chain: BootProgram[] = [];
    for (const name of shims) chain.push(readShim(await folder.read(`${name}.signed`), name));
    chain.push(readBootLoader(await folder.read(`${boot}.signed`), boot));
    const { started } = await ukiRegisters(await folder.read("uki.efi.signed"), "uki.efi", { programs: chain });
    const digests = started.slice(2, 2 + signatures.length).map(({ digest }) => digest);
    signatures.forEach((signature, index) => assert.ok(signature.includes(`0420${digests[index]}`), nameOf(programs)));
  }
});
