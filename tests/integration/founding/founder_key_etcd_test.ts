/** The founders' certificates as etcd takes them: each is its own trust anchor, and the key counts. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { FounderKey } from "../../../founding/founder_key.ts";
import { readOrCreateFounderKey } from "../../../founding/founder_key.ts";
import { prepareBinaries } from "../../tools/prepare_binaries.ts";

const PATIENCE_MS = 60_000;
const { dir } = await prepareBinaries();

interface Member {
  readonly name: string;
  readonly folder: string;
  readonly key: FounderKey;
  readonly peerPort: number;
  readonly clientPort: number;
}

/** Ports that are free now. */
function freePorts(count: number): readonly number[] {
  const listeners = [...Array(count)].map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port);
  for (const listener of listeners) listener.close();
  return ports;
}

function startEtcd(member: Member, members: readonly Member[]): Deno.ChildProcess {
  const { name, folder, peerPort, clientPort } = member;
  const files = [`--cert-file=${folder}/certificate.pem`, `--key-file=${folder}/key.pem`];
  const trusted = join(folder, "trusted.pem");
  return new Deno.Command(join(dir, "etcd"), {
    args: [
      ...[`--name=${name}`, `--data-dir=${folder}/etcd`, "--initial-cluster-state=new", "--initial-cluster-token=r"],
      `--initial-cluster=${members.map((one) => `${one.name}=https://127.0.0.1:${one.peerPort}`).join(",")}`,
      ...[`--listen-peer-urls=https://127.0.0.1:${peerPort}`],
      ...[`--initial-advertise-peer-urls=https://127.0.0.1:${peerPort}`],
      ...[`--listen-client-urls=https://127.0.0.1:${clientPort}`],
      ...[`--advertise-client-urls=https://127.0.0.1:${clientPort}`],
      ...["--client-cert-auth", `--trusted-ca-file=${trusted}`, ...files],
      ...["--peer-client-cert-auth", `--peer-trusted-ca-file=${trusted}`, "--peer-skip-client-san-verification"],
      ...files.map((flag) => flag.replace("--", "--peer-")),
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** Writes a key to a member and reads it back, with a founder's certificate. Returns whether that worked. */
async function canUse({ clientPort, folder }: Member, as: string): Promise<boolean> {
  const { success } = await new Deno.Command(join(dir, "etcdctl"), {
    args: [
      ...[`--endpoints=https://127.0.0.1:${clientPort}`, `--cacert=${folder}/certificate.pem`],
      ...[`--cert=${as}/certificate.pem`, `--key=${as}/key.pem`, "--command-timeout=5s", "put", "a", "b"],
    ],
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

Deno.test("etcd takes the founders' certificates for members and clients, and no other", async () => {
  const folder = await Deno.makeTempDir({ prefix: "founders-" });
  const children: Deno.ChildProcess[] = [];
  try {
    const [peerA = 0, clientA = 0, peerB = 0, clientB = 0] = freePorts(4);
    const ports = { a: [peerA, clientA], b: [peerB, clientB] } as const;
    const members = await Promise.all((["a", "b"] as const).map(async (name): Promise<Member> => {
      const at = join(folder, name);
      const [peerPort, clientPort] = ports[name];
      const key = await readOrCreateFounderKey(at, { host: "127.0.0.1", port: peerPort });
      return { name, folder: at, key, peerPort, clientPort };
    }));
    const trusted = members.map(({ key }) => key.certificatePem).join("");
    for (const member of members) {
      await Deno.writeTextFile(join(member.folder, "trusted.pem"), trusted);
      children.push(startEtcd(member, members));
    }
    const [a, b] = members;
    assert.ok(a !== undefined && b !== undefined);
    const lateMs = performance.now() + PATIENCE_MS;
    // A write needs both members: their peers' TLS works then, in both directions.
    while (!await canUse(a, a.folder)) assert.ok(performance.now() < lateMs, "etcd does not answer in time");
    assert.ok(await canUse(b, a.folder), "a founder's certificate is for clients of the other's too");
    const other = join(folder, "other");
    await readOrCreateFounderKey(other, { host: "127.0.0.1", port: 1 });
    assert.ok(!await canUse(a, other), "another founder's certificate was taken");
  } finally {
    for (const child of children) {
      child.kill("SIGKILL");
      await child.status;
    }
    await Deno.remove(folder, { recursive: true });
  }
});
