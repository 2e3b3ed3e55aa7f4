import { join } from "node:path";
import { compile } from "../tools/compile.ts";
import type { ImageFile, VmImage } from "../tools/prepare_image.ts";
import { prepareImage } from "../tools/prepare_image.ts";
import { BuildStore, type Store } from "../tools/store.ts";
import { vmBase } from "../tools/vm_base.ts";

/** The image that all machines boot, and the binary in it. The operator runs the same binary. */
export interface BootstrapImage {
  readonly image: VmImage;
  /** The path of the compiled `bootstrapper`. */
  readonly binary: string;
}

const deploy = join(import.meta.dirname ?? ".", "../../deploy");
const units = [
  ...["bootstrapper-measure.service", "bootstrapper.service"],
  ...["bootstrapper-renew.service", "bootstrapper-renew.timer"],
  ...["bootstrapper-control-plane-renew.service", "bootstrapper-control-plane-renew.timer"],
  ...["bootstrapper-join-front.service", "bootstrapper-join-prover.service", "bootstrapper-join-signer.service"],
] as const;
const dropIns = [
  "containerd.service.d/10-bootstrapper-measure.conf",
  "kubelet.service.d/10-bootstrapper-measure.conf",
  "kubelet.service.d/20-bootstrapper-certificates.conf",
] as const;

/** Compiles the project, and makes an image with its binary and its units. */
export async function bootstrapImage(store: Store = new BuildStore()): Promise<BootstrapImage> {
  const [binary] = await Promise.all([compile(store), vmBase(store)]);
  const system = "/etc/systemd/system";
  const files: ImageFile[] = [
    { source: binary, target: "/usr/local/bin/bootstrapper", mode: 0o755 },
    {
      source: join(deploy, "70-bootstrapper-tpm.rules"),
      target: "/etc/udev/rules.d/70-bootstrapper-tpm.rules",
      mode: 0o644,
    },
    { source: join(deploy, "sysusers.conf"), target: "/usr/lib/sysusers.d/bootstrapper.conf", mode: 0o644 },
    ...units.map((unit) => ({ source: join(deploy, unit), target: `${system}/${unit}`, mode: 0o644 })),
    ...dropIns.map((path) => ({ source: join(deploy, path), target: `${system}/${path}`, mode: 0o644 })),
  ];
  return { image: await prepareImage({ files, enable: units }, store), binary };
}
