import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { readPeImage } from "../../attestation/uki/pe.ts";
import { extendedOnce, trustDigest } from "../../protocol/transcript.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { hex } from "../../platform/bytes.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import type { VmImage } from "../tools/prepare_image.ts";
import { capture } from "../tools/run.ts";
import { ukiTools } from "../tools/uki_tools.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { ClusterView } from "./cluster_view.ts";
import { deadlinesMs } from "./deadlines.ts";
import { inOrder } from "./in_order.ts";
import { bootFile, type Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";
import { waitUntil } from "./wait_until.ts";

/** The fields of the output of `policy explain` that the test reads. */
interface Explanation {
  readonly verdict: string;
  readonly refusal: { readonly code: string } | null;
  readonly checks: readonly { readonly check: string; readonly verdict: string }[];
  readonly registers: readonly {
    readonly pcr: number;
    readonly log: string;
    readonly firstDifference: {
      readonly here: { readonly description: string } | null;
      readonly there: { readonly description: string } | null;
    } | null;
  }[];
}

const changedArgument = "audit=0";
const blockBytes = 4096;

testWithVms("A VM is known by its unified kernel image, and none with another image is admitted", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const cluster = new ClusterView(operator, join((await prepareBinaries()).dir, "kubectl"));
  const configuration = operator.nodeConfiguration();
  const first = await testbed.machine({
    ...{ name: "node-1", number: 11, image },
    credentials: { "bootstrapper.config": configuration },
  });
  const joining = { "bootstrapper.config": operator.nodeConfiguration({ joinAddresses: [first.address] }) };
  const changed = await testbed.machine({
    ...{ name: "node-2", number: 12, image, kernelArguments: [changedArgument] },
    credentials: joining,
  });
  const otherRoot = await withChangedByte(image, testbed.folder, "/usr/local/bin/bootstrapper");
  const corrupt = await testbed.machine({
    ...{ name: "node-3", number: 13, image: otherRoot },
    credentials: joining,
  });
  // The machine keeps its own link to the image, which is removed with the machine.
  await Deno.remove(otherRoot.image);
  let registers: Readonly<Record<string, readonly string[]>> = {};

  await step("policy make reads PCR 4 and PCR 11 from an image that was never booted", async () => {
    const identities = await Promise.all([first, changed, corrupt].map((machine) => machine.identity()));
    const made = await operator.run(
      ["policy", "make", "--uki", first.bootImage, "--identity", ...identities, "--control-plane", ...identities],
    );
    assert.equal(made.exitCode, 0, made.stderr);
    registers = parse(made.stdout).tpm.pcrs;
    assert.deepEqual(Object.keys(registers), ["4", "11"]);
    await Deno.writeTextFile(operator.policyFile, made.stdout);
    await operator.writeSettings();
  });

  await step("the VM that boots it reports the same values, and finds nothing unmeasured", async () => {
    await first.start();
    await cluster.said(first, "init-server-listening");
    await first.waitUntilBooted(deadlinesMs.boot);
    const { stdout } = await first.exec(["bootstrapper", "evidence", "--output", "json"], {
      deadlineMs: deadlinesMs.command,
    });
    const { pcrs }: { pcrs: Readonly<Record<string, string>> } = JSON.parse(stdout);
    assert(registers["4"]?.includes(pcrs["4"] ?? ""), `PCR 4 is ${pcrs["4"]}, not one of ${registers["4"]}`);
    assert.deepEqual(registers["11"], [pcrs["11"]]);
    // PCR 12 holds the trust part only: the stub measured no arguments from elsewhere and no credentials.
    const { trust } = readNodeConfiguration(configuration, "the node's configuration");
    assert.equal(pcrs["12"], hex(await extendedOnce(await trustDigest(trust))));
    const said = (await first.journal.entries()).filter(({ message }) => message.includes("image-not-measured"));
    assert.deepEqual(said, []);
  });

  await step("init accepts it, and it becomes Ready", async () => {
    const { exitCode, stdout, stderr } = await operator.run(operator.initArguments(first));
    assert.equal(exitCode, 0, `${stdout}\n${stderr}`);
    await cluster.ready("node-1");
  });

  await step("a VM with one more kernel argument is refused, and both sides name the register", async () => {
    await changed.start();
    await cluster.said(changed, "join-endpoint-refused", { parts: ['"code":"refused/pcr-4"'] });
    await cluster.said(first, "join-refused", { parts: ['"code":"refused/pcr-4"'] });
  });

  await step("policy explain names the registers, and the events that differ from the good VM's", async () => {
    const evidence = await evidenceOf(changed, operator.folder);
    const reference = await evidenceOf(first, operator.folder);
    const explain = ["policy", "explain", evidence, "--policy", operator.policyFile, "--reference", reference];
    const explained = await operator.run(explain);
    assert.equal(explained.exitCode, 3, explained.stderr);
    await Deno.writeTextFile(join(operator.folder, "explained.txt"), explained.stdout);
    const explanation: Explanation = JSON.parse((await operator.run([...explain, "--output", "json"])).stdout);
    assert.equal(explanation.refusal?.code, "refused/pcr-4");
    assert.deepEqual(explanation.registers.map(({ pcr, log }) => [pcr, log]), [[4, "replays"], [11, "replays"]]);
    const [bootLoader, kernelImage] = explanation.registers.map(({ firstDifference }) => firstDifference);
    assert.match(bootLoader?.here?.description ?? "", /BOOTX64\.EFI/);
    assert.match(bootLoader?.there?.description ?? "", /BOOTX64\.EFI/);
    assert.match(kernelImage?.here?.description ?? "", /cmdline/);
    assert.match(kernelImage?.there?.description ?? "", /cmdline/);
    const config = join(operator.folder, "node.yaml");
    await Deno.writeTextFile(config, configuration);
    const verified = await operator.run(["verify", evidence, "--policy", operator.policyFile, "--config", config]);
    assert.equal(verified.exitCode, 3, verified.stdout + verified.stderr);
    await changed.kill();
  });

  await step("a VM whose root differs in one byte does not boot, and its kernel names the block", async () => {
    await corrupt.start();
    await waitUntil({ what: "panic of node-3", deadlineMs: deadlinesMs.boot }, async ({ saw }) => {
      const text = await Deno.readTextFile(corrupt.console);
      saw(text.trim().split("\n").at(-1) ?? "");
      return /verity: .* block \d+ is corrupted[^]*Kernel panic - not syncing: dm-verity device corrupted/.test(text)
        ? true
        : undefined;
    });
    await corrupt.kill();
    const entries = await corrupt.journal.entries();
    assert.deepEqual(entries.filter(({ identifier }) => identifier === "bootstrapper"), []);
  });
});

