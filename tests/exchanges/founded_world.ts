/**
 * Shared by the tests of joins to a cluster that no operator founded: a founder's machine, its join service with a real
 * prover behind its socket, and the trust part that its nodes have in common.
 *
 * @module
 */
import { join } from "node:path";
import type { ActivationChallenge, Evidence, EvidenceIssuer, EvidenceVerifier } from "../../attestation/evidence.ts";
import { NO_COLLATERAL } from "../../attestation/collateral.ts";
import { acceptedTrustOf } from "../../attestation/policy/accepted_trust.ts";
import { KINDS } from "../../attestation/kinds.ts";
import { generateKeyPair } from "../../certificate/keys.ts";
import type { KeyPair } from "../../certificate/keys.ts";
import type { FounderPolicy } from "../../join/founder_evidence.ts";
import { measureLock, measureTrust } from "../../nodelock/measure.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { randomBytes, sha256 } from "../../platform/bytes.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { listenOnUnixSocket } from "../../platform/unix_socket.ts";
import { newKit } from "../../protocol/testing/kit.ts";
import { sealKit } from "../../protocol/sealed_kit.ts";
import { createTokenFounding } from "../../protocol/token_founding.ts";
import type { FoundingTrust, TrustPart } from "../../protocol/transcript.ts";
import type { JoinExchangeService } from "../../service/exchange_parts.ts";
import { connectProver, serveProofs } from "../../service/prover.ts";
import type { JoiningNode } from "../../join/exchange_client.ts";
import { newNode, TestCluster } from "./join_world.ts";
import { ToyMachine } from "./toy_kind.ts";

/** A toy whose evidence needs the answer to a challenge, as a TPM's does. */
export class ChallengedToy implements EvidenceIssuer {
  readonly variant = "toy";
  readonly isChallenged = true;
  /** What was issued. */
  issued = 0;
  readonly #secret = randomBytes(32);

  constructor(readonly toy: ToyMachine) {}

  issue(statement: Uint8Array): Promise<Evidence> {
    this.issued++;
    return this.toy.issue(statement);
  }

  activate({ credentialBlob }: ActivationChallenge): Promise<Bytes> {
    return sha256(this.#secret, credentialBlob);
  }

  ownIdentity(): Promise<string> {
    return this.toy.ownIdentity();
  }
}

/** A verifier that trusts these toys, and challenges them. */
export function toyVerifier(...machines: readonly ChallengedToy[]): EvidenceVerifier {
  const first = machines[0] ?? fail("a verifier needs a machine");
  const { kind } = first.toy;
  const known = new Set(machines.map(({ toy }) => toy.identity));
  const inner = kind.createVerifier({ images: [first.toy.image], machines: known }, {
    collateral: NO_COLLATERAL,
    now: () => new Date(),
  });
  return {
    variant: inner.variant,
    async verify(...all) {
      const verified = await inner.verify(...all);
      const machine = machines.find(({ toy }) => toy.identity === verified.claims.identity);
      const message = { credentialBlob: randomBytes(16), encryptedSecret: randomBytes(16) };
      const secret = await (machine ?? first).activate(message);
      return { ...verified, challenge: { message, secret } };
    },
  };
}

function fail(message: string): never {
  throw new Error(message);
}

/** What can differ in a founded cluster. */
export interface FoundedOptions {
  /** Whether its trust part has a policy, a token key, or both. */
  readonly by: readonly ("policy" | "token")[];
  /** Default: a new one. */
  readonly token?: KeyPair;
  /** The founder's machine. Default: a new one, which has measured the trust part and the lock. */
  readonly machine?: ChallengedToy;
  /** Parts of the service. */
  readonly service?: Partial<JoinExchangeService>;
}

/** A cluster that a founder decided on. */
export class FoundedCluster implements AsyncDisposable {
  readonly #stop = new AbortController();
  #serving: Promise<void> = Promise.resolve();

  private constructor(
    readonly cluster: TestCluster,
    readonly trust: TrustPart,
    readonly token: KeyPair,
    readonly machine: ChallengedToy,
    readonly folder: string,
  ) {}

  /** Founds it, and starts its join service. */
  static async create({ by, token: given, machine: other, service }: FoundedOptions): Promise<FoundedCluster> {
    const token = given ?? await generateKeyPair("ed25519");
    const machine = other ?? new ChallengedToy(await ToyMachine.create());
    const { ca, kit } = await newKit();
    const cluster = await TestCluster.create({ ca });
    const founding: FoundingTrust = {
      size: 3,
      policyDigest: new Uint8Array(by.includes("policy") ? 32 : 0).fill(7),
      tokenKey: by.includes("token") ? token.spki : new Uint8Array(),
    };
    const trust: TrustPart = {
      ...{ clusterName: cluster.clusterName, clusterId: new Uint8Array(), operatorKeys: [] },
      ...{ variants: ["toy"], switches: [], founding },
    };
    const folder = await Deno.makeTempDir({ prefix: "founded-" });
    const socket = join(folder, "prover.sock");
    const founded = new FoundedCluster(cluster, trust, token, machine, folder);
    if (other === undefined) {
      await measureTrust(machine.toy, trust);
      await measureLock(machine.toy, cluster.clusterId);
    }
    const tokenFounding = by.includes("token") ? await createTokenFounding(token, cluster.clusterId, trust) : undefined;
    const { kind } = machine.toy;
    Object.assign(cluster.service, {
      identity: { ...cluster.service.identity, foundings: [], tokenFounding },
      trust: { ...trust, clusterId: cluster.clusterId },
      acceptedTrust: acceptedTrustOf([kind], [], [...KINDS, kind]),
      prover: connectProver(socket),
      controlPlanes: {
        enter: () => Promise.resolve(),
        release: () => Promise.resolve(),
        seal: (sealingKey: Uint8Array, a2: Uint8Array) => sealKit(sealingKey, a2, kit),
      },
      ...service,
    });
    const listener = await listenOnUnixSocket(socket);
    const serving = { listener, issuer: machine, clusterId: cluster.clusterId, clock: systemClock, log: silentLog };
    founded.#serving = serveProofs(serving, founded.#stop.signal);
    return founded;
  }

  get port(): number {
    return this.cluster.port;
  }

  /** The policy of the founding: the founder's machine is a control plane. */
  policy(changes: Partial<FounderPolicy> = {}): FounderPolicy {
    return { verifier: toyVerifier(this.machine), roleOf: () => "control-plane", ...changes };
  }

  /** A node that is configured for the cluster. */
  node(changes: Partial<JoiningNode> = {}): Promise<JoiningNode> {
    return newNode(this.trust, { founders: this.policy(), ...changes });
  }

  /** A machine that is to be a control plane. */
  controlPlane(changes: Partial<JoiningNode> = {}): Promise<JoiningNode> {
    return this.node({ self: { name: "cp-2", address: "192.0.2.8", role: "control-plane" }, ...changes });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#serving;
    await this.cluster[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A machine that measured a trust part, and perhaps a lock. */
export async function measuredToy(trust: TrustPart, clusterId?: Uint8Array): Promise<ChallengedToy> {
  const machine = new ChallengedToy(await ToyMachine.create());
  await measureTrust(machine.toy, trust);
  if (clusterId !== undefined) await measureLock(machine.toy, clusterId);
  return machine;
}
