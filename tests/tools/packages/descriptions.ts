import { join } from "node:path";
import type { PackageDescription } from "./nfpm.ts";
import type { Release } from "./release.ts";

const scripts = join(import.meta.dirname ?? ".", "../../../deploy/packages");
/** The program asks its libraries for symbols of this version of glibc, and of none later. */
const GLIBC = "2.35";

/** The packages of a release. */
export function descriptions({ version }: Release): Readonly<Record<"program" | "node", PackageDescription>> {
  return {
    program: {
      name: "bootstrapper",
      description: "Turns fresh VMs into attested members of a Kubernetes cluster\n" +
        "The program of operators and of nodes: it makes keys, configurations and\n" +
        "policies, founds clusters, and shows their nodes. On a node, the package\n" +
        "bootstrapper-node starts it.",
      needs: { deb: [`libc6 (>= ${GLIBC})`, "libgcc-s1"], rpm: [`glibc >= ${GLIBC}`, "libgcc"] },
      recommends: [],
      folders: [],
      scripts: {},
    },
    node: {
      name: "bootstrapper-node",
      description: "Makes this machine a member of a Kubernetes cluster\n" +
        "Units, users and rules by which systemd starts bootstrapper on a node.\n" +
        "containerd and the kubelet wait for its measurement. The package starts and\n" +
        "enables nothing by itself.",
      needs: {
        deb: [`bootstrapper (= ${version})`, "systemd (>= 252)", "udev"],
        rpm: [`bootstrapper = ${version}`, "systemd >= 252", "systemd-udev"],
      },
      recommends: ["containerd"],
      folders: ["/etc/bootstrapper"],
      scripts: {
        postinstall: join(scripts, "node-postinst.sh"),
        preremove: join(scripts, "node-prerm.sh"),
        postremove: join(scripts, "node-postrm.sh"),
      },
    },
  };
}
