import type { EvidenceIssuer, EvidenceVerifier } from "../../attestation/evidence.ts";
import { createInsecureVerifier } from "../../attestation/kinds/none/verifier.ts";
import type { NodeKeys } from "../../protocol/node_keys.ts";
import { ask, newInsecureIssuer, newNode, newNodeKeys, TestCluster } from "../exchanges/join_world.ts";
import { measureTrust } from "../../nodelock/measure.ts";
import { startTpmMachine, verifierFor } from "../integration/attacks/attacks.ts";
import { startBareServer } from "./bare_grpc.ts";
import type { BenchPart } from "./bench_part.ts";
import type { Figure } from "./figures.ts";
import { measurePairs, medianMsOf } from "./pairs.ts";

/** The exchanges of one round. */
const EXCHANGES = 10;

/**
 * Compares the Join exchange up to the ticket, over a real connection, with the connection alone. Records and
 * certificates are made in memory. The numbers do not include the API server's work for a real ticket, and their name
 * says so.
 */
export const benchExchange: BenchPart = async ({ rounds }) => {
  await using machine = await startTpmMachine();
  const keys = await newNodeKeys();
  const trusting = { verifier: createInsecureVerifier(), issuer: await newInsecureIssuer(keys.identity), keys };
  const byTpm = { verifier: verifierFor(machine), issuer: machine.issuer, keys };
  return [
    await benchVariant("none", rounds, trusting, () => Promise.resolve()),
    await benchVariant("swtpm", rounds, byTpm, async ({ trust }) => {
      await measureTrust(machine.issuer, trust);
    }),
  ];
};

interface Ends {
  readonly verifier: EvidenceVerifier;
  readonly issuer: EvidenceIssuer;
  readonly keys: NodeKeys;
}

async function benchVariant(
  variant: string,
  rounds: number,
  { verifier, issuer, keys }: Ends,
  measure: (cluster: TestCluster) => Promise<void>,
): Promise<Figure> {
  await using cluster = await TestCluster.create({ verifier });
  await using bare = await startBareServer();
  await measure(cluster);
  const node = await newNode(cluster.trust, { issuer, keys });
  const exchange = () => ask(cluster.port, node);
  // One run of each, to load and compile the code before the measurement.
  await exchange();
  await bare.callOnce();
  return {
    name: `join exchange without the API, ${variant}`,
    baseline: "TLS 1.3 + gRPC, connect and one call",
    unit: "ms",
    ...await measurePairs(
      rounds,
      () => medianMsOf(EXCHANGES, exchange),
      () => medianMsOf(EXCHANGES, () => bare.callOnce()),
    ),
  };
}
