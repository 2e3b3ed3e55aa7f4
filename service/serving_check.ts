/**
 * The check whether a kubelet may have the certificate that it asks to serve with.
 *
 * @module
 */
import { isIPv6 } from "node:net";
import { nameText, sameAttributes } from "../certificate/name.ts";
import type { ServingCsr } from "../certificate/serving_csr.ts";
import { nodeSubject } from "../certificate/subjects.ts";
import type { AlternativeName } from "../certificate/extensions.ts";
import type { AdmissionRecord } from "../kubernetes/admission_records.ts";
import { KUBELET_SERVING_SIGNER, type ServingRequest } from "../kubernetes/serving_certificates.ts";
import { hex } from "../platform/bytes.ts";
import { BootstrapError } from "../platform/errors.ts";
import type { ErrorCheck } from "../platform/errors.ts";
import { isLabel } from "../platform/label.ts";
import { checkClaims, type ClusterNetwork } from "./claims_check.ts";

const USER_PREFIX = "system:node:";
/** The groups of a node's client certificate in the API server: its O, and the group of all authenticated users. */
const GROUPS = ["system:nodes", "system:authenticated"];
const USAGES = ["digital signature", "server auth"];
/** With an RSA key, client-go asks for one more usage (`DefaultKubeletServingGetUsages` in its `util/certificate`). */
const RSA_USAGES = [...USAGES, "key encipherment"];
const LONGEST_SEEN = 300;

/**
 * The node that made a request, according to the API server.
 *
 * @returns The Node's name, or `undefined` if no node made the request.
 */
export function requestingNode({ username }: ServingRequest): string | undefined {
  const name = username.startsWith(USER_PREFIX) ? username.slice(USER_PREFIX.length) : "";
  return isLabel(name) ? name : undefined;
}

/**
 * Checks that a request may be approved. The API server must say that an admitted node made it. It must ask for what a
 * kubelet asks for (`newGetTemplateFn` in the kubelet's `certificate/kubelet.go`, and `ValidateKubeletServingCSR` in
 * `apis/certificates/helpers.go`, which the signer applies), and only for that node's name and recorded addresses.
 * Those are checked once more, because a record may be older than a check.
 *
 * A request that fails is not denied: another approver, or an operator, may know more about it. No approver could
 * rightly approve a node's request in another node's name, and the API server does not even accept it (NodeRestriction,
 * `admitCSR`).
 *
 * @param request The request.
 * @param csr Its PKCS#10 request, whose signature is verified.
 * @param record The admission record under {@linkcode requestingNode}, if there is one.
 * @param network What no node may claim to be.
 * @throws {BootstrapError} `refused/serving-CHECK`; each check is one line below. `refused/node-name`,
 *   `refused/node-address`.
 */
export function checkServing(
  request: ServingRequest,
  csr: ServingCsr,
  record: AdmissionRecord | undefined,
  network: ClusterNetwork,
): void {
  const node = requestingNode(request);
  const subject = csr.subject.attributes;
  const usages = csr.keyType === "rsa" ? RSA_USAGES : USAGES;
  const { names } = csr;
  const odd = names.find(({ type }) => type !== "dns" && type !== "ip");
  if (request.signerName !== KUBELET_SERVING_SIGNER) {
    throw refusal("signer", KUBELET_SERVING_SIGNER, request.signerName);
  }
  if (request.isDecided) throw refusal("decided", "an undecided request", "a decided one");
  if (node === undefined) throw refusal("requester", `${USER_PREFIX}NAME`, request.username);
  if (!sameTexts(request.groups, GROUPS)) throw refusal("groups", GROUPS.join(", "), request.groups.join(", "));
  const own = nodeSubject(node);
  if (!sameAttributes(subject, own)) throw refusal("subject", nameText(own), nameText(subject));
  if (!sameTexts(request.usages, usages)) throw refusal("usages", usages.join(", "), request.usages.join(", "));
  if (csr.keyType !== "p-256" && csr.keyType !== "rsa") throw refusal("key-type", "p-256, rsa", csr.keyType);
  if (odd !== undefined) throw refusal("name-kind", "DNS names and addresses", nameOf(odd));
  if (names.length === 0) throw refusal("no-name", "a DNS name or an address", "none");
  if (record?.nodeName !== node) throw refusal("record", `an admission record of ${node}`, "none");
  const addresses = record.addresses.map(canonical);
  const otherName = names.find((name) => name.type === "dns" && name.value !== node);
  const otherAddress = names.find((name) => name.type === "ip" && !addresses.includes(nameOf(name)));
  if (otherName !== undefined) throw refusal("dns-name", node, nameOf(otherName));
  if (otherAddress !== undefined) throw refusal("address", addresses.join(", "), nameOf(otherAddress));
  checkClaims(record, network);
}

/** An alternative name as text: DNS names unchanged, addresses in their canonical form, others in hexadecimal. */
function nameOf(name: AlternativeName): string {
  switch (name.type) {
    case "dns":
      return name.value;
    case "ip":
      return name.value.length === 4 ? name.value.join(".") : canonical(hex(name.value).replace(/(.{4})(?=.)/g, "$1:"));
    case "directoryName":
      return nameText(name.value.attributes);
    case "other":
      return hex(name.value);
  }
}

/** An IPv6 address in brackets, in the URL standard's only form; any other text unchanged. */
function canonical(text: string): string {
  return isIPv6(text) ? URL.parse(`http://[${text}]`)?.hostname ?? text : text;
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && new Set(a).size === a.length && a.every((text) => b.includes(text));
}

const SENTENCES: Readonly<Record<string, string>> = Object.freeze({
  record: "A node without an admission record asks for a serving certificate",
  address: "A node asks for a serving certificate for an address that is not in its admission record",
  "dns-name": "A node asks for a serving certificate for a DNS name that is not its own",
});

function refusal(check: ErrorCheck<"refused/serving-">, expected: string, seen: string): BootstrapError {
  const message = SENTENCES[check] ?? "A request for a serving certificate is not one that a kubelet makes";
  return new BootstrapError(`refused/serving-${check}`, message, {
    details: { check: `serving-${check}`, expected, seen: seen.slice(0, LONGEST_SEEN) },
  });
}
