import assert from "node:assert/strict";
import fc from "fast-check";
import { BootstrapError } from "../platform/errors.ts";
import { addressBytes, isInNetwork } from "../platform/ip_address.ts";
import { checkClaims, checkFirstFamily, type Claims, clusterNetwork } from "./claims_check.ts";

const DOCUMENT = "kubernetesVersion: v1.36.3\n";
const network = clusterNetwork(["198.51.100.1:6443", "[2001:db8::6]:6443", "API:6443"], DOCUMENT);
const worker: Claims = { nodeName: "worker-1", role: "worker", addresses: ["192.0.2.7", "2001:db8::7"] };
const controlPlane: Claims = { ...worker, role: "control-plane" };

/** The code with which claims are refused, or an empty text. */
function codeOf(claims: Claims, of = network): string {
  try {
    checkClaims(claims, of);
    return "";
  } catch (error) {
    assert.ok(error instanceof BootstrapError && error.next !== "" && error.details["expected"] !== undefined);
    assert.equal(error.retriable, false);
    return error.code;
  }
}

Deno.test("checkClaims() accepts a name and addresses of a node's own", () => {
  assert.equal(codeOf(worker), "");
  assert.equal(codeOf({ ...worker, nodeName: "kubernetes-1", addresses: [] }), "");
  assert.equal(codeOf({ ...worker, addresses: ["10.95.255.255", "10.112.0.1", "::2", "fc00::1"] }), "");
});

Deno.test("checkClaims() refuses the API server's names, and to a control plane only those that every cluster uses", () => {
  for (const nodeName of ["kubernetes", "localhost", "api"]) {
    assert.equal(codeOf({ ...worker, nodeName }), "refused/node-name");
    assert.equal(codeOf({ ...controlPlane, nodeName }), nodeName === "api" ? "" : "refused/node-name");
  }
});

Deno.test("checkClaims() refuses addresses that no node can have, however they are written", () => {
  const wrong = ["", "x", "fe80::1%eth0", "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.1.2.3", "169.254.1.1", "224.0.0.1"]
    .concat(["239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "0:0:0:0:0:0:0:1", "fe80::1", "FEBF::1"])
    .concat(["ff02::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "10.96.0.1", "10.111.255.255", "::ffff:10.96.0.1"]);
  for (const address of wrong) {
    for (const claims of [worker, controlPlane]) {
      assert.equal(codeOf({ ...claims, addresses: ["192.0.2.7", address] }), "refused/node-address", address);
    }
  }
});

Deno.test("checkClaims() refuses the API endpoint's address to workers only", () => {
  for (const address of ["198.51.100.1", "::ffff:198.51.100.1", "2001:db8::6", "2001:DB8:0::6"]) {
    assert.equal(codeOf({ ...worker, addresses: [address] }), "refused/node-address", address);
    assert.equal(codeOf({ ...controlPlane, addresses: [address] }), "", address);
  }
});

Deno.test("clusterNetwork() takes the cluster's own range of Services", () => {
  const own = clusterNetwork(["192.0.2.1:6443"], `${DOCUMENT}serviceSubnet: fd00:1::/108\n`);
  assert.deepEqual(own, { apiHosts: ["192.0.2.1"], serviceSubnets: ["fd00:1::/108"], podSubnets: [], family: 6 });
  assert.equal(codeOf({ ...worker, addresses: ["fd00:1::1"] }, own), "refused/node-address");
  assert.equal(codeOf({ ...worker, addresses: ["10.96.0.1"] }, own), "");
});

Deno.test("checkClaims() refuses addresses of Pods, whose traffic a node could take", () => {
  for (
    const [subnet, inside, outside] of [
      ["10.244.0.0/16", ["10.244.0.1", "10.244.255.255", "::ffff:10.244.3.1"], ["10.243.255.255", "10.245.0.0"]],
      ["fd00:2::/56", ["fd00:2::1", "FD00:2:0:ff::9"], ["fd00:2:0:100::1", "fd00:3::1"]],
    ] as const
  ) {
    const own = clusterNetwork(["192.0.2.1:6443"], `${DOCUMENT}podSubnet: ${subnet}\n`);
    for (const claims of [worker, controlPlane]) {
      for (const address of inside) {
        assert.equal(codeOf({ ...claims, addresses: ["192.0.2.7", address] }, own), "refused/node-address", address);
      }
      for (const address of outside) assert.equal(codeOf({ ...claims, addresses: [address] }, own), "", address);
    }
  }
});

Deno.test("checkClaims() decides on any address, and accepts none of a Service", () => {
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (address) => {
    const isOk = codeOf({ ...worker, addresses: [address] }) === "";
    const bytes = addressBytes(address);
    assert.ok(!isOk || (bytes !== undefined && network.serviceSubnets.every((one) => !isInNetwork(bytes, one))));
  }));
});

Deno.test("checkFirstFamily() refuses a node whose first address is of the other family, and says what to do", () => {
  const families = (services: string) => clusterNetwork(["192.0.2.1:6443"], `${DOCUMENT}serviceSubnet: ${services}\n`);
  const four = ["192.0.2.7"];
  const six = ["2001:db8::7"];
  const both = "10.96.0.0/16,fd00:96::/112";
  const cases: readonly (readonly [services: string, addresses: readonly string[], next: RegExp | undefined])[] = [
    ["10.96.0.0/16", four, undefined],
    ["10.96.0.0/16", [...four, ...six], undefined],
    ["10.96.0.0/16", six, /Give the machine an IPv4 address/],
    ["10.96.0.0/16", [...six, ...four], /Write the IPv4 address first/],
    ["fd00:96::/112", six, undefined],
    ["fd00:96::/112", four, /Give the machine an IPv6 address/],
    [both, [...four, ...six], undefined],
    [both, [...six, ...four], /Write the IPv4 address first/],
    [both, four, undefined],
    [both, six, /Give the machine an IPv4 address/],
  ];
  for (const [services, addresses, next] of cases) {
    for (const claims of [worker, controlPlane]) {
      const check = () => checkFirstFamily({ ...claims, addresses }, families(services));
      if (next === undefined) check();
      else assert.throws(check, { code: "refused/node-address", retriable: false, next });
    }
  }
  checkFirstFamily({ ...worker, addresses: [] }, families(both));
  checkFirstFamily({ ...worker, addresses: ["x"] }, families(both));
});
