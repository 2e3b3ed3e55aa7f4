/*
 * The vectors were made by another program, with Python's hashlib, from the definitions alone:
 *
 *   from hashlib import sha256
 *   from struct import pack
 *   H = lambda *x: sha256(b"".join(x)).digest()
 *   LP = lambda x: pack(">I", len(x)) + x
 *   label = b"bootstrapper/1"
 *   fill = lambda n, length=32: bytes([n]) * length
 *   cb, nc, ns, cid = fill(1), fill(2), fill(3), fill(4)
 *   op = bytes(range(44)); op2 = bytes(range(100, 144)); name = "köln-1".encode()
 *   a1, req = fill(5), b"request"
 *   spki, ec = fill(6, 91), fill(7)
 *   label + b"\0founding\0" + b"x"                                                 # what is signed
 *   H(label, b"cb", LP(fill(0xa1)), LP(fill(0xb2)))                                # CB
 *   trust = lambda cid, variants, switches, *keys: H(label, b"trust", LP(name), LP(cid), LP(b",".join(
 *     sorted(variants))), LP(b",".join(sorted(switches))), pack(">I", len(keys)), *[LP(k) for k in sorted(keys)])
 *   unmeasured, insecure = b"allowUnmeasuredImage", b"allowInsecure"
 *   trust(b"", [b"tpm"], [], op2, op)                                              # D12
 *   trust(cid, [b"tpm"], [], op)                                                   # D12 with a cluster ID
 *   trust(cid, [b"tpm", b"snp"], [unmeasured], op)                                 # D12 with a switch
 *   trust(cid, [b"none"], [unmeasured, insecure], op)                              # D12 with both
 *   H(label, b"lock", LP(cid))                                                     # D15
 *   H(bytes(32), H(label, b"lock", LP(cid)))                                       # ext(D15)
 *   H(LP(cb), LP(nc))                                                              # hello
 *   LP(cid) + LP(name)                                                             # founding
 *   H(label, b"init", LP(cb), LP(nc), LP(ns), LP(op), LP(cid))                     # A1 of an Init
 *   H(label, b"operator", LP(a1), LP(H(req)))                                      # A2 of an Init
 *   u32 = lambda n: pack(">I", n)
 *   lists = H(u32(2), LP(b"f1"), LP(b"founding 2"), u32(0), u32(1), LP(b"d"))
 *   H(label, b"join", LP(cb), LP(nc), LP(ns), LP(cid), LP(lists))                  # A1 of a Join
 *   none = H(u32(0), u32(0), u32(0))
 *   H(label, b"join", LP(cb), LP(nc), LP(ns), LP(cid), LP(none))                   # A1 of a Join that shows nothing
 *   H(label, b"node", LP(a1), LP(spki), LP(ec), LP(H(req)))                        # A2 of a Join
 *   LP(a1) + LP(H(b"answer"))                                                      # ticket, init-answer
 *   label + b"\0ticket\0" + LP(a1) + LP(H(b"answer"))                              # what the service signs
 *   label + b"\0init-answer\0" + LP(a1) + LP(H(b"answer"))                         # what the CA signs
 *   label + b"\0identity\0" + a1                                                  # what an identity key signs
 *
 * With parts(…) = what trust(…) hashes, as a list, pd = fill(8), tk = bytes(range(200, 244)):
 *
 *   founding = lambda size, policy, key: [LP(b"founding"), LP(u32(size)), LP(policy), LP(key)]
 *   H(*parts(b"", [b"tpm"], [], op), *founding(3, pd, b""))                        # D12, founding by a policy
 *   H(*parts(b"", [b"tpm"], [], op), *founding(3, b"", tk))                        # D12, founding by a token
 *   d12 = H(*parts(b"", [b"tpm"], []), *founding(7, pd, tk))                       # D12, both, without operators
 *   H(*parts(cid, [b"tpm"], [], op2, op), *founding(1, pd, tk))                    # D12, both, with a cluster ID
 *   H(LP(cb), LP(nc))                                                              # found-c
 *   H(LP(cb), LP(nc), LP(ns))                                                      # found-s
 *   H(label, b"found", LP(cb), LP(nc), LP(ns), LP(d12))                            # A1 of Found
 *   bc = H(label, b"founder-c", LP(a1), LP(fill(6, 300)), LP(H(b"card")))          # B_c
 *   H(label, b"founder-s", LP(bc), LP(fill(6, 300)), LP(H(b"card 2")))             # B_s
 *   H(label, b"token", LP(name)); label + b"\0founding token"                      # the token key's salt and info
 *   LP(cid) + LP(a1)                                                               # token-founding
 *   e1 = LP(b"1d" * 32) + LP(b"cp-1") + LP(b"10.77.0.11:9445") + LP(b"DER")        # a roster's entry
 *   e2 = LP(b"2e" * 32) + LP(b"cp-2") + LP(b"[fd00::1]:9445") + LP(b"")
 *   H(label, b"roster", LP(a1), LP(e1), LP(e2)); H(label, b"roster", LP(a1))       # R, and R of nobody
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bytes } from "../platform/bytes.ts";
import { hex, utf8 } from "../platform/bytes.ts";
import {
  answerStatement,
  channelBinding,
  extendedOnce,
  foundA1,
  foundClientStatement,
  founderClientStatement,
  founderServerStatement,
  foundingStatement,
  foundingTokenInfo,
  foundingTokenSalt,
  foundServerStatement,
  helloStatement,
  initA1,
  initA2,
  INSECURE_SWITCHES,
  joinA1,
  joinA2,
  LABEL,
  lengthPrefixed,
  lockDigest,
  rosterDigest,
  rosterEntryBytes,
  signedBytes,
  tokenFoundingStatement,
  trustDigest,
} from "./transcript.ts";
import type { FoundingTrust, RosterEntry, ShownLists, SignatureTag } from "./transcript.ts";

const filled = (value: number, length = 32) => new Uint8Array(length).fill(value);
const counted = (from: number) => Uint8Array.from({ length: 44 }, (_, i) => from + i);

const binding = filled(1);
const clientNonce = filled(2);
const serverNonce = filled(3);
const clusterId = filled(4);
const operatorKey = counted(0);
const clusterName = "köln-1";
const tpm = { variants: ["tpm"], switches: [] };
const a1 = filled(5);
const request = utf8("request");
const answer = utf8("answer");
const noLists = { foundings: [], successions: [], documents: [] };
const lists = { foundings: [utf8("f1"), utf8("founding 2")], successions: [], documents: [utf8("d")] };
const node = { nodeKey: filled(6, 91), sealingKey: filled(7), request };

const policyDigest = filled(8);
const tokenKey = counted(200);
const none = new Uint8Array();
const certificate = filled(6, 300);
const card = utf8("card");
const first: RosterEntry = {
  ...{ identity: "1d".repeat(32), name: "cp-1", address: "10.77.0.11:9445" },
  certificate: utf8("DER"),
};
const second: RosterEntry = {
  ...{ identity: "2e".repeat(32), name: "cp-2", address: "[fd00::1]:9445" },
  certificate: none,
};
const founded = (founding: FoundingTrust, id: Uint8Array = none, operatorKeys: readonly Uint8Array[] = [operatorKey]) =>
  trustDigest({ clusterName, clusterId: id, operatorKeys, ...tpm, founding });

const vectors: Readonly<Record<string, readonly [value: () => Bytes | Promise<Bytes>, expected: string]>> = {
  "LABEL is the protocol and its version": [() => LABEL, "626f6f7473747261707065722f31"],
  "lengthPrefixed() puts the length in front, 32 bits, most significant byte first": [
    () => lengthPrefixed(filled(0xab, 258)),
    "00000102" + "ab".repeat(258),
  ],
  "lengthPrefixed() returns four zero bytes for an empty input": [() => lengthPrefixed(new Uint8Array()), "00000000"],
  "signedBytes() puts the label and the tag in front, each followed by a zero byte": [
    () => signedBytes("founding", utf8("x")),
    "626f6f7473747261707065722f3100666f756e64696e670078",
  ],
  "channelBinding() gives CB": [
    () => channelBinding({ client: filled(0xa1), server: filled(0xb2) }),
    "5e8d3e4cc0f4126053dc54c0ada5b7d387e4371097fcf410de419bea79bae530",
  ],
  "trustDigest() gives D12 when the cluster ID is not known": [
    () => trustDigest({ clusterName, clusterId: new Uint8Array(), operatorKeys: [counted(100), operatorKey], ...tpm }),
    "e0c9b770132d0024203dc3498501dd85e65ae58264cc6fdb07ceae2309e26caa",
  ],
  "trustDigest() gives D12 when the cluster ID is known": [
    () => trustDigest({ clusterName, clusterId, operatorKeys: [operatorKey], ...tpm }),
    "20ad50b22ce0baa81b886628f051fa98776854322ea725811c970b144cf33185",
  ],
  "trustDigest() gives D12 of a machine that shows two kinds of evidence, with a switch that weakens a check": [
    () =>
      trustDigest({
        clusterName,
        clusterId,
        operatorKeys: [operatorKey],
        variants: ["tpm", "snp"],
        switches: ["allowUnmeasuredImage"],
      }),
    "c470949d7e4675e04e8425c9c113df55652cbafbc4f5a3ab65ae6defa6246794",
  ],
  "trustDigest() gives D12 of a machine that proves nothing, with all switches that weaken a check": [
    () =>
      trustDigest({
        clusterName,
        clusterId,
        operatorKeys: [operatorKey],
        variants: ["none"],
        switches: ["allowUnmeasuredImage", "allowInsecure"],
      }),
    "8a2a5be60bcfb896e3d93c80e228433ac6029a55e8cc7d8d88b932d3640204a8",
  ],
  "lockDigest() gives D15": [
    () => lockDigest(clusterId),
    "6b6ba307f00cd7f4d1f7c03cb03139d616c5af7b1a502d16c5919195237ae52e",
  ],
  "extendedOnce() returns the value of a register after one extension": [
    async () => extendedOnce(await lockDigest(clusterId)),
    "a3097527dbae5478a035077e16ff72b5cac167c0bf58469fec5e4431073dcb2a",
  ],
  "helloStatement() returns the statement that the hello signs": [
    () => helloStatement(binding, clientNonce),
    "90f505115f96c7cef63310e6ff398dfaebd56cf55fa6a078f50d4949e555079e",
  ],
  "foundingStatement() returns the statement that the founding signs": [
    () => foundingStatement(clusterId, clusterName),
    "00000020" + "04".repeat(32) + "00000007" + "6bc3b66c6e2d31",
  ],
  "initA1() gives A1 of an Init": [
    () => initA1({ binding, clientNonce, serverNonce, operatorKey, clusterId }),
    "99b9c3c7b7438ba7daab7e64621c3312c6acb2bdc692b2f74a44c0a5d3c57690",
  ],
  "initA2() gives A2 of an Init": [
    () => initA2(a1, request),
    "e9203188f0a2d9e89331c952599104c908d699295a732fd12e00f58cfe8110ea",
  ],
  "joinA1() gives A1 of a Join": [
    () => joinA1({ binding, clientNonce, serverNonce, clusterId, lists }),
    "c7d22ee325641d0cfc8b7400cbcd2a38c1e15b989d6ebcb699d792a2b702717b",
  ],
  "joinA1() gives A1 of a Join that shows nothing": [
    () => joinA1({ binding, clientNonce, serverNonce, clusterId, lists: noLists }),
    "e69bc241d24190254b90e520d33bcf0af34b908181389c619dcdd5ade1b78efb",
  ],
  "answerStatement() returns the statement that the ticket and the init-answer sign": [
    () => answerStatement(a1, answer),
    "000000200505050505050505050505050505050505050505050505050505050505050505000000200db52f4076c082518412afd3dd3576e2cb0c63703fd7fed5e23ade60efef31d9",
  ],
  "signedBytes() gives what the service signs over a ticket": [
    async () => signedBytes("ticket", await answerStatement(a1, answer)),
    "626f6f7473747261707065722f31007469636b657400000000200505050505050505050505050505050505050505050505050505050505050505000000200db52f4076c082518412afd3dd3576e2cb0c63703fd7fed5e23ade60efef31d9",
  ],
  "signedBytes() gives what the CA signs over the answer of an Init": [
    async () => signedBytes("init-answer", await answerStatement(a1, answer)),
    "626f6f7473747261707065722f3100696e69742d616e7377657200000000200505050505050505050505050505050505050505050505050505050505050505000000200db52f4076c082518412afd3dd3576e2cb0c63703fd7fed5e23ade60efef31d9",
  ],
  "signedBytes() gives what an identity key signs": [
    () => signedBytes("identity", a1),
    "626f6f7473747261707065722f31006964656e74697479000505050505050505050505050505050505050505050505050505050505050505",
  ],
  "joinA2() gives A2 of a Join": [
    () => joinA2(a1, node),
    "c02d7bac067edc5c03c4c9522ea5217b30c07e30f228881a057dfd90fc624c64",
  ],
  "trustDigest() gives D12 of a trust part that founds by a policy": [
    () => founded({ size: 3, policyDigest, tokenKey: none }),
    "9a72bf651f04825650e235700665bae7c0c1b8c4450aa3174d9d1edfada2b5dd",
  ],
  "trustDigest() gives D12 of a trust part that founds by a token": [
    () => founded({ size: 3, policyDigest: none, tokenKey }),
    "33946af585052c60d4ae30c70425e5e1838599dd962dc8c743f41a944fdac3ea",
  ],
  "trustDigest() gives D12 of a trust part that founds by both, without operators": [
    () => founded({ size: 7, policyDigest, tokenKey }, none, []),
    "3a1d01cd2e226a25280c583d92766e77ddb52eab2d9e5bb7e0f34aec690b7bdd",
  ],
  "trustDigest() gives D12 of a trust part that founds by both, when the cluster ID is known": [
    () => founded({ size: 1, policyDigest, tokenKey }, clusterId, [counted(100), operatorKey]),
    "6b9cac96812137f1c75ca19d3b0e6ab94bcc110c38c57f416ba12107370086b1",
  ],
  "foundClientStatement() returns the statement that found-c signs": [
    () => foundClientStatement(binding, clientNonce),
    "90f505115f96c7cef63310e6ff398dfaebd56cf55fa6a078f50d4949e555079e",
  ],
  "foundServerStatement() returns the statement that found-s signs": [
    () => foundServerStatement(binding, clientNonce, serverNonce),
    "20060d996e8c40a85f8a8f37c76a5e7119998d98e79e234bfcc7f56ab4e89a0d",
  ],
  "foundA1() gives A1 of Found": [
    async () =>
      foundA1({
        ...{ binding, clientNonce, serverNonce },
        trustDigest: await founded({ size: 7, policyDigest, tokenKey }, none, []),
      }),
    "bee7b05f0840a591fa2b086d9985c792504b50e54970e317df496f3e5f61fdc4",
  ],
  "founderClientStatement() gives B_c": [
    () => founderClientStatement(a1, { certificate, card }),
    "ea27341a55b47a98f1d64b8660c3bc5537520eed178aafa66ecbe32d0c31de58",
  ],
  "founderServerStatement() gives B_s": [
    async () =>
      founderServerStatement(await founderClientStatement(a1, { certificate, card }), {
        ...{ certificate, card: utf8("card 2") },
      }),
    "da0a899bb98b9a3184598886f84d5ba61a500cdfde75de8ac9b5cfe63ba8ec87",
  ],
  "foundingTokenSalt() gives the salt of the token key": [
    () => foundingTokenSalt(clusterName),
    "79b3a8cf3014182936012815132e8dee37af731766894b70ebb1429596969c5e",
  ],
  "foundingTokenInfo() gives the info of the token key": [
    foundingTokenInfo,
    "626f6f7473747261707065722f3100666f756e64696e6720746f6b656e",
  ],
  "tokenFoundingStatement() returns the statement that token-founding signs": [
    () => tokenFoundingStatement(clusterId, a1),
    "00000020" + "04".repeat(32) + "00000020" + "05".repeat(32),
  ],
  "rosterEntryBytes() gives the bytes of a roster's entry": [
    () => rosterEntryBytes(first),
    "00000040" + "3164".repeat(32) + "0000000463702d31" + "0000000f31302e37372e302e31313a39343435" + "00000003444552",
  ],
  "rosterDigest() gives R": [
    () => rosterDigest(a1, [first, second].map(rosterEntryBytes)),
    "bd3b6575b5df752590185f0ad05a2ab8c73abfdf0f29d56b2bebb221aa036887",
  ],
  "rosterDigest() gives R of no founder": [
    () => rosterDigest(a1, []),
    "c8ecefecd2bb6172e6ef76dbbe69d61f617ad5315e3efb9576931b6ab2ecb58e",
  ],
  "signedBytes() gives what a founder's key signs": [
    () => signedBytes("founder", utf8("x")),
    "626f6f7473747261707065722f3100666f756e6465720078",
  ],
  "signedBytes() gives what a founder pledges": [
    () => signedBytes("pledge", utf8("x")),
    "626f6f7473747261707065722f3100706c656467650078",
  ],
  "signedBytes() gives what the token signs in step 1 of Found": [
    () => signedBytes("found-c", utf8("x")),
    "626f6f7473747261707065722f3100666f756e642d630078",
  ],
  "signedBytes() gives what the token signs in step 2 of Found": [
    () => signedBytes("found-s", utf8("x")),
    "626f6f7473747261707065722f3100666f756e642d730078",
  ],
  "signedBytes() gives what the token signs for joiners": [
    () => signedBytes("token-founding", utf8("x")),
    "626f6f7473747261707065722f3100746f6b656e2d666f756e64696e670078",
  ],
  "signedBytes() gives what the token signs for a control plane that joins": [
    () => signedBytes("token-join", utf8("x")),
    "626f6f7473747261707065722f3100746f6b656e2d6a6f696e0078",
  ],
};

for (const [name, [value, expected]] of Object.entries(vectors)) {
  Deno.test(name, async () => assert.equal(hex(await value()), expected));
}

const bytes = fc.uint8Array({ minLength: 1, maxLength: 48 });
const register = fc.uint8Array({ minLength: 32, maxLength: 32 });

/**
 * Every function of the transcript that hashes or whose result is signed, over the first few of a list of byte strings.
 */
