import assert from "node:assert/strict";
import { join } from "node:path";
import { snpKind } from "../../attestation/kinds/snp/kind.ts";
import { createSoftwareAmd, NOW as AMD_NOW } from "../../attestation/kinds/snp/testing/snp.ts";
import { TDX } from "../../attestation/kinds/tdx/kind.ts";
import { TPM } from "../../attestation/kinds/tpm/kind.ts";
import { DocumentServer } from "../../certificate/testing/document_server.ts";
import { copyOf } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { REACH_DEADLINE_MS } from "../../platform/reach.ts";
import { TestWorld } from "../testing/command_line.ts";
import { FETCH, notFound, VendorWorld } from "../testing/vendor_world.ts";

Deno.test("policy collateral fetch asks again when a service is busy, and names the address that does not answer", async () => {
  const amd = await createSoftwareAmd();
  const crl = await amd.crl();
  let failures = 2;
  await using world = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    () => failures-- > 0 ? new Response("slow down", { status: 429 }) : new Response(copyOf(crl)),
  );
  assert.equal(await world.run("--platform", "milan"), 0, world.cli.err);
  assert.equal(world.server.asked.length, 3);
  assert.match(world.cli.err, /^(?:Cannot get .*crl: it was answered with 429; trying again in \d+ s\n){2}$/);
  failures = 9;
  assert.equal(await world.run("--platform", "milan"), 4);
  assert.match(world.cli.err, /https:\/\/localhost:\d+\/vcek\/v1\/Milan\/crl: it was answered with 429/);
});

Deno.test("policy collateral fetch fills the folder of the policy, and says what a command line lacks", async () => {
  const amd = await createSoftwareAmd();
  const crl = await amd.crl();
  await using world = await VendorWorld.start(
    { kinds: [TPM, snpKind(amd.anchors), TDX], now: AMD_NOW },
    () => new Response(copyOf(crl)),
  );
  const address = ["--ca", world.path("ca.pem"), "--address", `amd=${world.server.origin}`];
  const example = await Deno.readTextFile(new URL("../../deploy/policy-snp.example.yaml", import.meta.url));
  const policy = example.replace(/folder: .*/, `folder: ${world.path("docs")}`);
  assert.notEqual(policy, example);
  await Deno.writeTextFile(world.path("policy.yaml"), policy);
  const ofPolicy = ["--policy", world.path("policy.yaml")];
  assert.equal(await world.cli.run(...FETCH, "--platform", "milan", ...ofPolicy, ...address), 0, world.cli.err);
  assert.deepEqual(await world.files(), ["amd-milan-vcek.crl"]);
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--platform", "milan"], /usage\/collateral\n[^]*--collateral/],
    [["--platform", "rome", "--collateral", "d"], /usage\/collateral\n[^]*milan, genoa, turin/],
    [["--collateral", "d"], /usage\/collateral\n[^]*--platform/],
    [["--platform", "milan", "--collateral", "d", "--address", "nvidia=https://a/"], /usage\/collateral\n[^]*amd/],
    [["--platform", "milan", "--collateral", "d", "--address", "amd=http://a"], /usage\/collateral-url/],
    [["--platform", "milan", "--collateral", "d", "--address", "amd"], /usage\/collateral-url/],
  ];
  for (const [args, said] of wrong) {
    assert.equal(await world.cli.run(...FETCH, ...args), 2, args.join(" "));
    assert.match(world.cli.err, said);
  }
  assert.equal(await world.cli.run("policy", "collateral"), 2);
  assert.match(world.cli.err, /bootstrapper policy collateral --help/);
});

Deno.test("policy collateral fetch names an unreachable host and what it did not fetch once, after tries within the deadline", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const host = `127.0.0.1:${closed.addr.port}`;
  await using cli = await TestWorld.create();
  const sleeps: number[] = [];
  Object.assign(cli.context.clock, {
    sleep(ms: number, signal?: AbortSignal) {
      sleeps.push(ms);
      return ms === REACH_DEADLINE_MS ? systemClock.sleep(ms, signal) : Promise.resolve();
    },
  });
  const to = ["--collateral", join(cli.root, "docs"), "--address", `intel=https://${host}`];
  assert.equal(await cli.run(...FETCH, "--platform", "b0c06f000000", ...to), 4, cli.err);
  const pauses = sleeps.filter((ms) => ms !== REACH_DEADLINE_MS);
  assert.equal(pauses.length, 3);
  assert.ok(pauses.reduce((all, ms) => all + ms) < REACH_DEADLINE_MS, pauses.join());
  assert.equal(cli.err.match(/Connection refused/g)?.length, 1, cli.err);
  assert.match(cli.err, new RegExp(`Cannot reach ${host}: Connection refused`));
  assert.match(cli.err, /^ {2}missing +tdx-root\.crl, tdx-pck-platform\.crl, .*tdx-qe-identity\.json/m);
  assert.match(cli.err, /\nNext: Check the network and the name service of this machine, or .* --address\.\n$/);
  assert.equal(cli.out.match(new RegExp(`MISSING +from ${host}$`, "gm"))?.length, 5, cli.out);
});

Deno.test("policy collateral fetch asks a host whose certificate is not trusted once, and says what to check", async () => {
  await using world = await VendorWorld.start({}, notFound);
  await using other = await DocumentServer.start(notFound);
  await Deno.writeTextFile(world.path("ca.pem"), other.caPem);
  assert.equal(await world.run("--platform", "b0c06f000000"), 4, world.cli.err);
  assert.doesNotMatch(world.cli.err, /trying again/);
  assert.match(world.cli.err, /\nNext: Check the address, the CA that --ca names/);
  assert.match(world.cli.err, /rootcacrl: invalid peer certificate: /);
  assert.equal(world.cli.out.match(/MISSING +from localhost:\d+$/gm)?.length, 4, world.cli.out);
});
