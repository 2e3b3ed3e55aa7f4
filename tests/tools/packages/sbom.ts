import { posix } from "node:path";
import type { NpmDependency } from "./npm_dependencies.ts";
import type { Release } from "./release.ts";

/** A Debian package whose files are in the container image. */
export interface DebianPart {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** The SHA-256 of the package's archive, in hex. */
  readonly sha256: string;
}

/** What an SBOM says of one thing that is shipped. */
export interface SbomInput {
  /** The name of what is shipped. */
  readonly name: string;
  readonly release: Release;
  /** Debian's name of the architecture. */
  readonly architecture: string;
  /** The SHA-256 of the binary, in hex. */
  readonly binary: string;
  /** Deno's version. */
  readonly deno: string;
  readonly npm: ReadonlyMap<string, NpmDependency>;
  readonly debian?: readonly DebianPart[];
}

/** A package of SPDX 2.3 (section 7), with the fields that are used here. */
interface SpdxPackage {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
  readonly supplier: "NOASSERTION";
  readonly downloadLocation: string;
  readonly filesAnalyzed: false;
  readonly licenseConcluded: string;
  readonly licenseDeclared: string;
  readonly copyrightText: "NOASSERTION";
  readonly primaryPackagePurpose: "APPLICATION" | "LIBRARY";
  readonly checksums?: readonly { readonly algorithm: "SHA256" | "SHA512"; readonly checksumValue: string }[];
  readonly externalRefs?: readonly unknown[];
}

const DOCUMENT_ID = "SPDXRef-DOCUMENT";
const PROGRAM_ID = "SPDXRef-Package-bootstrapper";
const DENO_ID = "SPDXRef-Package-deno";
/** MIT is Deno's, BSD-3-Clause that of V8, Unicode-3.0 that of ICU. */
const DENO_LICENSE = "MIT AND BSD-3-Clause AND Unicode-3.0";
const common = {
  supplier: "NOASSERTION",
  filesAnalyzed: false,
  licenseConcluded: "NOASSERTION",
  copyrightText: "NOASSERTION",
} as const;

/**
 * Writes a software bill of materials as SPDX 2.3 in JSON: the program, the runtime in it, its npm packages with the
 * checksums of `deno.lock`, and the Debian packages of a container image. Equal input gives equal bytes.
 */
export function sbomText({ name, release, architecture, binary, deno, npm, debian = [] }: SbomInput): string {
  const { version, epochSeconds } = release;
  const npmIds = new Map([...npm.keys()].map((key) => [key, npmId(key)]));
  const idOf = (key: string) => {
    const id = npmIds.get(key);
    if (id === undefined) throw new Error(`The package ${key} is not among the dependencies`);
    return id;
  };
  const relations = [
    relation(DOCUMENT_ID, "DESCRIBES", PROGRAM_ID),
    relation(PROGRAM_ID, "CONTAINS", DENO_ID),
    ...[...npm].filter(([, { isImported }]) => isImported).map(([key]) =>
      relation(PROGRAM_ID, "DEPENDS_ON", idOf(key))
    ),
    ...[...npm].flatMap(([key, { dependencies }]) =>
      dependencies.map((other) => relation(idOf(key), "DEPENDS_ON", idOf(other)))
    ),
    ...debian.map((part) => relation(DOCUMENT_ID, "DESCRIBES", debianId(part))),
  ];
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: DOCUMENT_ID,
    name: `${name}-${version}-${architecture}`,
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${encodeURIComponent(version)}-${architecture}-${binary}`,
    creationInfo: {
      created: new Date(epochSeconds * 1000).toISOString().replace(/\.\d+Z$/, "Z"),
      creators: ["Tool: bootstrapper-task-package"],
    },
    packages: [
      programPackage(version, binary),
      denoPackage(deno),
      ...[...npm].map(([key, dependency]) => npmPackage(idOf(key), dependency)),
      ...debian.map(debianPackage),
    ],
    relationships: relations,
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function programPackage(version: string, binary: string): SpdxPackage {
  return {
    ...{ SPDXID: PROGRAM_ID, name: "bootstrapper", versionInfo: version, downloadLocation: "NOASSERTION" },
    ...common,
    licenseDeclared: "Apache-2.0",
    primaryPackagePurpose: "APPLICATION",
    checksums: [{ algorithm: "SHA256", checksumValue: binary }],
  };
}

function denoPackage(version: string): SpdxPackage {
  return {
    ...{ SPDXID: DENO_ID, name: "deno", versionInfo: version },
    ...common,
    downloadLocation: `git+https://github.com/denoland/deno@v${version}`,
    licenseDeclared: DENO_LICENSE,
    primaryPackagePurpose: "LIBRARY",
    externalRefs: [purl(`pkg:github/denoland/deno@v${version}`)],
  };
}

function npmPackage(SPDXID: string, { name, version, license, sha512 }: NpmDependency): SpdxPackage {
  return {
    ...{ SPDXID, name, versionInfo: version },
    ...common,
    downloadLocation: `https://registry.npmjs.org/${name}/-/${posix.basename(name)}-${version}.tgz`,
    licenseDeclared: license,
    primaryPackagePurpose: "LIBRARY",
    checksums: [{ algorithm: "SHA512", checksumValue: sha512 }],
    externalRefs: [purl(`pkg:npm/${name.replace("@", "%40")}@${version}`)],
  };
}

function debianPackage(part: DebianPart): SpdxPackage {
  const { name, version, architecture, sha256 } = part;
  return {
    ...{ SPDXID: debianId(part), name, versionInfo: version, downloadLocation: "NOASSERTION" },
    ...common,
    licenseDeclared: "NOASSERTION",
    primaryPackagePurpose: "LIBRARY",
    checksums: [{ algorithm: "SHA256", checksumValue: sha256 }],
    externalRefs: [purl(`pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`)],
  };
}

function purl(referenceLocator: string) {
  return { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator };
}

function relation(spdxElementId: string, relationshipType: string, relatedSpdxElement: string) {
  return { spdxElementId, relationshipType, relatedSpdxElement };
}

/** Letters, digits, dots and hyphens are what an identifier may have (SPDX 2.3, section 7.2). */
function npmId(key: string): string {
  return `SPDXRef-npm-${key.replace(/^@/, "").replaceAll(/[^A-Za-z0-9.-]/g, "-")}`;
}

function debianId({ name }: DebianPart): string {
  return `SPDXRef-deb-${name.replaceAll("+", "-")}`;
}
