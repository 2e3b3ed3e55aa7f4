/**
 * `bootstrapper policy collateral fetch`.
 *
 * @module
 */
import { join } from "node:path";
import { MAXIMUM_COLLATERAL_BYTES } from "../../attestation/collateral.ts";
import { MAXIMUM_EVIDENCE_FILE_BYTES, readEvidenceFile } from "../../attestation/evidence_file.ts";
import type { EvidenceKind } from "../../attestation/kind.ts";
import { readPolicy } from "../../attestation/policy/policy.ts";
import type { SectionSource } from "../../attestation/policy/policy_section.ts";
import type { VendorRequest, VendorService } from "../../attestation/vendor_service.ts";
import { equalBytes } from "../../platform/bytes.ts";
import { documentText, MAXIMUM_DOCUMENT_BYTES } from "../../platform/document.ts";
import { asBootstrapError, BootstrapError } from "../../platform/errors.ts";
import { documentClient } from "../../platform/fetch_document.ts";
import { ensureFolder, readFile, readFileIfExists, writeFileAtomic } from "../../platform/files.ts";
import { publicCas } from "../../platform/public_cas.ts";
import { present } from "../../platform/present.ts";
import { asking, hostOf, unreachable } from "./_vendor_hosts.ts";
import type { CliContext, OutputForm } from "../context.ts";
import { kindsOf } from "../kinds.ts";
import { printResult } from "../output.ts";

/** The options of `policy collateral fetch`. */
export interface PolicyCollateralOptions {
  /** Evidence of the machines that policies are for. */
  readonly evidenceFiles: readonly string[];
  /** The names of platforms, lower case. */
  readonly platforms: readonly string[];
  /** The folder to fill. Default: that of the policy. */
  readonly folder?: string;
  readonly policyFile?: string;
  /** Other addresses of services, by their names. */
  readonly addresses: Readonly<Record<string, string>>;
  /** The CA of the services, PEM. Default: the public CAs. */
  readonly caFile?: string;
  readonly output: OutputForm;
}

/** A document that is in the folder now. */
interface KeptDocument {
  readonly name: string;
  readonly path: string;
  /** Whether the folder had exactly this document before. */
  readonly isUnchanged: boolean;
  /** Whether the service answered with an older document, so that this one stays. */
  readonly isAnswerOlder: boolean;
  /** The time until which it holds. */
  readonly until: string;
}

/** A document that is not in the folder now. */
interface MissingDocument {
  readonly name: string;
  readonly error: BootstrapError;
  /** The host that gives none of its documents, if that is why. */
  readonly host?: string;
}

/** A service may compute an answer, or limit how often it is asked. */
const ANSWER_DEADLINE_MS = 30_000;
const NAME_WIDTH = 34;

/**
 * Gets collateral, and puts what is verified into the folder.
 *
 * @throws {BootstrapError} The error of the first document that is missing, with the names of all of them, after
 *   everything else was written.
 */
export async function policyCollateralFetch(options: PolicyCollateralOptions, context: CliContext): Promise<void> {
  const folder = await folderOf(options, context);
  const requests = await requestsOf(options, context);
  const caCertificates = options.caFile === undefined ? publicCas() : [await readText(options.caFile)];
  using client = documentClient({
    maximumBytes: MAXIMUM_COLLATERAL_BYTES,
    clock: context.clock,
    deadlineMs: ANSWER_DEADLINE_MS,
    caCertificates,
  });
  await ensureFolder(folder);
  const silent = await unreachable(requests, context.clock);
  const findKept = (name: string) => readFileIfExists(join(folder, name), MAXIMUM_COLLATERAL_BYTES);
  const kept: KeptDocument[] = [];
  const missing: MissingDocument[] = [];
  for (const request of requests) {
    const host = hostOf(request.url);
    const known = silent.get(host);
    if (known !== undefined) {
      missing.push({ name: request.name, error: known, host });
      continue;
    }
    try {
      for (
        const { name, bytes, until, isAnswerOlder = false } of await request.fetch(
          asking(client, caCertificates, context, options.output, silent),
          context.clock.now(),
          findKept,
        )
      ) {
        const path = join(folder, name);
        const before = await findKept(name);
        const isUnchanged = before !== undefined && equalBytes(before, bytes);
        if (!isUnchanged) await writeFileAtomic(path, bytes, { mode: 0o644 });
        kept.push({ name, path, isUnchanged, isAnswerOlder, until: until.toISOString() });
      }
    } catch (error) {
      missing.push({ name: request.name, error: asBootstrapError(error) });
    }
  }
  const text = [
    ...kept.map(({ name, isUnchanged, isAnswerOlder, until }) =>
      `${name.padEnd(NAME_WIDTH)} ${isUnchanged ? "unchanged" : "written  "}  holds until ${until}` +
      (isAnswerOlder ? "; the service answered with an older one, which is left out" : "")
    ),
    ...missing.map(({ name, error, host }) =>
      `${name.padEnd(NAME_WIDTH)} MISSING    ${host === undefined ? `${error.code}: ${error.message}` : `from ${host}`}`
    ),
  ].join("\n");
  if (missing.length === 0) return printResult(context, options.output, { folder, documents: kept }, text);
  // With JSON output, the error is the only object.
  if (options.output === "text") context.print(`${text}\n`);
  throw missingError(missing, kept, folder);
}

