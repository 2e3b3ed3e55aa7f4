import { requiredNames, tpmOf } from "../../attestation/testing/sections.ts";
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { parse } from "yaml";
import { issueEvidenceFile, writeEvidenceFile } from "../../attestation/evidence_file.ts";
import { createSoftwareMachine, filled } from "../../attestation/kinds/tpm/testing/tpm.ts";
import { extendedOnce, trustDigest } from "../../protocol/transcript.ts";
import { kernelSection, magicSection, STUB_252, writePe } from "../../attestation/uki/testing/images.ts";
import { writeLog } from "../../attestation/eventlog/testing/event_logs.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { hex, utf8 } from "../../platform/bytes.ts";
import { TestWorld } from "../testing/command_line.ts";
import { policyMake } from "./policy_make.ts";

const machine = await createSoftwareMachine();
const example = await Deno.readTextFile(new URL("../../deploy/node-worker.example.yaml", import.meta.url));
const { trust } = readNodeConfiguration(example, "it");
const trusted = await extendedOnce(await trustDigest(trust));

async function withFiles(run: (world: TestWorld, path: (name: string) => string) => Promise<void>): Promise<void> {
  await using world = await TestWorld.create();
  const path = (name: string) => `${world.root}/${name}`;
  const write = async (name: string, pcr4: number, pcr12: Uint8Array) => {
    const pcrs = Array.from(
      { length: 16 },
      (_, pcr) => pcr === 12 ? pcr12 : pcr === 15 ? filled(0) : filled(pcr === 4 ? pcr4 : pcr),
    );
    const log = writeLog([{ pcr: 9, type: 13, data: utf8("a\u001b[31mb") }]);
    const file = await issueEvidenceFile([{ issue: (statement) => machine.issue(statement, pcrs) }], log);
    await Deno.writeFile(path(name), writeEvidenceFile(file));
  };
  await write("good.json", 4, trusted);
  await write("bad.json", 5, filled(12));
  await Deno.writeTextFile(path("node.yaml"), example);
  await Deno.writeFile(path("uki.efi"), writePe([STUB_252, kernelSection("kernel")]));
  assert.equal(await world.run("policy", "make", path("good.json")), 0, world.err);
  await Deno.writeTextFile(path("policy.yaml"), world.out);
  await run(world, path);
}

Deno.test("policy make prints a policy, as text or in JSON", async () => {
  await withFiles(async (world, path) => {
    const args = [
      "policy",
      "make",
      path("good.json"),
      path("bad.json"),
      "--without-pcr",
      "1",
      "2",
      "--uki",
      path("uki.efi"),
    ];
    assert.equal(await world.run(...args, "--control-plane", machine.identity.toUpperCase()), 0, world.err);
    const policy = readPolicy(world.out, "it");
    assert.ok(!tpmOf(policy).pcrs.has(2) && policy.controlPlanes.has(machine.identity));
    assert.ok(!tpmOf(policy).pcrs.has(10));
    assert.equal(await world.run("policy", "make", path("good.json"), "--with-pcr", "10"), 0, world.err);
    assert.ok(tpmOf(readPolicy(world.out, "it")).pcrs.has(10));
    assert.equal(tpmOf(policy).pcrs.get(4)?.length, 4);
    assert.equal(await world.run(...args, "--phases", "enter-initrd:leave-initrd", "--output", "json"), 0, world.out);
    const { policy: text, images } = JSON.parse(world.out);
    assert.deepEqual(requiredNames(readPolicy(text, "it")), { node: ["tpm"], init: ["tpm"] });
    assert.equal(images[0].measurements.length, 8);
    assert.deepEqual([images[0].pcr4.length, images[0].pcr11.length], [2, 1]);
    assert.deepEqual(world.kept, policyMake.keeps);
    const places = ["--collateral", "docs", "--collateral-cache", "https://example.com/c"];
    assert.equal(await world.run("policy", "make", path("good.json"), ...places), 0, world.err);
    const { collateral } = readPolicy(world.out, "it");
    assert.deepEqual(collateral, { folder: resolve("docs"), cache: "https://example.com/c" });
    assert.equal(await world.run("policy", "make", path("good.json"), "--collateral-cache", "http://example.com"), 2);
  });
});

