/**
 * Intel's Provisioning Certification Service, as policies for TDX need it (Intel SGX and Intel TDX PCS API, version 4).
 * A cache of it (PCCS) has the same paths.
 *
 * @module
 */
import { checkCrl, type Crl, isNewerCrl, readCrl } from "../../../certificate/crl.ts";
import { derOf } from "../../../certificate/document_form.ts";
import type { Certificate } from "../../../certificate/x509.ts";
import { refusal } from "../../../protocol/refusal.ts";
import type { Bytes } from "../../../platform/bytes.ts";
import { utf8 } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { SectionSource } from "../../policy/policy_section.ts";
import { inReadForm } from "../../_collateral_form.ts";
import type {
  AskVendor,
  FetchedCollateral,
  FindKept,
  VendorRequest,
  VendorService,
  VerifiedDocuments,
} from "../../vendor_service.ts";
import { distinct, newest } from "../../vendor_service.ts";
import { prefixed } from "./_prefixed.ts";
import { collateralName, type CollateralNeed, type CollateralPart } from "./collateral.ts";
import { checkDates } from "./dcap.ts";
import { checkPckIssuerChain, checkSignerChain, type PckCa, pckCaOf, readPckChain } from "./intel_chain.ts";
import { checkSignedJson } from "./intel_json.ts";
import { intelRoot } from "./intel_root.ts";
import { decodeTdxPayload } from "./payload.ts";
import { readPckPlatform } from "./pck.ts";
import { readQeIdentity } from "./qe_identity.ts";
import { readQuote } from "./quote.ts";
import { readTcbInfo } from "./tcb_info.ts";

const FMSPC = /^[0-9a-f]{12}$/;
const PCK_CAS: readonly PckCa[] = ["platform", "processor"];
const ADDRESS = "https://api.trustedservices.intel.com";
const ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
/** What a cache calls the root's list. Intel's own service does not have it under its own address. */
const CACHED_ROOT_CRL = "/sgx/certification/v4/rootcacrl";

/** Creates the service. */
export function intelService(anchor: () => Certificate = intelRoot): VendorService {
  return {
    addresses: { "intel": ADDRESS, "intel-root-crl": ROOT_CRL },
    platforms: "an FMSPC: 12 hexadecimal digits",
    isPlatform: (name) => FMSPC.test(name),
    requests(platforms, machines, { intel, "intel-root-crl": rootCrl }) {
      const needs = [
        ...platforms.filter((name) => FMSPC.test(name))
          .flatMap((fmspc) => PCK_CAS.map((pckCa) => ({ fmspc, pckCa }))),
        ...machines.map(needOf),
      ];
      const address = intel ?? ADDRESS;
      const root = rootCrl ?? (intel === undefined ? ROOT_CRL : `${intel}${CACHED_ROOT_CRL}`);
      return distinct(needs.flatMap((need) => requestsFor(need, address, root, anchor)));
    },
  };
}

/** Reads of which platform evidence is. The certificate is unverified; it only selects documents. */
function needOf({ payload }: SectionSource): CollateralNeed {
  const chain = readPckChain(readQuote(decodeTdxPayload(payload).quote).pckChain);
  return { fmspc: readPckPlatform(chain.pck).fmspc, pckCa: pckCaOf(chain) };
}

function requestsFor(
  need: CollateralNeed,
  address: string,
  rootCrl: string,
  anchor: () => Certificate,
): readonly VendorRequest[] {
  const nameOf = (part: CollateralPart) => collateralName(part, need);
  const request = (part: CollateralPart, url: string, fetch: VendorRequest["fetch"]): VendorRequest => {
    return { name: nameOf(part), url, fetch };
  };
  const pckCrl = `${address}/sgx/certification/v4/pckcrl?ca=${need.pckCa}&encoding=der`;
  const tcbInfo = `${address}/tdx/certification/v4/tcb?fmspc=${need.fmspc}`;
  const qeIdentity = `${address}/tdx/certification/v4/qe/identity`;
  return [
    request("rootCrl", rootCrl, async (ask, now, findKept) => {
      const bytes = derOf((await ask(rootCrl)).body, "X509 CRL", rootCrl);
      return await newestCrl({ name: nameOf("rootCrl"), bytes, url: rootCrl, issuer: anchor() }, now, findKept);
    }),
    request("pckCrl", pckCrl, async (ask, now, findKept) => {
      const answer = await ask(pckCrl);
      const bytes = derOf(answer.body, "X509 CRL", pckCrl);
      const pem = chainIn(answer.header("SGX-PCK-CRL-Issuer-Chain"), pckCrl);
      const issuer = await prefixed(() => checkPckIssuerChain(pem, need.pckCa, anchor(), now));
      return await newestCrl({ name: nameOf("pckCrl"), bytes, url: pckCrl, issuer }, now, findKept);
    }),
    request("tcbInfo", tcbInfo, (ask, now, findKept) =>
      signed(ask, now, findKept, {
        url: tcbInfo,
        header: "TCB-Info-Issuer-Chain",
        names: [nameOf("tcbInfo"), nameOf("tcbInfoChain")],
        anchor,
        read(body) {
          const document = readTcbInfo(body);
          const { fmspc } = document.tcbInfo;
          if (fmspc === need.fmspc) return { document, contents: document.tcbInfo };
          throw refusal("tdx-fmspc", "The TCB info is of other platforms (FMSPC)", need.fmspc, fmspc);
        },
        check: "tdx-tcb-info-signature",
        dates: "tdx-tcb-info-date",
      })),
    request("qeIdentity", qeIdentity, (ask, now, findKept) =>
      signed(ask, now, findKept, {
        url: qeIdentity,
        header: "SGX-Enclave-Identity-Issuer-Chain",
        names: [nameOf("qeIdentity"), nameOf("qeIdentityChain")],
        anchor,
        read(body) {
          const document = readQeIdentity(body);
          return { document, contents: document.qeIdentity };
        },
        check: "tdx-qe-identity-signature",
        dates: "tdx-qe-identity-date",
      })),
  ];
}