const functions: Readonly<Record<string, readonly [inputs: number, of: (x: readonly Uint8Array[]) => Promise<Bytes>]>> =
  {
    trustDigest: [
      2,
      ([id = empty, key = empty]) => trustDigest({ clusterName, clusterId: id, operatorKeys: [key], ...tpm }),
    ],
    lockDigest: [1, ([id = empty]) => lockDigest(id)],
    extendedOnce: [1, ([digest = empty]) => extendedOnce(digest)],
    helloStatement: [2, ([cb = empty, nonce = empty]) => helloStatement(cb, nonce)],
    foundingStatement: [1, ([id = empty]) => Promise.resolve(foundingStatement(id, clusterName))],
    initA1: [
      5,
      ([cb = empty, nc = empty, ns = empty, key = empty, id = empty]) =>
        initA1({ binding: cb, clientNonce: nc, serverNonce: ns, operatorKey: key, clusterId: id }),
    ],
    initA2: [2, ([a = empty, r = empty]) => initA2(a, r)],
    joinA1: [
      7,
      ([cb = empty, nc = empty, ns = empty, id = empty, f = empty, s = empty, d = empty]) =>
        joinA1({
          ...{ binding: cb, clientNonce: nc, serverNonce: ns, clusterId: id },
          lists: { foundings: [f], successions: [s], documents: [d] },
        }),
    ],
    answerStatement: [2, ([a = empty, r = empty]) => answerStatement(a, r)],
    joinA2: [
      4,
      ([a = empty, key = empty, sealing = empty, r = empty]) =>
        joinA2(a, { nodeKey: key, sealingKey: sealing, request: r }),
    ],
    "trustDigest with a founding": [
      4,
      ([id = empty, key = empty, policy = empty, token = empty]) =>
        founded({ size: 3, policyDigest: policy, tokenKey: token }, id, [key]),
    ],
    // Its statement is the hello's: only the tag tells them apart.
    foundClientStatement: [
      2,
      async ([cb = empty, nonce = empty]) => signedBytes("found-c", await foundClientStatement(cb, nonce)),
    ],
    foundServerStatement: [
      3,
      ([cb = empty, nc = empty, ns = empty]) => foundServerStatement(cb, nc, ns),
    ],
    foundA1: [
      4,
      ([cb = empty, nc = empty, ns = empty, digest = empty]) =>
        foundA1({ binding: cb, clientNonce: nc, serverNonce: ns, trustDigest: digest }),
    ],
    founderClientStatement: [
      3,
      ([a = empty, der = empty, c = empty]) => founderClientStatement(a, { certificate: der, card: c }),
    ],
    founderServerStatement: [
      3,
      ([a = empty, der = empty, c = empty]) => founderServerStatement(a, { certificate: der, card: c }),
    ],
    foundingTokenSalt: [1, ([name = empty]) => foundingTokenSalt(hex(name))],
    tokenFoundingStatement: [
      2,
      ([id = empty, digest = empty]) => Promise.resolve(tokenFoundingStatement(id, digest)),
    ],
    rosterEntryBytes: [
      4,
      ([identity = empty, name = empty, address = empty, der = empty]) =>
        Promise.resolve(rosterEntryBytes({
          ...{ identity: hex(identity), name: hex(name), address: hex(address) },
          certificate: der,
        })),
    ],
    rosterDigest: [3, ([digest = empty, one = empty, two = empty]) => rosterDigest(digest, [one, two])],
  };
