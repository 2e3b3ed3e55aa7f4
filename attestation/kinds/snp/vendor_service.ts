/**
 * AMD's key distribution service, as policies for SEV-SNP need it (AMD 57230, "Versioned Chip Endorsement Key (VCEK)
 * Certificate and KDS Interface Specification", 4). The authorities and roots are built in.
 *
 * @module
 */
import { checkCrl, checkNotRevoked, type Crl, isNewerCrl, readCrl } from "../../../certificate/crl.ts";
import { derOf } from "../../../certificate/document_form.ts";
import { refusal } from "../../../protocol/refusal.ts";
import { type Bytes, concat, equalBytes, hex, isZero } from "../../../platform/bytes.ts";
import { BootstrapError } from "../../../platform/errors.ts";
import type { SectionSource } from "../../policy/policy_section.ts";
import type { VendorRequest, VendorService, VerifiedDocuments } from "../../vendor_service.ts";
import { distinct, newest } from "../../vendor_service.ts";
import { inReadForm } from "../../_collateral_form.ts";
import { prefixed } from "./_prefixed.ts";
import { type AmdAnchor, amdAnchors, type Product, PRODUCTS } from "./amd_roots.ts";
import { checkSignature, maskedRefusal, vcekName } from "./appraisal.ts";
import { checkVekChain, crlName, type VekKind } from "./chain.ts";
import { decodePayload } from "./payload.ts";
import { readReport, type SnpReport } from "./report.ts";
import { isSameTcb, readTcb, type Tcb, tcbText } from "./tcb.ts";
import { lineOf, tcbFormOf } from "./vek.ts";

const ADDRESS = "https://kdsintf.amd.com";
/** The chip IDs of Turin have 8 octets in addresses and certificates, and zeros behind them in reports. */
const TURIN_CHIP_ID_BYTES = 8;
/** The names of the parts of a TCB in an address, in the order of the specification. */
const QUERY: readonly (readonly [string, keyof Tcb])[] = [
  ["fmcSPL", "fmc"],
  ["blSPL", "bootloader"],
  ["teeSPL", "tee"],
  ["snpSPL", "snp"],
  ["ucodeSPL", "microcode"],
];

/** Creates the service. */
export function amdService(anchors: () => readonly AmdAnchor[] = amdAnchors): VendorService {
  return {
    addresses: { amd: ADDRESS },
    platforms: PRODUCTS.join(", "),
    isPlatform: (name) => PRODUCTS.some((product) => product === name),
    requests(platforms, machines, { amd = ADDRESS }) {
      const named = PRODUCTS.filter((product) => platforms.includes(product));
      return distinct([
        ...named.map((product) => crlRequest(product, "vcek", amd, anchors)),
        ...machines.flatMap((machine) => machineRequests(machine, named, amd, anchors)),
      ]);
    },
  };
}

function machineRequests(
  { name, payload }: SectionSource,
  named: readonly Product[],
  address: string,
  anchors: () => readonly AmdAnchor[],
): readonly VendorRequest[] {
  const { report: bytes, vek } = decodePayload(payload);
  const report = readReport(bytes);
  const product = productOf(report, named, name);
  const kind = report.signingKey === "vlek" ? "vlek" : "vcek";
  const list = crlRequest(product, kind, address, anchors);
  // A cloud gives its VLEK to its own machines only, and chips' certificates do not change.
  return kind === "vlek" || vek.length > 0 ? [list] : [list, vcekRequest(report, product, address, anchors)];
}

