/**
 * Step 5 of the Join exchange from the service's side: what an identity may be in the cluster, its admission, and its
 * ticket.
 *
 * @module
 */
import type { Admission } from "../kubernetes/admission_records.ts";
import { recordAndSign } from "../kubernetes/node_certificates.ts";
import { base64, copyOf, hex, sha256 } from "../platform/bytes.ts";
import type { Bytes } from "../platform/bytes.ts";
import type { AnyErrorCode } from "../platform/errors.ts";
import { BootstrapError } from "../platform/errors.ts";
import { errorFields } from "../platform/log.ts";
import { present } from "../platform/present.ts";
import { retry } from "../platform/retry.ts";
import { Evidence, JoinTicket } from "../proto/gen/bootstrapper.ts";
import type { SealedKit } from "../proto/gen/bootstrapper.ts";
import type { NodeRequest } from "../protocol/join_request.ts";
import { refusal } from "../protocol/refusal.ts";
import { sign } from "../protocol/signature.ts";
import { answerStatement, extendedOnce, lockDigest } from "../protocol/transcript.ts";
import { checkClaims, checkFirstFamily } from "./claims_check.ts";
import type { QueuedNode } from "./control_plane_queue.ts";
import type { JoinExchangeService, JoinSession } from "./exchange_parts.ts";
import { checkKubeletVersion } from "./kubelet_version.ts";
import type { CheckedNode } from "./request_check.ts";

/** A node that is proven to be at the other end of the connection. */
export type VerifiedNode = Omit<CheckedNode, "challenge">;

/** Step 5: checks what this identity may be in the cluster. */
export async function checkPolicy(
  node: VerifiedNode,
  service: JoinExchangeService,
): Promise<void> {
  const { request, claims } = node;
  const { roleOf, checkNodeName, network, admissions, identity, clusterVersion } = service;
  const { purpose, role, nodeName, kubeletVersion } = request;
  const permitted = isMadeByToken(node, service) ? "control-plane" : roleOf(claims.identity);
  if (role === "control-plane" && permitted !== "control-plane") {
    throw refusal(
      "role",
      `The policy does not list the identity ${claims.identity} as a control plane`,
      permitted,
      role,
      "Configure the node as a worker, or have an operator add its identity to the policy",
      // If the identity is made anew with the machine, an operator can learn it only from here, and the node asks
      // again.
      claims.isEphemeral === true,
    );
  }
  checkNodeName(claims.identity, nodeName);
  checkClaims(request, network);
  // A locked node cannot go elsewhere: it was admitted so.
  if (purpose === "join" && claims.fresh) checkFirstFamily(request, network);
  if (purpose === "join" && !claims.fresh) {
    const record = await admissions.find(claims.identity);
    if (record?.nodeName !== nodeName || record.role !== role) {
      throw refusal(
        "pcr-15",
        `The register of the lock shows that this machine belongs to the cluster, but it is not admitted as ${role} ${nodeName}`,
        record === undefined ? hex(new Uint8Array(32)) : `${record.role} ${record.nodeName}`,
        record === undefined ? hex(await extendedOnce(await lockDigest(identity.clusterId))) : `${role} ${nodeName}`,
        "Build the node anew from its image, or give it the name and role that it was admitted with",
      );
    }
  }
  checkKubeletVersion(kubeletVersion, await clusterVersion());
}

/** Whether a request is for the cluster's keys. */
export function becomesControlPlane({ purpose, role }: NodeRequest): boolean {
  return purpose === "join" && role === "control-plane";
}

/**
 * Whether the founding token alone makes a machine a control plane: where the policy in force names no machines, because
 * the founders gave none; and where a machine that the policy lets in gets a new identity at each start, which no policy
 * can name beforehand.
 */
function isMadeByToken(
  { hasToken, claims }: Pick<VerifiedNode, "hasToken" | "claims">,
  { isInsecure, trust: { founding } }: Pick<JoinExchangeService, "isInsecure" | "trust">,
): boolean {
  if (!hasToken || founding === undefined) return false;
  return founding.policyDigest.length === 0 ? isInsecure : claims.isEphemeral === true;
}

/** What the API server of the service's own machine answers while it is slow, or has just started. */
const OWN_SLOWNESS: readonly AnyErrorCode[] = [
  "unavailable/kubernetes-api",
  "timeout/kubernetes-api",
  "unavailable/kubernetes-rights",
];
/** How long an exchange waits for that. A node waits twice as long for its ticket (`JOIN_CLIENT_DEADLINES`). */
const SLOWNESS_PATIENCE_MS = 60_000;

/**
 * Step 5: the admission is recorded before anything is signed or sealed. A node that has proven itself need not do so
 * again because the service's own API server is slow: what it is waited for is tried again within this exchange.
 */