const empty = new Uint8Array();

Deno.test("every value of the transcript changes with any of its inputs", async () => {
  for (const [name, [count, of]] of Object.entries(functions)) {
    const inputs = fc.array(bytes, { minLength: count, maxLength: count });
    const property = fc.asyncProperty(inputs, fc.nat(count - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), async (
      before,
      which,
      where,
      mask,
    ) => {
      const after = before.map((input) => input.slice());
      const changed = after[which] ?? empty;
      const index = where % changed.length;
      changed[index] = (changed[index] ?? 0) ^ mask;
      assert.notEqual(hex(await of(after)), hex(await of(before)), name);
    });
    await fc.assert(property, { numRuns: 40 });
  }
});

Deno.test("every value of the transcript changes when bytes move from one input to the next", async () => {
  for (const [name, [count, of]] of Object.entries(functions)) {
    if (count === 1) continue;
    const inputs = fc.array(bytes, { minLength: count, maxLength: count });
    const property = fc.asyncProperty(inputs, fc.nat(count - 2), async (before, which) => {
      const [left = empty, right = empty] = before.slice(which, which + 2);
      const after = before.with(which, left.subarray(0, -1))
        .with(which + 1, Uint8Array.of(left.at(-1) ?? 0, ...right));
      assert.notEqual(hex(await of(after)), hex(await of(before)), name);
    });
    await fc.assert(property, { numRuns: 40 });
  }
});

