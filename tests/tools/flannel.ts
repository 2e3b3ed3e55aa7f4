/**
 * flannel, a network plug-in for clusters of tests: its programs built from Go modules, its container images, and its
 * project's own manifest.
 *
 * @module
 */
import { join } from "node:path";
import { buildGoTool, downloadedModule } from "./build_go_tool.ts";
import { debianTree } from "./debian_tree.ts";
import { digestOfFile } from "./digest.ts";
import type { GoTool } from "./go_tools.ts";
import { imageArchive, IPTABLES } from "./image_archive.ts";
import type { Store } from "./store.ts";

/** The files with which a cluster of tests gets flannel. All paths are absolute. */
export interface Flannel {
  /** Archives of the images that the manifest names, for `ctr --namespace k8s.io images import`. */
  readonly archives: readonly string[];
  /** The manifest, for `bootstrapper init --network`. It needs the `podSubnet` {@linkcode FLANNEL_NETWORK}. */
  readonly manifest: string;
}

/** The network of all Pods in flannel's manifest. */
export const FLANNEL_NETWORK = "10.244.0.0/16";

const flannelVersion = "v0.28.10";
const flannelModule = `github.com/flannel-io/flannel@${flannelVersion}`;
/** The last version that has flannel's plug-in. It moved to a module that not every proxy of Go modules has. */
const pluginVersion = "v0.9.1";
/** The newest CNI version that this plug-in knows, and the one in flannel's manifest. */
const [pluginCni, manifestCni] = ['"cniVersion": "0.4.0"', '"cniVersion": "1.0.0"'];

const pure = { tags: [], cgo: false, debian: [] } as const;

const daemonTool: GoTool = {
  ...pure,
  name: "flannel",
  modules: [flannelModule],
  packages: ["github.com/flannel-io/flannel", "github.com/flannel-io/flannel/cmd/install_conf"],
  // The one needs a cloud's SDK, the other C.
  emptied: ["pkg/backend/tencentvpc", "pkg/backend/udp"],
  ldflags: `-s -w -X github.com/flannel-io/flannel/pkg/version.Version=${flannelVersion}`,
};

const pluginTool: GoTool = {
  ...pure,
  name: "flannel-cni",
  modules: [`github.com/containernetworking/plugins@${pluginVersion}`],
  packages: ["github.com/containernetworking/plugins/plugins/meta/flannel"],
  ldflags: "-s -w",
};

const codeFiles = ["flannel.ts", "image_archive.ts"].map((name) => join(import.meta.dirname ?? ".", name));
const names = { daemon: "flannel.tar", plugin: "flannel-cni-plugin.tar", manifest: "kube-flannel.yml" } as const;

/**
 * Builds flannel, packs the images that its manifest names, and returns where they are. The manifest is that of
 * flannel's module, except for the CNI version of the configuration in it.
 */
export async function flannel(store: Store): Promise<Flannel> {
  const [daemon, plugin, debian] = await Promise.all([
    buildGoTool(daemonTool, store),
    buildGoTool(pluginTool, store),
    debianTree(store),
  ]);
  const code = await Promise.all(codeFiles.map(digestOfFile));
  const folder = await store.cached("flannel-images", { code, daemon, plugin, debian }, async (to) => {
    const manifest = await manifestOfModule();
    const images = imagesOf(manifest);
    const files = {
      "/opt/bin/flanneld": join(daemon, "flannel"),
      "/opt/bin/install-conf": join(daemon, "install_conf"),
    };
    await to.turn("one-core", async () => {
      const firewall = ["/usr/sbin/nft", ...IPTABLES];
      await imageArchive(
        join(to.folder, names.daemon),
        { reference: images.daemon, files, debianPrograms: firewall },
        debian,
        to.log,
      );
      await imageArchive(
        join(to.folder, names.plugin),
        { reference: images.plugin, files: { "/flannel": join(plugin, "flannel") }, debianPrograms: ["/usr/bin/cp"] },
        debian,
        to.log,
      );
    });
    await Deno.writeTextFile(join(to.folder, names.manifest), manifest);
  });
  return {
    archives: [join(folder, names.daemon), join(folder, names.plugin)],
    manifest: join(folder, names.manifest),
  };
}

async function manifestOfModule(): Promise<string> {
  const folder = await downloadedModule(flannelModule, "Dir");
  const text = await Deno.readTextFile(join(folder, "Documentation", names.manifest));
  for (const part of [manifestCni, `"Network": "${FLANNEL_NETWORK}"`]) {
    if (!text.includes(part)) throw new Error(`Cannot use flannel's manifest as it lacks ${part}`);
  }
  return text.replace(manifestCni, pluginCni);
}

/** The names of the manifest's two images. */
function imagesOf(manifest: string): { readonly daemon: string; readonly plugin: string } {
  const references = [...new Set([...manifest.matchAll(/^\s+image: (\S+)$/gm)].map(([, image = ""]) => image))];
  const plugin = references.find((reference) => reference.includes("cni-plugin"));
  const daemon = references.find((reference) => reference !== plugin);
  if (daemon === undefined || plugin === undefined || references.length !== 2) {
    throw new Error(`Cannot use flannel's manifest with the images ${references.join(", ")}`);
  }
  return { daemon, plugin };
}
