/**
 * Evidence of AMD's and Intel's processors, and the documents that come with it.
 *
 * @module
 */
import type { Collateral } from "../../../attestation/collateral.ts";
import type { Expectation } from "../../../attestation/evidence.ts";
import { FRESH } from "../../../attestation/evidence.ts";
import { readCertificateTable } from "../../../attestation/kinds/snp/certificate_table.ts";
import { decodePayload, encodePayload } from "../../../attestation/kinds/snp/payload.ts";
import { readReport } from "../../../attestation/kinds/snp/report.ts";
import { createSnpVerifier } from "../../../attestation/kinds/snp/verifier.ts";
import type { SnpPolicy } from "../../../attestation/kinds/snp/policy.ts";
import { checkPckChain, pckCaOf, readPckChain } from "../../../attestation/kinds/tdx/intel_chain.ts";
import { decodeTdxPayload, encodeTdxPayload } from "../../../attestation/kinds/tdx/payload.ts";
import { readPckPlatform } from "../../../attestation/kinds/tdx/pck.ts";
import type { TdxPolicy } from "../../../attestation/kinds/tdx/policy.ts";
import { readQeIdentity } from "../../../attestation/kinds/tdx/qe_identity.ts";
import { MAXIMUM_TRAILING_BYTES, readQuote } from "../../../attestation/kinds/tdx/quote.ts";
import { readTcbInfo } from "../../../attestation/kinds/tdx/tcb_info.ts";
import { createTdxVerifier } from "../../../attestation/kinds/tdx/verifier.ts";
import { readCertificate } from "../../../certificate/x509.ts";
import { concat, equalBytes } from "../../../platform/bytes.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { promise } from "../target.ts";
import type { FuzzTarget } from "../target.ts";
import { eachOf, promiseOneOf } from "./_checks.ts";

const STATEMENT = new Uint8Array(32).fill(0xa1);
const TRUST_DIGEST = new Uint8Array(32).fill(0xd1);
const expectation: Expectation = {
  trust: [TRUST_DIGEST],
  lock: [FRESH],
  identity: "1d".repeat(32),
};
/** The time at which the evidence of the corpus was made. */
const SNP_NOW = new Date("2026-03-04T05:06:07Z");
const TDX_NOW = new Date("2026-05-01T00:00:00Z");
const nowhere: Collateral = { place: "nowhere", find: () => Promise.resolve(undefined) };
const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);

const SNP_TCB = { bootloader: 3, tee: 0, snp: 8, microcode: 115 };
const snpPolicy: SnpPolicy = {
  products: new Map([["milan", { minimumTcb: SNP_TCB, minimumLaunchTcb: SNP_TCB }]]),
  signingKeys: ["vcek"],
  providers: [],
  allowsLaggingTcb: false,
  measurements: [filled(48, 0x3e)],
  guestPolicy: { required: [], forbidden: [] },
  platformInfo: { required: [], forbidden: [] },
  bannedChipIds: new Set(),
};
const tdxPolicy: TdxPolicy = {
  mrtd: [filled(48, 0xa0)],
  rtmr1: [filled(48, 0xb1)],
  rtmr2: [filled(48, 0xb2)],
  tcbStatuses: ["UpToDate"],
  minimumTeeTcbSvn: filled(16, 0),
  minimumEvaluation: 0,
  bannedPlatforms: new Set(),
};

/**
 * All parts of a TD's accepted evidence, without the bytes that no signature covers: one line feed after JSON, one NUL
 * after PEM.
 */
function tdxParts(payload: Uint8Array): Bytes[] {
  const { quote, collateral } = decodeTdxPayload(payload);
  const { signed, signature, attestationKey, qeReport, qeReportSignature, qeAuthData, pckChain } = readQuote(quote);
  const without = (bytes: Uint8Array, end: number) => bytes.at(-1) === end ? bytes.subarray(0, -1) : bytes;
  const quoted = [signature, attestationKey, qeReport.bytes, qeReportSignature, qeAuthData, without(pckChain, 0)];
  const documents = Object.entries(collateral).map(([part, bytes]) =>
    part === "tcbInfo" || part === "qeIdentity" ? without(bytes, 0x0a) : bytes
  );
  return [concat(signed, ...quoted), ...documents.map((bytes) => concat(bytes))];
}

export const confidentialTargets: readonly FuzzTarget[] = [
  {
    name: "snp-evidence",
    form: "bytes",
    maximumBytes: 28 << 10,
    async open(read) {
      const made = await Promise.all(["authority", "builtin"].map((name) => read(`snp-evidence/${name}.bin`)));
      const certificate = async (name: string) =>
        readCertificate(await read(`fixtures/snp-${name}.der`), name, "vendor");
      const anchor = {
        product: "milan",
        ark: await certificate("ark"),
        authorities: { vcek: await certificate("ask"), vlek: await certificate("asvk") },
      } as const;
      const verifier = createSnpVerifier(snpPolicy, nowhere, () => SNP_NOW, [anchor]);
      return async (payload) => {
        await verifier.verify({ variant: "snp", payload }, STATEMENT, expectation);
        promiseOneOf(payload, made, "evidence");
      };
    },
  },
  {
    name: "snp-structures",
    form: "bytes",
    maximumBytes: 28 << 10,
    open: () => (input) =>
      eachOf(
        () =>
          promise(equalBytes(encodePayload(decodePayload(input)), input), "evidence changes when it is written again"),
        () => readReport(input),
        () => readCertificateTable(input),
      ),
  },
  {
    name: "tdx-evidence",
    form: "bytes",
    maximumBytes: 32 << 10,
    async open(read) {
      const made = await Promise.all(["v4", "v5-10", "v5-15"].map((name) => read(`tdx-evidence/${name}.bin`)));
      const parts = made.flatMap(tdxParts);
      const anchor = readCertificate(await read("fixtures/intel-root.der"), "root");
      const verifier = createTdxVerifier(tdxPolicy, nowhere, () => TDX_NOW, anchor);
      return async (payload) => {
        await verifier.verify({ variant: "tdx", payload }, STATEMENT, expectation);
        for (const part of tdxParts(payload)) promiseOneOf(part, parts, "a part of evidence");
      };
    },
  },
  {
    name: "tdx-structures",
    form: "bytes",
    maximumBytes: 32 << 10,
    open: () => (input) =>
      eachOf(
        () =>
          promise(
            equalBytes(encodeTdxPayload(decodeTdxPayload(input)), input),
            "evidence changes when it is written again",
          ),
        () => {
          const quote = readQuote(input);
          promise(
            quote.bytes.length + quote.trailing === input.length,
            "a quote differs from the bytes that were read",
          );
          promise(quote.trailing <= MAXIMUM_TRAILING_BYTES, "too much follows a quote");
          readPckChain(quote.pckChain);
        },
      ),
  },
  {
    name: "tdx-collateral",
    form: "json",
    maximumBytes: 140 << 10,
    open: () => (input) => eachOf(() => readTcbInfo(input), () => readQeIdentity(input)),
  },
  {
    name: "tdx-pck",
    form: "text",
    maximumBytes: 16 << 10,
    async open(read) {
      const root = readCertificate(await read("fixtures/intel-root.der"), "root");
      const made = [await read("tdx-pck/chain.pem")];
      return (input) => {
        const chain = readPckChain(input);
        pckCaOf(chain);
        return eachOf(() => readPckPlatform(chain.pck), async () => {
          await checkPckChain(chain, root, TDX_NOW);
          promiseOneOf(input.at(-1) === 0 ? input.subarray(0, -1) : input, made, "a chain");
        });
      };
    },
  },
];