Deno.test("no two functions of the transcript give the same value for the same inputs", async () => {
  const inputs = fc.array(register, { minLength: 7, maxLength: 7 });
  await fc.assert(
    fc.asyncProperty(inputs, async (x) => {
      const values = await Promise.all([
        ...Object.values(functions).map(([, of]) => of(x)),
        channelBinding({ client: x[0] ?? empty, server: x[1] ?? empty }),
      ]);
      assert.equal(new Set(values.map(hex)).size, values.length);
    }),
    { numRuns: 50 },
  );
});

Deno.test("joinA1() changes when an item moves between the lists, is added, removed, or joined to the next", async () => {
  const of = async (shown: ShownLists) =>
    hex(await joinA1({ binding, clientNonce, serverNonce, clusterId, lists: shown }));
  const items = fc.array(bytes, { maxLength: 3 });
  const shown = fc.record({ foundings: items, successions: items, documents: items });
  const flat = (all: ShownLists) =>
    JSON.stringify([all.foundings, all.successions, all.documents].map((l) => l.map(hex)));
  await fc.assert(fc.asyncProperty(shown, shown, async (one, other) => {
    assert.equal(await of(one) === await of(other), flat(one) === flat(other));
  }));
  const [a, b] = [utf8("a"), utf8("b")];
  const all: readonly ShownLists[] = [
    ...(["foundings", "successions", "documents"] as const).map((name) => ({ ...noLists, [name]: [a] })),
    { ...noLists, foundings: [a, b] },
    { ...noLists, foundings: [b, a] },
    { ...noLists, foundings: [utf8("ab")] },
    { ...noLists, foundings: [a], successions: [b] },
    noLists,
  ];
  assert.equal(new Set(await Promise.all(all.map(of))).size, all.length);
});