function missingError(
  missing: readonly MissingDocument[],
  kept: readonly KeptDocument[],
  folder: string,
): BootstrapError {
  // What time does not mend comes first.
  const [first, ...others] = [...missing].sort((a, b) => Number(a.error.retriable) - Number(b.error.retriable));
  const names = missing.map(({ name }) => name).join(", ");
  const error = asBootstrapError(first?.error);
  const ofHosts = others.filter(({ host }) => host !== undefined).map(({ error }) => error.message);
  const reasons = [...new Set([error.message, ...ofHosts])].join(". ");
  return new BootstrapError(error.code, `Not all documents are there. Missing: ${names}. ${reasons}`, {
    ...present("next", error.next),
    retriable: error.retriable,
    details: { missing: names, kept: kept.map(({ name }) => name).join(", ") || "none", folder },
    cause: error,
  });
}

async function folderOf({ folder, policyFile }: PolicyCollateralOptions, context: CliContext): Promise<string> {
  if (folder !== undefined) return folder;
  const found = policyFile === undefined
    ? undefined
    : readPolicy(await readText(policyFile), policyFile, kindsOf(context)).collateral.folder;
  if (found !== undefined) return found;
  const reason = policyFile === undefined ? "No folder for the documents was given" : `${policyFile} names no folder`;
  throw new BootstrapError("usage/collateral", reason, {
    next: "Name it with --collateral, or as collateral.folder in the policy",
  });
}

/** Returns the requests to the services of all kinds. */
async function requestsOf(
  { evidenceFiles, platforms, addresses }: PolicyCollateralOptions,
  context: CliContext,
): Promise<readonly VendorRequest[]> {
  const services: (readonly [EvidenceKind, VendorService])[] = [];
  for (const kind of kindsOf(context)) {
    if (kind.vendorService !== undefined) services.push([kind, await kind.vendorService()]);
  }
  for (const name of platforms) {
    if (services.some(([, service]) => service.isPlatform(name))) continue;
    const known = services.map(([, service]) => service.platforms).join("; or ");
    throw new BootstrapError("usage/collateral", `${JSON.stringify(name)} is not the name of a platform`, {
      next: `Give ${known}`,
    });
  }
  const known = services.flatMap(([, service]) => Object.keys(service.addresses));
  for (const name of Object.keys(addresses)) {
    if (known.includes(name)) continue;
    throw new BootstrapError("usage/collateral", `There is no service ${JSON.stringify(name)}`, {
      next: `Name one of: ${known.join(", ")}`,
    });
  }
  const pieces: (SectionSource & { readonly variant: string })[] = [];
  for (const name of evidenceFiles) {
    const { evidence } = readEvidenceFile(await readFile(name, MAXIMUM_EVIDENCE_FILE_BYTES), name);
    pieces.push(...evidence.map(({ variant, payload }) => ({ name, variant, payload })));
  }
  const requests = services.flatMap(([kind, service]) =>
    service.requests(
      platforms.filter((name) => service.isPlatform(name)),
      pieces.filter(({ variant }) => variant === kind.name),
      addresses,
    )
  );
  if (requests.length > 0) return requests;
  throw new BootstrapError("usage/collateral", "Nothing was named that needs collateral", {
    next: "Give evidence files of confidential VMs, or platforms with --platform",
  });
}

async function readText(file: string): Promise<string> {
  return documentText(await readFile(file, MAXIMUM_DOCUMENT_BYTES), file);
}
