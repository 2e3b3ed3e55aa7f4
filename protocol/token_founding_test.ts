/*
 * The signature was made with Python's cryptography, from the definition alone, with the token and the key of
 * founding_token_test.ts, fill(4) as the cluster ID, and D12 of the trust part below without a cluster ID:
 *
 *   d = H(label, b"trust", LP(b"demo"), LP(b""), LP(b"tpm"), LP(b""), u32(0), LP(b"founding"), LP(u32(3)), LP(b""), LP(spki))
 *   key.sign(label + b"\0token-founding\0" + LP(cid) + LP(d))
 */
import assert from "node:assert/strict";
import { hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { createFoundingToken, deriveToken } from "./founding_token.ts";
import { sign } from "./signature.ts";
import { checkTokenFounding, createTokenFounding } from "./token_founding.ts";
import { tokenFoundingStatement, trustDigest } from "./transcript.ts";
import type { TrustPart } from "./transcript.ts";

const none = new Uint8Array();
const clusterId = new Uint8Array(32).fill(4);
const token = await deriveToken("bft1-qypqxpq9qcrsszg2pvxq6rs0zqg3yyc5yd59d8", "demo");
const founding = { size: 3, policyDigest: none, tokenKey: token.spki };
const trust: TrustPart = {
  ...{ clusterName: "demo", clusterId: none, operatorKeys: [], variants: ["tpm"], switches: [] },
  founding,
};

async function refusalOf(signature: Uint8Array, own: TrustPart, id: Uint8Array): Promise<BootstrapError> {
  try {
    await checkTokenFounding(signature, own, id);
  } catch (error) {
    assert.ok(error instanceof BootstrapError);
    return error;
  }
  throw new assert.AssertionError({ message: "accepted" });
}

Deno.test("createTokenFounding() signs what Python signs, and checkTokenFounding() takes it", async () => {
  const signature = await createTokenFounding(token, clusterId, trust);
  assert.equal(
    hex(signature),
    "b2d3429af0b079c3b8849422da5569170dc3d49fa4084e4463bba2b15fcf8daf" +
      "8020ae721288a5341ec0cf2cebd24f74336585fe490dfd6e9a304cad5e47f80e",
  );
  await checkTokenFounding(signature, trust, clusterId);
});

Deno.test("a token founding covers D12 without a cluster ID, whichever of both sides knows it", async () => {
  const known = { ...trust, clusterId };
  await checkTokenFounding(await createTokenFounding(token, clusterId, known), trust, clusterId);
  await checkTokenFounding(await createTokenFounding(token, clusterId, trust), known, clusterId);
});

Deno.test("checkTokenFounding() refuses a founding for another cluster or another trust part", async () => {
  const signature = await createTokenFounding(token, clusterId, trust);
  const others: Readonly<Record<string, TrustPart>> = {
    name: { ...trust, clusterName: "prod" },
    operators: { ...trust, operatorKeys: [token.spki] },
    variants: { ...trust, variants: ["none"] },
    switches: { ...trust, switches: ["allowUnmeasuredImage"] },
    size: { ...trust, founding: { ...founding, size: 5 } },
    policy: { ...trust, founding: { ...founding, policyDigest: randomBytes(32) } },
    token: {
      ...trust,
      founding: { ...founding, tokenKey: (await deriveToken(createFoundingToken(), "demo")).spki },
    },
  };
  for (const [name, own] of Object.entries(others)) {
    assert.equal((await refusalOf(signature, own, clusterId)).code, "refused/token-founding", name);
  }
  const other = await refusalOf(signature, trust, randomBytes(32));
  assert.equal(other.code, "refused/token-founding");
  assert.equal(other.details["check"], "token-founding");
  assert.match(other.details["expected"] ?? "", /^a signature by trust\.founding\.tokenKey for sha256:/);
});

Deno.test("checkTokenFounding() refuses a signature of another purpose, by another key, changed, or none", async () => {
  const good = await createTokenFounding(token, clusterId, trust);
  const statement = tokenFoundingStatement(clusterId, await trustDigest(trust));
  const stranger = await deriveToken(createFoundingToken(), "demo");
  const signatures: Readonly<Record<string, Uint8Array>> = {
    "a stranger's": await sign(stranger, "token-founding", statement),
    "of a join": await sign(token, "token-join", statement),
    "of an operator's founding": await sign(token, "founding", statement),
    "none": none,
    "cut": good.subarray(0, 63),
    "longer": Uint8Array.of(...good, 0),
  };
  for (const [name, signature] of Object.entries(signatures)) {
    assert.equal((await refusalOf(signature, trust, clusterId)).code, "refused/token-founding", name);
  }
  for (let i = 0; i < good.length; i++) {
    const error = await refusalOf(good.with(i, (good[i] ?? 0) ^ 1), trust, clusterId);
    assert.equal(error.code, "refused/token-founding");
  }
});

Deno.test("checkTokenFounding() refuses any founding where the own trust part has no token key", async () => {
  const signature = await createTokenFounding(token, clusterId, trust);
  const { founding: _, ...plain } = trust;
  const policyOnly = { ...trust, founding: { size: 3, policyDigest: randomBytes(32), tokenKey: none } };
  for (const own of [plain, policyOnly]) {
    assert.match((await refusalOf(signature, own, clusterId)).message, /no token key/);
  }
});

Deno.test("createTokenFounding() signs nothing with a token that is not the trust part's", async () => {
  const stranger = await deriveToken(createFoundingToken(), "demo");
  const { founding: _, ...plain } = trust;
  await assert.rejects(createTokenFounding(stranger, clusterId, trust), { code: "internal/token-founding" });
  await assert.rejects(createTokenFounding(token, clusterId, plain), { code: "internal/token-founding" });
});