Deno.test("signedBytes() returns different bytes for different purposes", () => {
  const tags: readonly SignatureTag[] = [
    ...["hello", "request", "founding", "service", "identity", "ticket", "init-answer"] as const,
    ...["found-c", "found-s", "founder", "pledge", "token-founding", "token-join"] as const,
  ];
  fc.assert(fc.property(bytes, bytes, fc.subarray([...tags], { minLength: 2, maxLength: 2 }), (x, y, [a, b]) => {
    assert.notEqual(hex(signedBytes(a ?? "hello", x)), hex(signedBytes(b ?? "request", y)));
  }));
});

Deno.test("trustDigest() does not depend on the order of the operators' keys, nor changes the list", async () => {
  const keys = fc.uniqueArray(bytes, { minLength: 1, maxLength: 5, selector: hex });
  const shuffled = keys.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))
  );
  await fc.assert(fc.asyncProperty(shuffled, bytes, async ([sorted, other], id) => {
    const before = other.map(hex);
    const digest = await trustDigest({ clusterName, clusterId: id, operatorKeys: other, ...tpm });
    assert.equal(hex(digest), hex(await trustDigest({ clusterName, clusterId: id, operatorKeys: sorted, ...tpm })));
    assert.deepEqual(other.map(hex), before);
  }));
});

