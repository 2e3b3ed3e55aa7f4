import assert from "node:assert/strict";
import { generateKeyPair } from "../certificate/keys.ts";
import { sign, verify } from "./signature.ts";
import { hex, randomBytes } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import { Founding } from "../proto/gen/bootstrapper.ts";
import { checkFounding, createFounding } from "./founding.ts";
import { foundingStatement } from "./transcript.ts";

const clusterName = "demo";
const clusterId = randomBytes(32);
const operator = await generateKeyPair("ed25519");
const colleague = await generateKeyPair("ed25519");
const stranger = await generateKeyPair("ed25519");
const trust = { clusterName, clusterId: new Uint8Array(), operatorKeys: [operator.spki, colleague.spki] };

Deno.test("createFounding() signs the cluster's ID and name only for that purpose", async () => {
  const founding = await createFounding(operator, clusterId, clusterName);
  assert.deepEqual([founding.operatorKey, founding.clusterName, founding.clusterId], [
    operator.spki,
    clusterName,
    clusterId,
  ]);
  const statement = foundingStatement(clusterId, clusterName);
  await verify(operator.spki, "founding", statement, founding.signature);
  await assert.rejects(verify(operator.spki, "request", statement, founding.signature), { code: "refused/signature" });
});

Deno.test("checkFounding() accepts a founding by any of the operators, also after encoding and decoding", async () => {
  for (const keys of [operator, colleague]) {
    const founding = await createFounding(keys, clusterId, clusterName);
    await checkFounding(founding, trust, clusterId);
    await checkFounding(Founding.decode(Founding.encode(founding).finish()), trust, clusterId);
  }
});

Deno.test("checkFounding() refuses with the failed check, the expected and the seen value", async () => {
  const good = await createFounding(operator, clusterId, clusterName);
  const other = randomBytes(32);
  const cases: readonly (readonly [name: string, founding: Founding, code: string, seen: string | undefined])[] = [
    ["a stranger's", await createFounding(stranger, clusterId, clusterName), "operator", hex(stranger.spki)],
    ["one without a key", { ...good, operatorKey: new Uint8Array() }, "operator", ""],
    ["of another name", await createFounding(operator, clusterId, "prod"), "name", "prod"],
    ["of another cluster", await createFounding(operator, other, clusterName), "cluster-id", hex(other)],
    ["of half a cluster ID", { ...good, clusterId: clusterId.subarray(0, 16) }, "cluster-id", undefined],
  ];
  for (const [name, founding, check, seen] of cases) {
    await assert.rejects(checkFounding(founding, trust, clusterId), (error: unknown) => {
      assert(error instanceof BootstrapError);
      assert.equal(error.code, `refused/founding-${check}`, name);
      if (seen !== undefined) assert.equal(error.details["seen"], seen);
      return error.details["expected"] !== undefined;
    });
  }
});

Deno.test("checkFounding() refuses a signature by another key or over another founding", async () => {
  const good = await createFounding(operator, clusterId, clusterName);
  const statement = foundingStatement(clusterId, clusterName);
  const signatures: Readonly<Record<string, Uint8Array>> = {
    "a stranger's": (await createFounding(stranger, clusterId, clusterName)).signature,
    "the other operator's": (await createFounding(colleague, clusterId, clusterName)).signature,
    "for another cluster": (await createFounding(operator, randomBytes(32), clusterName)).signature,
    "for another name": (await createFounding(operator, clusterId, "prod")).signature,
    "of a request": await sign(operator, "request", statement),
    "of a hello": await sign(operator, "hello", statement),
    "none": new Uint8Array(),
    "cut": good.signature.subarray(0, 63),
    "longer": Uint8Array.of(...good.signature, 0),
  };
  for (const [name, signature] of Object.entries(signatures)) {
    await assert.rejects(checkFounding({ ...good, signature }, trust, clusterId), { code: "refused/signature" }, name);
  }
  for (let i = 0; i < good.signature.length; i++) {
    const signature = good.signature.slice();
    signature[i] = (signature[i] ?? 0) ^ 1;
    await assert.rejects(checkFounding({ ...good, signature }, trust, clusterId), { code: "refused/signature" });
  }
});