interface FetchedCrl {
  readonly name: string;
  readonly bytes: Bytes;
  readonly url: string;
  /** The authority that signs the list. */
  readonly issuer: Certificate;
}

/** Verifies a list, and returns it, or the one that is there if that is newer. */
async function newestCrl(
  { name, bytes, url, issuer }: FetchedCrl,
  now: Date,
  findKept: FindKept,
): Promise<readonly FetchedCollateral[]> {
  const verified = async (list: Bytes, what: string): Promise<VerifiedDocuments<Crl>> => {
    const crl = readCrl(list, what);
    await prefixed(() => checkCrl(crl, issuer, now));
    return { contents: crl, documents: [{ name, bytes: list, until: crl.nextUpdate }] };
  };
  const readKept = async () => {
    const kept = await findKept(name);
    return kept === undefined ? undefined : await verified(inReadForm(name, kept, name), name);
  };
  return await newest(await verified(bytes, url), readKept, isNewerCrl);
}

interface SignedContents {
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  /** The number of Intel's evaluation, which grows. */
  readonly evaluation: number;
}

interface SignedRequest {
  readonly url: string;
  /** The header with the issuer chain. */
  readonly header: string;
  /** The names of the document and of the chain. */
  readonly names: readonly [string, string];
  readonly anchor: () => Certificate;
  readonly read: (body: Bytes) => {
    readonly document: Parameters<typeof checkSignedJson>[0];
    readonly contents: SignedContents;
  };
  readonly check: Parameters<typeof checkSignedJson>[2];
  readonly dates: Parameters<typeof checkDates>[0];
}

async function signed(
  ask: AskVendor,
  now: Date,
  findKept: FindKept,
  request: SignedRequest,
): Promise<readonly FetchedCollateral[]> {
  const { url, header, names: [name, chainName], anchor, read, check, dates } = request;
  const answer = await ask(url);
  const verified = async (
    body: Bytes,
    pemOf: () => Bytes,
    what: string,
  ): Promise<VerifiedDocuments<SignedContents>> => {
    const { document, contents } = read(body);
    const pem = pemOf();
    const signer = await prefixed(() => checkSignerChain(pem, anchor(), `issuer chain of ${what}`, now));
    await checkSignedJson(document, signer, check, what);
    await checkDates(dates, what, contents, now);
    const until = contents.nextUpdate < signer.notAfter ? contents.nextUpdate : signer.notAfter;
    return { contents, documents: [{ name, bytes: body, until }, { name: chainName, bytes: pem, until }] };
  };
  const readKept = async () => {
    const [body, pem] = [await findKept(name), await findKept(chainName)];
    return body === undefined || pem === undefined
      ? undefined
      : await verified(body, () => inReadForm(chainName, pem, name), name);
  };
  return await newest(
    await verified(answer.body, () => chainIn(answer.header(header), url), url),
    readKept,
    (a, b) => a.evaluation === b.evaluation ? a.issueDate > b.issueDate : a.evaluation > b.evaluation,
  );
}

function chainIn(header: string | undefined, url: string): Bytes {
  if (header !== undefined) return inReadForm("chain.pem", utf8(header), url);
  throw new BootstrapError("malformed/tdx-collateral", `The answer of ${url} has no issuer chain in its headers`, {
    next: "Check that the address is that of Intel's service or a cache of it (PCCS), version 4",
    details: { address: url },
  });
}
