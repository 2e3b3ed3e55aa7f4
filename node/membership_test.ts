import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { createCertificateAuthority } from "../certificate/ca.ts";
import { clusterIdOf } from "../certificate/cluster_id.ts";
import { generateKeyPair } from "../certificate/keys.ts";
import { writePem } from "../certificate/pem.ts";
import { issueNodeCertificates } from "../certificate/testing/node_certificates.ts";
import {
  installNodeCertificates,
  kubeletKubeconfigPath,
  nodeCertificatePath,
  writeKubeletKubeconfig,
} from "../kubernetes/kubelet_credentials.ts";
import { utf8 } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { checkMembership, isMember, parseMembership, readMembership, recordMembership } from "./membership.ts";
import type { MachineIdentity } from "./membership.ts";
import { nodePaths } from "./paths.ts";

const START = new Date("2026-01-01T00:00:00Z");
const LATER = new Date("2026-06-01T00:00:00Z");
const clock = { now: () => START };
const UUID = "00112233-4455-6677-8899-aabbccddeeff";

/** A member's disk, and its cluster. */
async function member() {
  const root = await Deno.makeTempDir();
  const paths = nodePaths(root);
  await Deno.mkdir(paths.state, { recursive: true });
  const ca = await createCertificateAuthority(START);
  const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
  const node = { nodeName: "worker-1", addresses: ["192.0.2.7"], epoch: 1, lifetimeMs: 3_600_000 };
  const request = { ...node, clientKey: keys.client.spki, servingKey: keys.serving.spki };
  await installNodeCertificates(paths, await issueNodeCertificates(ca, request, START), keys);
  const caPem = writePem("CERTIFICATE", ca.certificate.der);
  await writeKubeletKubeconfig(paths, { server: "https://192.0.2.1:6443", caPem });
  const lock = { clusterId: await clusterIdOf(ca.certificate) };
  return { paths, lock, caPem, [Symbol.asyncDispose]: () => Deno.remove(root, { recursive: true }) };
}

Deno.test("recordMembership() keeps the time of the first record, and adds only what that does not say", async () => {
  await using world = await member();
  const { state } = world.paths;
  assert.equal(await isMember(state), false);
  assert.equal(await readMembership(state), undefined);
  await Deno.writeTextFile(join(state, "member"), `${START.toISOString()}\n`);
  const known = { nodeName: "worker-1", role: "worker", identity: "ab" };
  await recordMembership(state, { now: () => LATER }, known);
  assert.deepEqual(await readMembership(state), { since: START.toISOString(), ...known });
  const text = await Deno.readTextFile(join(state, "member"));
  await recordMembership(state, { now: () => LATER }, { ...known, nodeName: "other" });
  assert.equal(await Deno.readTextFile(join(state, "member")), text);
  for (const machineId of [UUID, UUID.replace("0011", "1100")]) {
    await recordMembership(state, { now: () => LATER }, { machineId });
    assert.deepEqual(await readMembership(state), { since: START.toISOString(), ...known, machineId });
  }
  assert.equal(await isMember(state), true);
});

Deno.test("parseMembership() reads what recordMembership() writes, and refuses everything else", async () => {
  const valid = `{"version":2,"since":"2026-01-01T00:00:00.000Z","nodeName":"worker-1","machineId":"${UUID}"}\n`;
  const isSaid = (error: unknown) => error instanceof BootstrapError && error.code === "malformed/membership";
  assert.deepEqual(parseMembership(utf8(valid), "it"), {
    ...{ since: "2026-01-01T00:00:00.000Z", nodeName: "worker-1", machineId: UUID },
  });
  for (let length = 0; length < valid.length - 1; length++) {
    assert.throws(() => parseMembership(utf8(valid.slice(0, length)), "it"), isSaid, String(length));
  }
  fc.assert(fc.property(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
    const bytes = utf8(valid);
    bytes[at] = (bytes[at] ?? 0) ^ change;
    try {
      assert.equal(typeof parseMembership(bytes, "it").since, "string");
    } catch (error) {
      assert.ok(isSaid(error));
    }
  }));
  await fc.assert(fc.asyncProperty(fc.uint8Array(), (bytes) => {
    assert.throws(() => parseMembership(bytes, "it"), isSaid);
    return Promise.resolve();
  }));
});

Deno.test("checkMembership() passes on the member's own machine, and with what is not known", async () => {
  await using world = await member();
  const { paths, lock } = world;
  const recorded = { since: START.toISOString(), nodeName: "worker-1", identity: "ab", machineId: UUID };
  const moved = { identity: "ab", machineId: UUID.replace("0011", "1100") };
  for (const machine of [{}, moved, { identity: "ab", machineId: UUID, configuredName: "worker-1" }]) {
    await checkMembership(paths, recorded, lock, machine);
    await checkMembership(paths, { since: recorded.since }, lock, machine);
  }
});