Deno.test("policy make computes PCR 4 behind a shim and systemd-boot, and PCR 11 of each profile", async () => {
  await withFiles(async (world, path) => {
    const profiles = ["main", "rescue"].map((id) => ({ name: ".profile", content: utf8(`ID=${id}\n`) }));
    const stub = magicSection("systemd-stub 257.13-1~deb13u1");
    await Deno.writeFile(path("profiles.efi"), writePe([stub, kernelSection("kernel"), ...profiles]));
    await Deno.writeFile(path("boot.efi"), writePe([magicSection("systemd-boot 257.13-1~deb13u1")]));
    await Deno.writeFile(path("shim.efi"), writePe([{ name: ".sbat", content: utf8("shim,4,UEFI shim,shim,1,x\n") }]));
    const make = ["policy", "make", "--identity", machine.identity, "--output", "json"];
    const image = ["--uki", path("profiles.efi")];
    const made = async (...args: readonly string[]) => {
      assert.equal(await world.run(...make, ...image, ...args), 0, world.err + world.out);
      const { policy, remarks, images: [first] } = JSON.parse(world.out);
      const { pcrs } = tpmOf(readPolicy(policy, "it"));
      assert.deepEqual(pcrs.get(4)?.map(hex), first.pcr4);
      assert.deepEqual(pcrs.get(11)?.map(hex), first.pcr11.map(({ value }: { readonly value: string }) => value));
      assert.deepEqual(first.pcr11.map(({ name }: { readonly name: string }) => name), [
        "profile 0 (main)",
        "profile 1 (rescue)",
      ]);
      assert.match(remarks.join("\n"), /^PCR 12: .*profile 1 \(rescue\)\.$/m);
      return first.pcr4.join();
    };
    const [boot, shim] = [["--boot-loader", path("boot.efi")], ["--shim", path("shim.efi")]];
    const values = [await made(), await made(...boot), await made(...shim), await made(...boot, ...shim)];
    assert.equal(new Set(values).size, 4);
    assert.equal(await world.run(...make, ...image, "--boot-loader", path("shim.efi")), 2);
    assert.equal(JSON.parse(world.out).error.code, "usage/boot-program");
    assert.equal(await world.run(...make, path("good.json"), ...boot), 2);
    assert.equal(JSON.parse(world.out).error.code, "usage/policy-sources");
  });
});