Deno.test("trustDigest() changes with the cluster's name, and when an operator is added or removed", async () => {
  await fc.assert(fc.asyncProperty(fc.string(), fc.string(), bytes, bytes, async (a, b, key, other) => {
    fc.pre(a !== b && a.isWellFormed() && b.isWellFormed());
    const of = async (name: string, operatorKeys: readonly Uint8Array[]) =>
      hex(await trustDigest({ clusterName: name, clusterId: empty, operatorKeys, ...tpm }));
    assert.notEqual(await of(a, [key]), await of(b, [key]));
    assert.notEqual(await of(a, [key]), await of(a, [key, other]));
  }));
});

Deno.test("trustDigest() changes with each kind of evidence and with each switch, and not with their order", async () => {
  const trust = { clusterName, clusterId: empty, operatorKeys: [operatorKey] };
  const lists = fc.subarray(["tpm", "snp", "tdx", "none"]);
  const switches = fc.subarray([...INSECURE_SWITCHES]);
  await fc.assert(fc.asyncProperty(lists, switches, lists, switches, async (variants, on, others, othersOn) => {
    const digest = hex(await trustDigest({ ...trust, variants, switches: on }));
    const reversed = { variants: variants.toReversed(), switches: on.toReversed() };
    assert.equal(hex(await trustDigest({ ...trust, ...reversed })), digest);
    const isSame = variants.join() === others.join() && on.join() === othersOn.join();
    assert.equal(hex(await trustDigest({ ...trust, variants: others, switches: othersOn })) === digest, isSame);
  }));
});

