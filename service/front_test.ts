import assert from "node:assert/strict";
import { join } from "node:path";
import { MAXIMUM_COLLATERAL_BYTES } from "../attestation/collateral.ts";
import { collateralCache } from "../attestation/collateral_cache.ts";
import { Errands } from "../channel/errands.ts";
import { openRelaySocket } from "../channel/relay_server.ts";
import { DocumentServer } from "../certificate/testing/document_server.ts";
import { utf8 } from "../platform/bytes.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLog } from "../platform/log.ts";
import { retry } from "../platform/retry.ts";
import { DENO_RUN } from "../tests/deno_run.ts";
import { repositoryRoot } from "../tests/world.ts";
import { serveExchanges } from "./service.ts";

const FRONT_MAIN = join(repositoryRoot, "service/testing/front_main.ts");

/** Runs a front whose environment names no store of CAs, as its unit does. */
function startFront(socket: string, caFile: string) {
  const [program, ...args] = DENO_RUN;
  const env = { DENO_TLS_CA_STORE: "," };
  const child = new Deno.Command(program, { args: [...args, FRONT_MAIN, socket, caFile], env }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

Deno.test("the front's process, which has no store of CAs, fetches documents from an HTTPS server for the signer", async () => {
  await using server = await DocumentServer.start((path) =>
    path.endsWith("/there") ? new Response("a document") : new Response("no", { status: 404 })
  );
  const folder = await Deno.makeTempDir({ prefix: "front-" });
  const [socket, caFile] = [join(folder, "s.sock"), join(folder, "ca.pem")];
  await Deno.writeTextFile(caFile, server.caPem);
  const errands = new Errands(MAXIMUM_COLLATERAL_BYTES, systemClock);
  const listener = await openRelaySocket(socket);
  try {
    await using _signer = serveExchanges({ listener, errands, clock: systemClock, log: silentLog }, () => {
      throw new Error("no exchange is expected");
    });
    await using _front = startFront(socket, caFile);
    const find = (name: string) =>
      collateralCache(server.origin, { clock: systemClock, fetch: errands.fetch }).find(name);
    const found = await retry(() => find("there"), {
      ...{ clock: systemClock, random: Math.random, maximumTries: 100 },
      backOff: { firstMs: 100, factor: 1, longestMs: 100, jitter: 0 },
      isRetriable: ({ message }) => message.includes("there is no front"),
    });
    assert.deepEqual(found, { bytes: utf8("a document"), source: `${server.origin}/there` });
    assert.equal(await find("missing"), undefined);
    assert.deepEqual(server.asked, ["/there", "/missing"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