testWithVms("A VM behind systemd-boot is known by the boot loader and by an image of today's ukify", async (test) => {
  const { image, binary } = await bootstrapImage();
  await using testbed = await Testbed.create();
  const step = inOrder(test, testbed);
  const operator = await Operator.create(testbed, binary);
  const cluster = new ClusterView(operator, join((await prepareBinaries()).dir, "kubectl"));
  const configuration = operator.nodeConfiguration();
  const machine = await testbed.machine({
    ...{ name: "node-1", number: 11, image },
    credentials: { "bootstrapper.config": configuration },
  });
  const { bootLoader, kernelImage } = await behindBootLoader(machine, image);
  let registers: Readonly<Record<string, readonly string[]>> = {};

  await step("policy make computes PCR 4 behind systemd-boot", async () => {
    const start = ["--uki", kernelImage, "--boot-loader", bootLoader];
    const made = await operator.run(["policy", "make", ...start, "--identity", await machine.identity()]);
    assert.equal(made.exitCode, 0, made.stderr);
    assert.ok(!made.stdout.includes("# PCR 12"), made.stdout);
    registers = parse(made.stdout).tpm.pcrs;
  });

  await step("the VM reports the same values, and its PCR 12 holds the trust part only", async () => {
    await machine.start();
    await cluster.said(machine, "init-server-listening");
    await machine.waitUntilBooted(deadlinesMs.boot);
    const { stdout } = await machine.exec(["bootstrapper", "evidence", "--output", "json"], {
      deadlineMs: deadlinesMs.command,
    });
    const { pcrs }: { pcrs: Readonly<Record<string, string>> } = JSON.parse(stdout);
    assert(registers["4"]?.includes(pcrs["4"] ?? ""), `PCR 4 is ${pcrs["4"]}, not one of ${registers["4"]}`);
    assert.deepEqual(registers["11"], [pcrs["11"]]);
    const { trust } = readNodeConfiguration(configuration, "the node's configuration");
    assert.equal(pcrs["12"], hex(await extendedOnce(await trustDigest(trust))));
    await machine.kill();
  });
});