Deno.test("policy make binds names to identities, keeps those of all other machines apart, and is loud without both", async () => {
  await withFiles(async (world, path) => {
    const made = async (...more: readonly string[]) => {
      assert.equal(await world.run("policy", "make", path("good.json"), ...more), 0, world.err);
      return world.out;
    };
    assert.match(await made(), /^# UNBOUND NAMES: /m);
    const other = "0".repeat(64);
    const bound = await made("--name-of", `${other}=control-plane-1`, `${other}=control-plane-2`, "*=worker-*");
    assert.ok(!bound.includes("UNBOUND"), bound);
    const { names } = readPolicy(bound, "it");
    assert.deepEqual(names.default, ["worker-*"]);
    assert.deepEqual(names.byIdentity.get(other), ["control-plane-1", "control-plane-2"]);
    assert.match(await made("--allow-unmeasured-image"), /^# UNMEASURED: [^]*^allowUnmeasuredImage: true$/m);
    assert.equal(await world.run("policy", "make", path("good.json"), "--name-of", "me=one"), 2);
    assert.match(world.err, /usage\/identity/);
    assert.equal(await world.run("policy", "make", path("good.json"), "--name-of", `${other}=`), 2);
    assert.match(world.err, /usage\/identity/);
  });
});

Deno.test("verify exits with 0 if the services would accept the evidence, and with 3 and the check if they would refuse it", async () => {
  await withFiles(async (world, path) => {
    const policy = ["--policy", path("policy.yaml")];
    assert.equal(await world.run("verify", path("good.json"), ...policy, "--config", path("node.yaml")), 0, world.err);
    assert.match(world.out, new RegExp(`^Verdict: accepted\\n +identity +${machine.identity}\\n +role +worker\\n`));
    assert.equal(await world.run("verify", path("bad.json"), ...policy), 3);
    assert.match(world.err, /code +refused\/pcr-4/);
    assert.match(world.out, /\n {2}pcr-4 +REFUSED/);
    assert.equal(
      await world.run("verify", path("bad.json"), ...policy, "--config", path("node.yaml"), "--output", "json"),
      3,
    );
    assert.equal(JSON.parse(world.out).error.code, "refused/pcr-12");
  });
});

Deno.test("policy explain shows every check, and its exit code is the verdict", async () => {
  await withFiles(async (world, path) => {
    const args = [
      "policy",
      "explain",
      path("bad.json"),
      "--policy",
      path("policy.yaml"),
      "--reference",
      path("good.json"),
    ];
    assert.equal(await world.run(...args), 3, world.err);
    assert.equal(world.err, "", "the verdict has been shown");
    assert.match(world.out, /^Verdict: refused \(refused\/pcr-4\)/);
    assert.match(world.out, /\n {2}pcr-4 +REFUSED.*\n +expected +(?:04){32}\n +seen +(?:05){32}\n/);
    assert.match(world.out, /\n {2}pcr-12 +not judged/);
    assert.match(
      world.out,
      /\nPCR 4, quoted as (?:05){32}: the event log does not explain it, as it replays to 0{64}\.\n/,
    );
    assert.ok(!world.out.includes("\u001b"));
    assert.equal(await world.run(...args, "--output", "json"), 3, world.out);
    const { verdict, refusal, checks, registers } = JSON.parse(world.out);
    assert.deepEqual([verdict, refusal.code, registers[0].pcr], ["refused", "refused/pcr-4", 4]);
    assert.ok(checks.length > 20);
    const json = JSON.parse(world.out);
    assert.equal(await world.run(...args, "-o", "yaml"), 3, world.out);
    assert.deepEqual(parse(world.out), json);
    assert.equal(await world.run(...args.with(2, path("good.json"))), 0, world.err);
  });
});

Deno.test("policy and verify exit with 2 and a next action when the command line is wrong", async () => {
  await withFiles(async (world, path) => {
    const node = ["--node", "127.0.0.1", "--name", "demo", "--key", path("key.pem")];
    const cases: readonly (readonly [readonly string[], string])[] = [
      [["policy", "make"], "usage/policy-sources"],
      [["policy", "make", "--identity", "ab"], "usage/identity"],
      [["policy", "make", path("good.json"), "--without-pcr", "16"], "usage/pcr"],
      [["policy", "make", path("good.json"), "--with-pcr", "12"], "usage/pcr"],
      [["policy", "make", path("good.json"), "--with-pcr", "15"], "usage/pcr"],
      [["policy", "make", "--uki", path("uki.efi"), "--phases", "A"], "usage/phase"],
      [["policy", "explain", path("good.json")], "usage/missing-mandatory-option-value"],
      [["verify", "--policy", path("policy.yaml")], "usage/evidence"],
      [["verify", path("good.json"), ...node, "--policy", path("policy.yaml")], "usage/evidence"],
      [["verify", ...node, "--config", path("node.yaml"), "--policy", path("policy.yaml")], "usage/evidence"],
      [["verify", ...node.slice(0, 4), "--policy", path("policy.yaml")], "usage/node"],
      [["policy", "make", "--name", "demo"], "usage/node"],
      [["policy", "make", ...node.with(1, "a:b")], "usage/endpoint"],
      [["policy", "make", ...node.with(3, "De_mo")], "usage/cluster-name"],
      [["verify", path("good.json"), "--policy", path("good.json")], "usage/document"],
    ];
    for (const [args, code] of cases) {
      assert.equal(await world.run(...args), 2, args.join(" "));
      assert.ok(world.err.includes(code), world.err);
    }
    assert.equal(await world.run("verify", path("policy.yaml"), "--policy", path("policy.yaml")), 1);
    assert.match(world.err, /malformed\/evidence-file/);
  });
});

Deno.test("policy registers prints the values of machines with a configuration, with and without its cluster ID", async () => {
  await withFiles(async (world, path) => {
    assert.ok(trust.clusterId.length > 0);
    const bare = await trustDigest({ ...trust, clusterId: new Uint8Array() });
    const known = await trustDigest(trust);
    assert.equal(await world.run("policy", "registers", "--config", path("node.yaml"), "--output", "json"), 0);
    const { clusterIdUnknown, clusterIdKnown, variants, switches } = JSON.parse(world.out);
    assert.deepEqual([variants, switches], [["tpm"], []]);
    assert.deepEqual([clusterIdUnknown.pcr12, clusterIdKnown.pcr12], [hex(await extendedOnce(bare)), hex(trusted)]);
    assert.deepEqual([clusterIdUnknown.hostData.hex, clusterIdKnown.hostData.hex], [hex(bare), hex(known)]);
    assert.equal(clusterIdKnown.mrConfigId.hex, `${hex(known)}${"00".repeat(16)}`);
    assert.equal(Uint8Array.fromBase64(clusterIdKnown.mrConfigId.base64).toHex(), clusterIdKnown.mrConfigId.hex);
    assert.equal(await world.run("policy", "registers", "--config", path("node.yaml")), 0);
    assert.match(world.out, /These are the values with evidence\.variant tpm, without switches that weaken a check\./);
    assert.match(world.out, new RegExp(`^With the cluster ID .*\n  pcr12 +${hex(trusted)}\n  hostData +${hex(known)}`));
    const firstNode = await world.write("first.yaml", example.replace(/^ *clusterId:.*\n/m, ""));
    assert.equal(await world.run("policy", "registers", "--config", firstNode), 0, world.err);
    assert.match(world.out, new RegExp(`^Without a cluster ID.*\n  pcr12 +${hex(await extendedOnce(bare))}\n`));
    assert.equal(await world.run("policy", "registers"), 2);
  });
});

Deno.test("policy registers and verify count the founding of a configuration in PCR 12", async () => {
  await withFiles(async (world, path) => {
    const tokenKey = "MCowBQYDK2VwAyEAdokxxrIYPcC40agef3vBTKX8SusnP8Hhc0Xg5BF/kEA=";
    const founding = { size: 3, policyDigest: new Uint8Array(), tokenKey: Uint8Array.fromBase64(tokenKey) };
    const { clusterName, operatorKeys, variants, switches } = trust;
    const digest = await trustDigest({
      clusterName,
      clusterId: new Uint8Array(),
      operatorKeys,
      variants,
      switches,
      founding,
    });
    const pcr12 = hex(await extendedOnce(digest));
    const text = example.replace(/^ *clusterId:.*\n/m, `  founding: { size: 3, tokenKey: "${tokenKey}" }\n`);
    const config = await world.write("founding.yaml", text);
    assert.equal(await world.run("policy", "registers", "--config", config), 0, world.err);
    assert.match(world.out, new RegExp(`^Without a cluster ID.*\n  pcr12 +${pcr12}\n`));
    assert.notEqual(pcr12, hex(trusted));
    const args = ["verify", path("good.json"), "--policy", path("policy.yaml"), "--config", config, "--output", "json"];
    assert.notEqual(await world.run(...args), 0);
    assert.ok(world.out.includes(pcr12), world.out);
  });
});

Deno.test("docs/policies.md shows what policy registers prints for the example", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/policies.md", import.meta.url));
  const [, file = "", shown = ""] = /\$ bootstrapper policy registers --config (\S+)\n([^`]*?)…\n```/.exec(page) ?? [];
  const lines = shown.trimEnd().split("\n");
  assert.equal(lines.length, 6, "the page has no such example");
  await using world = await TestWorld.create();
  const config = new URL(`../../${file}`, import.meta.url).pathname;
  assert.equal(await world.run("policy", "registers", "--config", config), 0, world.err);
  assert.deepEqual(world.out.split("\n").slice(0, lines.length), lines);
});

Deno.test("policy make names the option and its value when a name or an identity does not fit", async () => {
  await withFiles(async (world, path) => {
    const stranger = "ab".repeat(32);
    const cases: readonly (readonly [readonly string[], string])[] = [
      [["--name-of", "foo"], 'Cannot use --name-of "foo": it must be IDENTITY=NAME or *=PATTERN'],
      [["--name-of", "12=worker-1"], 'Cannot use --name-of "12=worker-1": it must be IDENTITY=NAME'],
      [["--name-of", `${stranger}=Worker_1`], "stands for any characters and ? for one, such as worker-1."],
      [["--name-of", "*="], 'Cannot use --name-of "*=": the name must be'],
      [["--identity", "12"], 'Cannot use --identity "12" as it is no identity'],
      [["--control-plane", stranger], `Give the evidence of that machine too, or --identity ${stranger}.`],
    ];
    for (const [options, expected] of cases) {
      assert.equal(await world.run("policy", "make", path("good.json"), ...options), 2, options.join(" "));
      assert.ok(world.err.includes(expected), world.err);
    }
  });
});

Deno.test("verify says of a refused PCR 12 what to compare, and names the expected values as policy registers does", async () => {
  await withFiles(async (world, path) => {
    const files = ["--policy", path("policy.yaml"), "--config", path("node.yaml")];
    assert.equal(await world.run("verify", path("bad.json"), ...files), 3);
    assert.match(world.out, new RegExp(`Note: Expected with a cluster ID, for .*: pcr12 ${hex(trusted)}\\.`));
    assert.doesNotMatch(world.out, /D12/);
    assert.match(
      world.err,
      /\nNext: The machine booted with another trust part in its configuration, or none was measured/,
    );
  });
});

Deno.test("commands say in one sentence that a file is binary, a folder, missing or of another kind, and what to do", async () => {
  await withFiles(async (world, path) => {
    await Deno.writeFile(path("noise"), Uint8Array.of(0x7f, 0xff, 0xfe));
    await Deno.writeFile(path("zeros"), new Uint8Array(9));
    const notText = "it is not a text in UTF-8";
    const givenAs: readonly (readonly [call: (name: string) => readonly string[], as: string])[] = [
      [(name) => ["verify", name, "--policy", path("policy.yaml")], "evidence"],
      [(name) => ["policy", "explain", name, "--policy", path("policy.yaml")], "evidence"],
      [(name) => ["policy", "make", name], "evidence"],
      [(name) => ["verify", path("good.json"), "--policy", name], "document"],
      [(name) => ["policy", "explain", path("good.json"), "--policy", name], "document"],
      [(name) => ["verify", path("good.json"), "--policy", path("policy.yaml"), "--config", name], "document"],
      [(name) => ["policy", "registers", "--config", name], "document"],
    ];
    for (const [call, as] of givenAs) {
      for (const name of ["noise", "zeros"].map(path)) {
        assert.equal(await world.run(...call(name)), as === "document" ? 2 : 1, world.err);
        const begin = as === "document" ? `Cannot use ${name}: ` : `Cannot read ${name} as evidence: `;
        assert.ok(world.err.startsWith(`Error: ${begin}${notText}.\n`), world.err);
        assert.doesNotMatch(world.err, /because/);
      }
      assert.equal(await world.run(...call(world.root)), 1);
      assert.match(world.err, /^Error: Cannot read \S+ as it is a folder\.\n[^]*Next: Name a file\.\n$/);
      assert.equal(await world.run(...call(path("none"))), 1);
      assert.match(world.err, /as there is no such file\.\n[^]*Next: Check the path\.\n$/);
    }
    assert.equal(await world.run("verify", path("policy.yaml"), "--policy", path("policy.yaml")), 1);
    assert.match(
      world.err,
      /^Error: Cannot read \S+ as evidence: it is not JSON\.\n(?: {2}(?!because).*\n)*Next: Make the/,
    );
    assert.equal(await world.run("verify", path("good.json"), "--policy", path("good.json")), 2);
    assert.match(world.err, /this is an evidence file; a policy is expected, see deploy\/policy\.example\.yaml/);
    assert.equal(await world.run("policy", "make", path("good.json"), "--uki", path("policy.yaml")), 1);
    assert.match(
      world.err,
      /policy\.yaml as a PE image: it does not begin with MZ\.\n(?: {2}(?!because).*\n)*Next: Give the/,
    );
  });
});