Deno.test("trustDigest() refuses names that could stand for several", () => {
  for (const name of ["tpm,snp", "", " tpm", "tpm\0"]) {
    const trust = { clusterName, clusterId: empty, operatorKeys: [operatorKey], variants: [name], switches: [] };
    assert.throws(() => trustDigest(trust), { code: "internal/digest" });
  }
});

Deno.test("trustDigest() changes with a founding, with each of its parts, and when a part becomes another one", async () => {
  const of = async (founding?: FoundingTrust) =>
    hex(
      await (founding === undefined
        ? trustDigest({ clusterName, clusterId: empty, operatorKeys: [operatorKey], ...tpm })
        : founded(founding)),
    );
  const sizes = fc.integer({ min: 1, max: 7 });
  const part = fc.oneof(fc.constant(empty), register);
  const founding = fc.record({ size: sizes, policyDigest: part, tokenKey: part });
  const text = (one: FoundingTrust) => JSON.stringify([one.size, hex(one.policyDigest), hex(one.tokenKey)]);
  await fc.assert(fc.asyncProperty(founding, founding, async (one, other) => {
    assert.equal(await of(one) === await of(other), text(one) === text(other));
    assert.notEqual(await of(one), await of());
  }));
  const swapped = { size: 3, policyDigest: tokenKey, tokenKey: policyDigest };
  assert.notEqual(await of(swapped), await of({ size: 3, policyDigest, tokenKey }));
});

