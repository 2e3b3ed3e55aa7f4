/**
 * The files of this project that a node has, for machines that have none from a package or an image.
 *
 * @module
 */
import tpmRules from "../deploy/70-bootstrapper-tpm.rules" with { type: "text" };
import presets from "../deploy/50-bootstrapper.preset" with { type: "text" };
import backup from "../deploy/bootstrapper-backup.service" with { type: "text" };
import backupTimer from "../deploy/bootstrapper-backup.timer" with { type: "text" };
import controlPlaneRenew from "../deploy/bootstrapper-control-plane-renew.service" with { type: "text" };
import controlPlaneRenewTimer from "../deploy/bootstrapper-control-plane-renew.timer" with { type: "text" };
import joinFront from "../deploy/bootstrapper-join-front.service" with { type: "text" };
import joinProver from "../deploy/bootstrapper-join-prover.service" with { type: "text" };
import joinSigner from "../deploy/bootstrapper-join-signer.service" with { type: "text" };
import measure from "../deploy/bootstrapper-measure.service" with { type: "text" };
import renew from "../deploy/bootstrapper-renew.service" with { type: "text" };
import renewTimer from "../deploy/bootstrapper-renew.timer" with { type: "text" };
import bootstrapper from "../deploy/bootstrapper.service" with { type: "text" };
import containerdMeasured from "../deploy/containerd.service.d/10-bootstrapper-measure.conf" with { type: "text" };
import kubeletCertificates from "../deploy/kubelet.service.d/20-bootstrapper-certificates.conf" with { type: "text" };
import kubeletMeasured from "../deploy/kubelet.service.d/10-bootstrapper-measure.conf" with { type: "text" };
import users from "../deploy/sysusers.conf" with { type: "text" };

/** Where the units start the program. */
const PROGRAM = "/usr/local/bin/bootstrapper";

/** The units and drop-ins, by their paths in a folder of systemd's units. */
const UNITS: Readonly<Record<string, string>> = {
  "bootstrapper-measure.service": measure,
  "bootstrapper.service": bootstrapper,
  "bootstrapper-renew.service": renew,
  "bootstrapper-renew.timer": renewTimer,
  "bootstrapper-control-plane-renew.service": controlPlaneRenew,
  "bootstrapper-control-plane-renew.timer": controlPlaneRenewTimer,
  "bootstrapper-backup.service": backup,
  "bootstrapper-backup.timer": backupTimer,
  "bootstrapper-join-front.service": joinFront,
  "bootstrapper-join-prover.service": joinProver,
  "bootstrapper-join-signer.service": joinSigner,
  "containerd.service.d/10-bootstrapper-measure.conf": containerdMeasured,
  "kubelet.service.d/10-bootstrapper-measure.conf": kubeletMeasured,
  "kubelet.service.d/20-bootstrapper-certificates.conf": kubeletCertificates,
};

/** A file that a node has, the folders where it may be, and where it is written. */
export interface OwnFile {
  readonly name: string;
  readonly folders: readonly [string, ...string[]];
  readonly text: string;
}

const UNIT_FOLDERS = ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system"] as const;

/** The units and drop-ins, with the program at a path. The first folder is the one to write to. */
export function ownUnits(program: string = PROGRAM): readonly OwnFile[] {
  return Object.entries(UNITS).map(([name, text]) => ({
    name,
    folders: UNIT_FOLDERS,
    text: text.replaceAll(PROGRAM, program),
  }));
}

/** What else a node has: the rule that gives a group the TPM, and the users of the join service. */
export const OTHER_FILES: { readonly users: OwnFile; readonly tpmRules: OwnFile } = Object.freeze({
  users: { name: "bootstrapper.conf", folders: ["etc/sysusers.d", "usr/lib/sysusers.d"], text: users },
  tpmRules: {
    name: "70-bootstrapper-tpm.rules",
    folders: ["etc/udev/rules.d", "usr/lib/udev/rules.d"],
    text: tpmRules,
  },
});

/** The units that start by themselves at boot. */
export const ENABLED_UNITS: readonly string[] = Array.from(
  presets.matchAll(/^enable (bootstrapper\S+)$/gm),
  ([, unit = ""]) => unit,
);