/** Finds the line of a processor. Reports of version 2 do not show it. */
function productOf({ processor }: SnpReport, named: readonly Product[], source: string): Product {
  const line = processor === undefined ? undefined : lineOf(processor);
  const product = processor === undefined && named.length === 1 ? named[0] : PRODUCTS.find((one) => one === line);
  if (product !== undefined) return product;
  if (line !== undefined) {
    throw new BootstrapError(
      "usage/collateral",
      `The processor in ${source} is of a line that this version does not know: ${line}`,
      {
        next: `Use a newer version of the bootstrapper. This one knows ${PRODUCTS.join(", ")}`,
        details: { document: source, expected: PRODUCTS.join(", "), seen: line },
      },
    );
  }
  throw new BootstrapError(
    "usage/collateral",
    `The evidence in ${source} does not say of which line its processor is`,
    {
      next: `Name its line with --platform: ${PRODUCTS.join(", ")}`,
      details: { document: source, expected: PRODUCTS.join(", "), seen: "none" },
    },
  );
}

function crlRequest(
  product: Product,
  kind: VekKind,
  address: string,
  anchors: () => readonly AmdAnchor[],
): VendorRequest {
  const name = crlName(product, kind);
  const verified = async (bytes: Bytes, what: string, now: Date): Promise<VerifiedDocuments<Crl>> => {
    const crl = readCrl(bytes, what, "vendor");
    const { ark, authorities } = anchorOf(product, anchors());
    await prefixed(async () => {
      await checkCrl(crl, ark, now);
      for (const certificate of [authorities[kind], ark]) checkNotRevoked(crl, certificate);
    });
    return { contents: crl, documents: [{ name, bytes, until: crl.nextUpdate }] };
  };
  const url = `${address}/${kind}/v1/${pathOf(product)}/crl`;
  return {
    name,
    url,
    fetch: async (ask, now, findKept) => {
      const fetched = await verified(derOf((await ask(url)).body, "X509 CRL", url), url, now);
      const readKept = async () => {
        const kept = await findKept(name);
        return kept === undefined ? undefined : await verified(inReadForm(name, kept, name), name, now);
      };
      return await newest(fetched, readKept, isNewerCrl);
    },
  };
}

function vcekRequest(
  report: SnpReport,
  product: Product,
  address: string,
  anchors: () => readonly AmdAnchor[],
): VendorRequest {
  const name = vcekName(report);
  const tcb = readTcb(report.reportedTcb, tcbFormOf(product), "reported TCB");
  const chipId = product === "turin" ? report.chipId.subarray(0, TURIN_CHIP_ID_BYTES) : report.chipId;
  const query = QUERY.flatMap(([key, part]) => tcb[part] === undefined ? [] : [`${key}=${tcb[part]}`]).join("&");
  const url = `${address}/vcek/v1/${pathOf(product)}/${hex(chipId)}?${query}`;
  return {
    name,
    url,
    fetch: async (ask, now) => {
      if (isZero(report.chipId)) throw maskedRefusal("the chip's ID, to ask for the certificate of its key");
      const bytes = derOf((await ask(url)).body, "CERTIFICATE", url);
      const chain = await checkVekChain(bytes, "vcek", new Uint8Array(), anchors(), now);
      const { vek, extensions: { tcb: certified, hardwareId = new Uint8Array() } } = chain;
      const seen = concat(hardwareId, new Uint8Array(Math.max(0, report.chipId.length - hardwareId.length)));
      if (!equalBytes(seen, report.chipId)) {
        const message = `The certificate from ${url} is of another chip than the report`;
        throw refusal("snp-hardware-id", message, hex(report.chipId), hex(seen));
      }
      if (!isSameTcb(certified, tcb)) {
        const message = `The certificate from ${url} is of another TCB than the one that is reported`;
        throw refusal("snp-certificate-tcb", message, tcbText(tcb), tcbText(certified));
      }
      await checkSignature(report, chain);
      return [{ name, bytes, until: vek.notAfter }];
    },
  };
}

/** AMD writes a line with a capital letter. */
function pathOf(product: Product): string {
  return `${product.slice(0, 1).toUpperCase()}${product.slice(1)}`;
}

function anchorOf(product: Product, anchors: readonly AmdAnchor[]): AmdAnchor {
  const anchor = anchors.find((one) => one.product === product);
  if (anchor !== undefined) return anchor;
  throw new BootstrapError("internal/collateral", `There is no root for the line ${product}`);
}