/**
 * Builds an image of the machine's kernel, initramfs and arguments, with a stub of Debian 13, and lets the firmware start
 * systemd-boot, which starts it.
 */
async function behindBootLoader(machine: Machine, image: VmImage) {
  const tools = await ukiTools();
  const programs = { version: 257, architecture: "amd64" } as const;
  const built = readPeImage(await Deno.readFile(machine.bootImage), machine.bootImage);
  const folder = await Deno.makeTempDir({ dir: join(tools.root, "tmp") });
  try {
    for (const name of [".cmdline", ".osrel"]) {
      const section = built.sections.find((one) => one.name === name);
      assert.ok(section !== undefined, name);
      const end = section.rawOffset + section.virtualSize;
      await Deno.writeFile(join(folder, name.slice(1)), built.bytes.subarray(section.rawOffset, end));
    }
    await Deno.copyFile(image.kernel, join(folder, "linux"));
    await Deno.copyFile(image.initrd, join(folder, "initrd"));
    const inTree = folder.slice(tools.root.length);
    const parts = [`--linux=${inTree}/linux`, `--initrd=${inTree}/initrd`, `--cmdline=@${inTree}/cmdline`];
    const stub = `--stub=${tools.folderOf(programs)}/linuxx64.efi.stub`;
    await capture(tools.ukify("build", ...parts, `--os-release=@${inTree}/osrel`, stub, `--output=${inTree}/uki.efi`));
    const kernelImage = machine.bootImage.replace(bootFile, "EFI/Linux/node.efi");
    await Deno.mkdir(dirname(kernelImage), { recursive: true });
    await Deno.copyFile(join(folder, "uki.efi"), kernelImage);
    // The image that was there may be a link to a part that other tests use.
    await Deno.remove(machine.bootImage);
    await Deno.copyFile(join(tools.root, tools.folderOf(programs), "systemd-bootx64.efi"), machine.bootImage);
    return { bootLoader: machine.bootImage, kernelImage };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Makes an image that differs from another in one bit at the start of a file. */
async function withChangedByte(image: VmImage, folder: string, path: string): Promise<VmImage> {
  const changed = join(folder, "changed.img");
  await capture(["cp", "--sparse=auto", image.image, changed]);
  const [block = ""] = (await capture(["debugfs", "-R", `blocks ${path}`, changed])).trim().split(" ");
  using file = await Deno.open(changed, { read: true, write: true });
  const offset = Number(block) * blockBytes;
  await file.seek(offset, Deno.SeekMode.Start);
  const byte = new Uint8Array(1);
  assert.equal(await file.read(byte), 1);
  await file.seek(offset, Deno.SeekMode.Start);
  await file.write(byte.map((value) => value ^ 1));
  return { ...image, image: changed };
}

/** Has a machine write its evidence into a file, and copies the file into a folder of this machine. */
async function evidenceOf(machine: Machine, folder: string): Promise<string> {
  await machine.waitUntilBooted(deadlinesMs.boot);
  const script = "bootstrapper evidence --ek-type rsa2048 --out /tmp/evidence.json >&2 && cat /tmp/evidence.json";
  const { exitCode, stdout, stderr } = await machine.exec(["sh", "-c", script], { deadlineMs: deadlinesMs.command });
  assert.equal(exitCode, 0, stderr);
  const file = join(folder, `${machine.name}.evidence.json`);
  await Deno.writeTextFile(file, stdout);
  return file;
}
