/**
 * Runs many nodes in one process. Each node has a software TPM that makes evidence of the real form, and uses the
 * program's own ticket search. `load_nodes.ts` starts this process and sends it its tasks.
 *
 * @module
 */
import { TPM_SETTINGS } from "../../attestation/testing/trust.ts";
import * as v from "valibot";
import { QUOTED_PCRS } from "../../attestation/kinds/tpm/constants.ts";
import { createSoftwareMachine } from "../../attestation/kinds/tpm/testing/tpm.ts";
import { extendedOnce, trustDigest } from "../../protocol/transcript.ts";
import { TRUST_REGISTER } from "../../attestation/evidence.ts";
import { mintCertificate } from "../../certificate/_mint.ts";
import { readPrivateKeyPem } from "../../certificate/keys.ts";
import { ATTRIBUTE } from "../../certificate/name.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { waitForListener } from "../../join/_knock.ts";
import { newNode } from "../exchanges/join_world.ts";
import type { EndpointFailure } from "../../join/ticket_search.ts";
import { TicketSearch } from "../../join/ticket_search.ts";
import { fromBase64 } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { callOnce } from "./bare_grpc.ts";
import { EK_ORGANIZATION } from "./load_nodes.ts";
import { tell, toldLines } from "./line_process.ts";

const taskSchema = v.object({
  task: v.picklist(["join", "bare"]),
  endpoints: v.array(v.object({ host: v.string(), port: v.number() })),
  clusterName: v.string(),
  operatorKey: v.string(),
  first: v.number(),
  count: v.number(),
  concurrency: v.number(),
  deadlineMs: v.number(),
});
type Task = v.InferOutput<typeof taskSchema>;

const authoritySchema = v.object({ certificate: v.string(), keyPem: v.string() });

const EK_TYPE = "ecc-p256";
const DAY_MS = 24 * 3600 * 1000;
const [firstName = "", total = "0"] = Deno.args;
const lines = toldLines();
const authority = v.parse(authoritySchema, (await lines.next()).value);
const signer = {
  keys: await readPrivateKeyPem(authority.keyPem, "the authority's key"),
  certificate: readCertificate(fromBase64(authority.certificate, "certificate"), "the authority's certificate"),
};
const machines = await Promise.all(Array.from({ length: Number(total) }, newMachine));
tell({ event: "ready" });

for await (const line of lines) {
  const task = v.parse(taskSchema, line);
  const work = task.task === "join" ? await joinsOf(task) : bareCallsOf(task);
  tell({ event: "prepared" });
  tell({ event: "done", ...await inParallel(work, task) });
}

/** Makes a machine whose endorsement key is certified, as a cloud provider does. */
async function newMachine() {
  const machine = await createSoftwareMachine(EK_TYPE);
  const { der } = await mintCertificate({
    subject: [{ oid: ATTRIBUTE.organization, value: EK_ORGANIZATION }],
    spki: machine.spki,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    isCa: false,
    keyUsage: ["keyAgreement"],
    extKeyUsage: [],
    dnsNames: [],
  }, signer);
  return { ...machine, certificate: der };
}

/** An address that no other node of the cluster has. */
function addressOf({ identity }: { readonly identity: string }): string {
  return `2001:db8:${identity.slice(0, 24).replace(/.{4}(?=.)/g, "$&:")}`;
}

/** Prepares each node's search for a ticket, with everything that a real node has prepared before it asks. */
async function joinsOf({ clusterName, operatorKey, endpoints, first, count }: Task) {
  const operatorKeys = [fromBase64(operatorKey, "operatorKey")];
  const trust = { clusterName, clusterId: new Uint8Array(0), operatorKeys, ...TPM_SETTINGS };
  const pcrs = QUOTED_PCRS.map(() => new Uint8Array(32));
  pcrs[QUOTED_PCRS.indexOf(TRUST_REGISTER)] = await extendedOnce(await trustDigest(trust));
  return await Promise.all(
    machines.slice(first, first + count).map(async (machine, index) => {
      const node = await newNode(trust, {
        self: { name: `${firstName}-${first + index}`, address: addressOf(machine), role: "worker" },
        issuer: {
          variant: "tpm",
          isChallenged: true,
          issue: (statement) => machine.issue(statement, pcrs, { certificate: machine.certificate }),
          activate: (challenge) => machine.activate(challenge),
          ownIdentity: () => Promise.resolve(machine.identity),
        },
      });
      return async (signal: AbortSignal, onFailure: (failure: EndpointFailure) => void) => {
        await new TicketSearch({ endpoints, node, clock: systemClock, log: silentLog, onFailure }).run(signal);
      };
    }),
  );
}

/** Waits in the same way, and makes one bare call. */
function bareCallsOf({ endpoints, count }: Task) {
  const [endpoint] = endpoints;
  if (endpoint === undefined) throw new Error("no endpoint was named");
  return Array.from({ length: count }, () => async (signal: AbortSignal) => {
    for (;;) {
      await waitForListener(endpoint, { clock: systemClock, signal, onFailure: () => {} });
      try {
        return await callOnce(endpoint.port, endpoint.host);
      } catch {
        await systemClock.sleep(200, signal);
      }
    }
  });
}

/**
 * Runs the work with the given concurrency. Returns when the first one started and each one ended, in milliseconds
 * since 1970, and the failures on the way.
 */
async function inParallel(
  work: readonly ((signal: AbortSignal, onFailure: (failure: EndpointFailure) => void) => Promise<void>)[],
  { concurrency, deadlineMs }: Task,
) {
  const signal = AbortSignal.timeout(deadlineMs);
  const nowMs = () => performance.timeOrigin + performance.now();
  const startMs = nowMs();
  const endsMs: number[] = [];
  const failures: Record<string, number> = {};
  const waiting = [...work];
  const loop = async () => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      try {
        await one(signal, ({ error }) => failures[error.code] = (failures[error.code] ?? 0) + 1);
        endsMs.push(nowMs());
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, work.length) }, loop));
  return { startMs, endsMs, failures };
}
