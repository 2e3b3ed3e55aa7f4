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
import { joinCertificateAuthority } from "../../certificate/ca.ts";
import { createNodeCsr } from "../../certificate/csr.ts";
import { mintCertificate } from "../../certificate/_mint.ts";
import { generateKeyPair, privateKeyPem, readPrivateKeyPem } from "../../certificate/keys.ts";
import { ATTRIBUTE } from "../../certificate/name.ts";
import { writePem } from "../../certificate/pem.ts";
import { readCertificate } from "../../certificate/x509.ts";
import { waitForListener } from "../../join/_knock.ts";
import type { JoiningNode } from "../../join/exchange_client.ts";
import type { Ticket } from "../../join/ticket.ts";
import { KubernetesApi } from "../../kubernetes/api.ts";
import { newNode } from "../exchanges/join_world.ts";
import type { EndpointFailure } from "../../join/ticket_search.ts";
import { TicketSearch } from "../../join/ticket_search.ts";
import { fromBase64, fromHex } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { callOnce } from "./bare_grpc.ts";
import { signByRequest } from "./csr_signing.ts";
import { joinByTicket, joinByToken, TOKEN_NODE_PREFIX } from "./kubeadm_calls.ts";
import { EK_ORGANIZATION } from "./load_nodes.ts";
import { type LoadTask, type LoadTaskOf, loadTaskSchema } from "./load_task.ts";
import { tell, toldLines } from "./line_process.ts";

const authoritySchema = v.object({ certificate: v.string(), keyPem: v.string() });

const EK_TYPE = "ecc-p256";
const DAY_MS = 24 * 3600 * 1000;
/** The nodes' names begin with it: no two processes use the same name. */
const [firstName = ""] = Deno.args;
const lines = toldLines();
const authority = v.parse(authoritySchema, (await lines.next()).value);
const signer = joinCertificateAuthority(
  readCertificate(fromBase64(authority.certificate, "certificate"), "the authority's certificate"),
  await readPrivateKeyPem(authority.keyPem, "the authority's key"),
);
let named = 0;
tell({ event: "ready" });

for await (const line of lines) {
  const task = v.parse(loadTaskSchema, line);
  const work = await workOf(task);
  tell({ event: "prepared" });
  await lines.next();
  tell({ event: "done", ...await inParallel(work, task) });
}

type Work = (signal: AbortSignal, onFailure: (failure: EndpointFailure) => void) => Promise<void>;

async function workOf(task: LoadTask): Promise<Work[]> {
  switch (task.task) {
    case "join":
      return await joinsOf(task, () => Promise.resolve());
    case "member":
      return await joinsOf(task, async (node, { clientCertificate }, signal) => {
        const certificatePem = writePem("CERTIFICATE", clientCertificate.der);
        const keyPem = await privateKeyPem(node.keys.node);
        await joinByTicket(node.self.name, task, { certificatePem, keyPem }, signal);
      });
    case "bare":
      return bareCallsOf(task);
    case "csr":
      return await requestsOf(task);
    case "kubeadm":
      return await kubeadmJoinsOf(task);
  }
}

function newName(): string {
  return `${firstName}-${++named}`;
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

/** An address that no other node of the cluster has, of the family of its Services. */
function addressOf({ identity }: { readonly identity: string }): string {
  const [first = 0, ...rest] = fromHex(identity.slice(0, 8), "identity");
  // Not 10.0.0.0/8, where the Services and the Pods are, and nothing reserved.
  return [11 + first % 80, ...rest].join(".");
}

/** Prepares each node's search for a ticket, with everything that a real node has prepared before it asks. */
async function joinsOf(
  { clusterName, operatorKey, endpoints, nodes }: LoadTaskOf<"join" | "member">,
  then: (node: JoiningNode, ticket: Ticket, signal: AbortSignal) => Promise<void>,
): Promise<Work[]> {
  const operatorKeys = [fromBase64(operatorKey, "operatorKey")];
  const trust = { clusterName, clusterId: new Uint8Array(0), operatorKeys, ...TPM_SETTINGS };
  const pcrs = QUOTED_PCRS.map(() => new Uint8Array(32));
  pcrs[QUOTED_PCRS.indexOf(TRUST_REGISTER)] = await extendedOnce(await trustDigest(trust));
  return await Promise.all(Array.from({ length: nodes }, async () => {
    const machine = await newMachine();
    const node = await newNode(trust, {
      self: { name: newName(), address: addressOf(machine), role: "worker" },
      issuer: {
        variant: "tpm",
        isChallenged: true,
        issue: (statement) => machine.issue(statement, pcrs, { certificate: machine.certificate }),
        activate: (challenge) => machine.activate(challenge),
        ownIdentity: () => Promise.resolve(machine.identity),
      },
    });
    const work: Work = async (signal, onFailure) => {
      const search = new TicketSearch({ endpoints, node, clock: systemClock, log: silentLog, onFailure });
      await then(node, await search.run(signal), signal);
    };
    return work;
  }));
}

/** Prepares the keys and the requests. */
async function requestsOf({ nodes, deadlineMs, ...credentials }: LoadTaskOf<"csr">): Promise<Work[]> {
  const api = new KubernetesApi(credentials, { deadlineMs });
  return await Promise.all(Array.from({ length: nodes }, async () => {
    const name = newName();
    const csr = await createNodeCsr(await generateKeyPair("p-256"), name);
    return () => signByRequest(api, signer, `bench-${name}`, csr);
  }));
}

/** Prepares the keys and the requests. */
async function kubeadmJoinsOf({ nodes, ...target }: LoadTaskOf<"kubeadm">): Promise<Work[]> {
  return await Promise.all(Array.from({ length: nodes }, async () => {
    const name = TOKEN_NODE_PREFIX + newName();
    const keys = await generateKeyPair("p-256");
    const node = { name, csr: await createNodeCsr(keys, name), keyPem: await privateKeyPem(keys) };
    return (signal: AbortSignal) => joinByToken(node, target, signal);
  }));
}

/** Waits in the same way, and makes one bare call. */
function bareCallsOf({ endpoints, nodes }: LoadTaskOf<"bare">): Work[] {
  const [endpoint] = endpoints;
  if (endpoint === undefined) throw new Error("no endpoint was named");
  return Array.from({ length: nodes }, () => async (signal: AbortSignal) => {
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
  work: readonly Work[],
  { concurrency, deadlineMs }: LoadTask,
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