Deno.test("checkMembership() refuses a copied disk, another name, and a kubelet that is not the member's", async () => {
  const recorded = { since: START.toISOString(), nodeName: "worker-1", identity: "ab", machineId: UUID };
  type Change = (world: Awaited<ReturnType<typeof member>>) => Promise<MachineIdentity | void>;
  const other = writePem("CERTIFICATE", (await createCertificateAuthority(START)).certificate.der);
  const changes: readonly (readonly [RegExp, Change])[] = [
    [/in another machine: the machine's identity differs/, () => Promise.resolve({ identity: "cd" })],
    [/in another machine: the UUID/, () => Promise.resolve({ machineId: UUID.replace("0011", "1100") })],
    [/names another node/, () => Promise.resolve({ configuredName: "worker-2" })],
    [/no kubeconfig any more/, ({ paths }) => Deno.remove(paths.kubernetes, { recursive: true })],
    [/another cluster/, ({ paths }) => writeKubeletKubeconfig(paths, { server: "https://192.0.2.1", caPem: other })],
    [/another cluster/, ({ paths }) => Deno.writeTextFile(kubeletKubeconfigPath(paths), "")],
    [/another node's/, async ({ paths, caPem }) => {
      const pem = nodeCertificatePath(paths.kubelet, "client");
      const keys = { client: await generateKeyPair("p-256"), serving: await generateKeyPair("p-256") };
      const ca = await createCertificateAuthority(START);
      const node = { nodeName: "worker-9", addresses: ["192.0.2.7"], epoch: 1, lifetimeMs: 3_600_000 };
      const request = { ...node, clientKey: keys.client.spki, servingKey: keys.serving.spki };
      const { client } = await issueNodeCertificates(ca, request, START);
      assert.equal(dirname(pem), join(paths.kubelet, "pki"));
      await Deno.writeTextFile(pem, writePem("CERTIFICATE", client.der));
      assert.notEqual(caPem, "");
    }],
  ];
  for (const [message, change] of changes) {
    await using world = await member();
    const machine = await change(world) ?? {};
    await assert.rejects(checkMembership(world.paths, recorded, world.lock, machine), {
      ...{ code: "precondition/membership", message, retriable: false },
    });
  }
});

Deno.test("checkMembership() accepts a CA in a file, and one among several", async () => {
  await using world = await member();
  const { paths, lock, caPem } = world;
  const other = writePem("CERTIFICATE", (await createCertificateAuthority(START)).certificate.der);
  await writeKubeletKubeconfig(paths, { server: "https://192.0.2.1", caPem: other + caPem });
  const membership = await recordMembership(paths.state, clock);
  await checkMembership(paths, membership, lock, {});
  const path = kubeletKubeconfigPath(paths);
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(join(dirname(path), "ca.crt"), caPem);
  await Deno.writeTextFile(path, text.replace(/certificate-authority-data: .*/, "certificate-authority: ca.crt"));
  await checkMembership(paths, membership, lock, {});
});

Deno.test("checkMembership() takes what only another user may look at for not known", async () => {
  await using world = await member();
  const { root, kubernetes } = world.paths;
  // Root may look at everything, unless it gives up the right to.
  const isRoot = Deno.uid() === 0;
  const LIMITED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"];
  if (isRoot) await Deno.chown(kubernetes, 65534, 65534);
  await Deno.chmod(kubernetes, isRoot ? 0o700 : 0o000);
  const { href } = new URL("membership.ts", import.meta.url);
  const script = `
    const { checkMembership } = await import(${JSON.stringify(href)});
    const { nodePaths } = await import(${JSON.stringify(new URL("paths.ts", import.meta.url).href)});
    const paths = nodePaths(${JSON.stringify(root)});
    const seen = await Deno.lstat(paths.kubernetes + "/kubelet.conf").then(() => "seen", ({ name }) => name);
    await checkMembership(paths, { since: "", nodeName: "worker-1" }, { clusterId: new Uint8Array(32) }, {});
    console.log(seen);`;
  const [program = "", ...args] = [...(isRoot ? LIMITED : []), Deno.execPath(), "eval", "--no-lock", script];
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd: import.meta.dirname ?? "." })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.equal(new TextDecoder().decode(stdout), "PermissionDenied\n");
  } finally {
    await Deno.chmod(kubernetes, 0o755);
  }
  await assert.rejects(
    checkMembership(world.paths, { since: "" }, { clusterId: new Uint8Array(32) }, {}),
    { code: "precondition/membership" },
  );
});