export async function issueTicket(
  { exchange }: JoinSession,
  service: JoinExchangeService,
  node: VerifiedNode,
): Promise<void> {
  const { clock, log } = service;
  const startMs = clock.monotonicMs();
  // Admitted once: a later try must not bring back a node that was removed in between.
  let admission: Admission | undefined;
  const ticket = await retry(async () => prepareTicket(service, node, admission ??= await admit(service, node)), {
    ...{ clock, random: Math.random, signal: exchange.closed },
    isRetriable: ({ code }) => OWN_SLOWNESS.includes(code) && clock.monotonicMs() - startMs < SLOWNESS_PATIENCE_MS,
    onFailedTry: ({ error, failures }) => {
      if (failures === 1) {
        log.event("warn", "join-ticket-waits", { ...errorFields(error), node: node.request.nodeName });
      }
    },
  });
  const signature = await sign(service.identity.keys, "ticket", await answerStatement(node.a2, ticket));
  await exchange.send({ message: { $case: "ticket", ticket: { ticket, signature } } });
}

/** Makes the ticket of an admitted node. May be repeated. */
async function prepareTicket(
  service: JoinExchangeService,
  node: VerifiedNode,
  { uid, written }: Admission,
): Promise<Bytes> {
  const { admissions, ticket: { apiEndpoints, joinEndpoints, clusterDocument } } = service;
  const { request, nodeKey, servingKey, sealingKey, a2, claims: { identity } } = node;
  const { nodeName, addresses } = request;
  const confirm = async () => {
    await service.confirmPolicy();
    await service.checkNotRemoved(nodeName);
    // After the request, never beside it: a whole removal may have passed in between, and has marked the record before.
    if (!await admissions.stands(identity, uid)) throw noLongerAdmitted(identity, nodeName);
  };
  const sealedKit = becomesControlPlane(request)
    ? await admitControlPlane(
      service,
      { identity, nodeName, address: addresses[0] ?? "" },
      confirm,
      sealingKey,
      a2,
    )
    : undefined;
  const epoch = await service.currentEpoch();
  const unsigned = await service.prepareCertificates({
    ...{ admissionUid: uid, epoch, nodeName, addresses },
    ...{ clientKey: nodeKey, servingKey },
  });
  const { client, serving } = await recordAndSign(unsigned, {
    epoch,
    record: (certificates) =>
      admissions.recordCertificates(identity, uid, certificates, { nodeKey: base64(nodeKey), addresses }, written),
    confirm,
  });
  return copyOf(
    JoinTicket.encode({
      clientCertificate: client.der,
      servingCertificate: serving.der,
      notAfterMs: BigInt(Math.min(client.notAfter.getTime(), serving.notAfter.getTime())),
      clusterDocument,
      sealedKit,
      apiEndpoints: [...apiEndpoints],
      joinEndpoints: [...joinEndpoints],
    }).finish(),
  );
}

function noLongerAdmitted(identity: string, nodeName: string): BootstrapError {
  return new BootstrapError("unavailable/admission-changed", `The admission of ${nodeName} has ended meanwhile`, {
    next: "Ask again",
    details: { identity, node: nodeName },
  });
}

/** Records the admission. */
async function admit(
  service: JoinExchangeService,
  { request, nodeKey, evidence, claims }: VerifiedNode,
): Promise<Admission> {
  const { admissions, clock, log } = service;
  const { purpose, nodeName, role, addresses } = request;
  const { identity, resetCount, fresh, showsNoLock = false, facts: registers, remarks = [] } = claims;
  for (const remark of remarks) log.event("info", "join-evidence-remark", { identity, node: nodeName, remark });
  await service.checkNotRemoved(nodeName);
  const encoded = copyOf(Evidence.encode(evidence).finish());
  const record = {
    ...{ identity, nodeName, role, addresses, evidence: encoded },
    policyDigest: await service.policyDigest,
    nodeKey: base64(nodeKey),
    evidenceDigest: hex(await sha256(encoded)),
    attestedMs: clock.now().getTime(),
    ...present("resetCount", resetCount),
    ...present("registers", registers),
  };
  // A member that an operator removes meanwhile stays removed: only a fresh machine gets a record.
  const admission = await (purpose === "renew" || !fresh ? admissions.renew(record) : admissions.admit(record));
  const { before } = admission;
  if (before !== undefined && purpose === "join" && fresh && !showsNoLock && before.nodeKey !== base64(nodeKey)) {
    log.event("warn", "join-identity-fresh-again", { identity, node: nodeName });
  }
  return admission;
}

/** Admits one control plane at a time, and seals the cluster's keys for the attested E_c only. */
async function admitControlPlane(
  { controlPlanes }: JoinExchangeService,
  node: QueuedNode,
  confirm: () => Promise<void>,
  sealingKey: Uint8Array,
  a2: Uint8Array,
): Promise<SealedKit> {
  await controlPlanes.enter(node);
  await confirm();
  return await controlPlanes.seal(sealingKey, a2);
}
