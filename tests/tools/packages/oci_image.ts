/**
 * Writes a container image as an OCI image layout in a tar file (OCI image format 1.1, "Image Layout Specification"):
 * `skopeo`, `podman load`, `ctr images import` and others read it.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { digestOfFile } from "../digest.ts";
import { run } from "../run.ts";
import { gzipFile, tarFile } from "./archives.ts";
import type { Release } from "./release.ts";

/** The image of the operator's program. */
export interface OciImage {
  readonly release: Release;
  /** Debian's name of the architecture, which is that of OCI as well. */
  readonly architecture: string;
  /** The folder that is the root of the lower layer. */
  readonly base: string;
  /** The folder that is the root of the upper layer. */
  readonly program: string;
}

/** A descriptor of the OCI image format. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer {
  readonly descriptor: Descriptor;
  /** The digest of the layer before it was compressed. */
  readonly diffId: string;
}

const MEDIA_TYPE = "application/vnd.oci.image";
/** The user `operator` of the base. */
const USER = "65532:65532";

/**
 * Writes the image. Equal input gives equal bytes.
 *
 * @param output the tar file to write
 * @param work an empty folder for files on their way
 */
export async function ociImage(output: string, image: OciImage, work: string, log: string): Promise<void> {
  const { release, architecture, base, program } = image;
  const layout = join(work, "layout");
  const blobs = join(layout, "blobs/sha256");
  await Deno.mkdir(blobs, { recursive: true });
  const layers: Layer[] = [];
  for (const folder of [base, program]) layers.push(await layer(folder, blobs, release.epochSeconds, work, log));
  const labels = {
    "org.opencontainers.image.title": "bootstrapper",
    "org.opencontainers.image.version": release.version,
    "org.opencontainers.image.revision": release.commit,
    "org.opencontainers.image.licenses": "Apache-2.0",
  };
  const config = await jsonBlob(blobs, `${MEDIA_TYPE}.config.v1+json`, {
    created: dateOf(release),
    ...{ architecture, os: "linux" },
    config: {
      ...{ User: USER, WorkingDir: "/work", Labels: labels },
      ...{ Env: ["PATH=/usr/bin", "HOME=/work"], Entrypoint: ["/usr/bin/bootstrapper"], Cmd: ["--help"] },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: ["Debian's libraries", "bootstrapper"].map((comment) => ({ created: dateOf(release), comment })),
  });
  const mediaType = `${MEDIA_TYPE}.manifest.v1+json`;
  const manifest = await jsonBlob(blobs, mediaType, {
    ...{ schemaVersion: 2, mediaType, config, layers: layers.map(({ descriptor }) => descriptor), annotations: labels },
  });
  const index = {
    ...{ schemaVersion: 2, mediaType: `${MEDIA_TYPE}.index.v1+json` },
    manifests: [{
      ...{ ...manifest, platform: { architecture, os: "linux" } },
      annotations: { "org.opencontainers.image.ref.name": tagOf(release) },
    }],
  };
  await Deno.writeTextFile(join(layout, "index.json"), JSON.stringify(index));
  await Deno.writeTextFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await run(["chmod", "-R", "u=rwX,go=rX", layout], { log });
  await tarFile(output, layout, ["oci-layout", "index.json", "blobs"], release.epochSeconds, log);
}

/** The tag of a release: a version may have `~`, a tag may not. */
export function tagOf({ version }: Release): string {
  return version.replaceAll("~", "-");
}

function dateOf({ epochSeconds }: Release): string {
  return new Date(epochSeconds * 1000).toISOString();
}

async function layer(root: string, blobs: string, epochSeconds: number, work: string, log: string): Promise<Layer> {
  const file = join(work, "layer.tar");
  await tarFile(file, root, ["."], epochSeconds, log);
  const diffId = `sha256:${await digestOfFile(file)}`;
  const packed = await gzipFile(file, log);
  const digest = await digestOfFile(packed);
  const { size } = await Deno.stat(packed);
  await Deno.rename(packed, join(blobs, digest));
  return { diffId, descriptor: { mediaType: `${MEDIA_TYPE}.layer.v1.tar+gzip`, digest: `sha256:${digest}`, size } };
}

async function jsonBlob(blobs: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const digest = createHash("sha256").update(bytes).digest("hex");
  await Deno.writeFile(join(blobs, digest), bytes);
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
}
