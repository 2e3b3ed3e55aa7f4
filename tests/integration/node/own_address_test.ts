/** The name and the address that a machine finds, with the kernel's own interfaces and routes in namespaces. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DENO_RUN } from "../../deno_run.ts";

const PROGRAM = join(import.meta.dirname ?? ".", "_print_own_address.ts");
/** Two interfaces, each with its other end. */
const LINKS = `set -eu
ip link set lo up
ip link add e0 type veth peer name p0; ip link set e0 up; ip link set p0 up
ip link add e1 type veth peer name p1; ip link set e1 up; ip link set p1 up
`;

interface Found {
  readonly name?: string;
  readonly address?: string;
  readonly code?: string;
  readonly networks?: readonly string[];
  readonly failed: readonly { readonly check: string }[];
}

/** Sets up a machine in namespaces of its own, and returns what it finds. */
async function find(setup: string, ...argv: readonly string[]): Promise<Found> {
  const script = `${LINKS}${setup}\nexec "$@"`;
  const { code, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--net", "--uts", "--mount", "sh", "-c", script, "sh", ...DENO_RUN, PROGRAM, ...argv],
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const MACHINES: readonly (readonly [what: string, setup: string, expected: Partial<Found>, addressFrom?: string])[] = [
  [
    "an address that floats between machines",
    "hostname node-1; ip a add 10.77.0.11/24 dev e0; ip a add 10.77.0.100/32 dev e0; ip r add default via 10.77.0.1",
    { name: "node-1", address: "10.77.0.11", networks: ["10.77.0.11/24"] },
  ],
  [
    "a default route through NAT",
    "hostname node-1; ip a add 10.0.2.15/24 dev e0; ip a add 192.168.56.11/24 dev e1; ip r add default via 10.0.2.2",
    { address: "10.0.2.15" },
  ],
  [
    "a default route through NAT, and a network that the configuration names",
    "hostname node-1; ip a add 10.0.2.15/24 dev e0; ip a add 192.168.56.11/24 dev e1; ip r add default via 10.0.2.2",
    { address: "192.168.56.11" },
    "192.168.56.0/24",
  ],
  [
    "IPv6 only, with an address of a single host",
    "hostname node-1; ip -6 a add fd00:77::11/64 dev e0 nodad; ip -6 a add fd00:77::dead:beef/128 dev e0 nodad; " +
    "ip -6 r add default via fd00:77::1 dev e0",
    { address: "fd00:77::11" },
  ],
  [
    "IPv6 only, and a bridge of a container runtime",
    "hostname node-1; ip link add docker0 type bridge; ip link set docker0 up; ip a add 172.17.0.1/16 dev docker0; " +
    "ip -6 a add fd00:77::11/64 dev e0 nodad; ip -6 r add default via fd00:77::1 dev e0",
    { address: "fd00:77::11" },
  ],
  [
    "a tunnel with the better metric",
    "hostname node-1; ip a add 10.77.0.11/24 dev e0; ip a add 100.64.0.7/32 dev e1; " +
    "ip r add default via 10.77.0.1 metric 100; ip r add default dev e1 metric 50",
    { address: "10.77.0.11" },
  ],
  [
    "a host name with a domain",
    "hostname Node-1.example.internal; ip a add 10.77.0.11/24 dev e0; ip r add default via 10.77.0.1",
    { name: "node-1.example.internal", address: "10.77.0.11" },
  ],
  ["the host name localhost", "hostname localhost; ip a add 10.77.0.11/24 dev e0", { code: "unavailable/host-name" }],
  ["no network yet", "hostname node-1", { code: "unavailable/address" }],
];

for (const [what, setup, expected, addressFrom] of MACHINES) {
  Deno.test(`resolveNodeSelf() on a machine with ${what}`, async () => {
    const found = await find(setup, ...addressFrom === undefined ? [] : [addressFrom]);
    assert.deepEqual({ ...found, ...expected }, found);
  });
}

Deno.test("nodeChecks() refuses swap as the kernel lists it", async () => {
  const setup = "hostname node-1; ip a add 10.77.0.11/24 dev e0; ip r add default via 10.77.0.1; swaps=$(mktemp); " +
    "printf 'Filename Type Size Used Priority\\n/swap.img file 4194300 0 -2\\n' >$swaps; mount --bind $swaps /proc/swaps";
  const { failed } = await find(setup);
  assert.deepEqual(failed.map(({ check }) => check), ["swap"]);
});