Deno.test("trustDigest() takes no operator's key for a part of a founding", async () => {
  const parts = ["founding", "\0\0\0\x03"].map(utf8);
  const operatorKeys = [...parts, policyDigest, tokenKey];
  const plain = hex(await trustDigest({ clusterName, clusterId: empty, operatorKeys, ...tpm }));
  assert.notEqual(plain, hex(await founded({ size: 3, policyDigest, tokenKey }, empty, [])));
});

Deno.test("rosterDigest() changes when an entry is added, removed, changed, or joined to the next", async () => {
  const entries = fc.array(bytes, { maxLength: 4 });
  await fc.assert(fc.asyncProperty(entries, entries, async (one, other) => {
    const same = JSON.stringify(one.map(hex)) === JSON.stringify(other.map(hex));
    assert.equal(hex(await rosterDigest(a1, one)) === hex(await rosterDigest(a1, other)), same);
  }));
  const [a, b] = [utf8("a"), utf8("b")];
  const all = [[a, b], [b, a], [utf8("ab")], [a], [b], []];
  assert.equal(new Set(await Promise.all(all.map(async (list) => hex(await rosterDigest(a1, list))))).size, all.length);
});

Deno.test("channelBinding() distinguishes the two sides", async () => {
  const of = async (client: Uint8Array, server: Uint8Array) => hex(await channelBinding({ client, server }));
  assert.notEqual(await of(filled(1), filled(2)), await of(filled(2), filled(1)));
});

Deno.test("channelBinding() refuses Finished values that a broken TLS library could give", () => {
  const good = filled(1);
  const cases: readonly (readonly [client: Uint8Array, server: Uint8Array])[] = [
    [empty, good],
    [good, empty],
    [filled(0), good],
    [good, filled(0)],
    [filled(2, 31), good],
    [good, filled(2, 33)],
    [good, filled(1)],
  ];
  for (const [client, server] of cases) {
    assert.throws(() => channelBinding({ client, server }), { code: "internal/channel-binding" });
  }
});
