import assert from "node:assert/strict";
import { containerImageReferences } from "../tools/container_images.ts";
import { kubernetesVersion } from "../tools/go_tools.ts";
import { prepareBinaries } from "../tools/prepare_binaries.ts";
import { type ImageAdditions, prepareImage } from "../tools/prepare_image.ts";
import { capture } from "../tools/run.ts";
import { testWithVms } from "./test_with_vms.ts";

const unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";

testWithVms("prepareImage() adds and replaces files, and enables units", async () => {
  const additions: ImageAdditions = {
    files: [
      { target: "/etc/systemd/system/test.service", mode: 0o644, content: unit },
      { target: "/etc/new/folder/file", mode: 0o600, source: import.meta.filename ?? "" },
      { target: "/etc/crictl.yaml", mode: 0o640, content: "replaced\n" },
    ],
    enable: ["test.service"],
  };
  const { image } = await prepareImage(additions);
  const debugfs = async (command: string) => await capture(["debugfs", "-R", command, image]);
  assert.equal(await debugfs("cat /etc/crictl.yaml"), "replaced");
  assert.match(await debugfs("stat /etc/crictl.yaml"), /Mode: {2}0640/);
  assert.match(await debugfs("stat /etc/new/folder/file"), /Mode: {2}0600[^]*User: +0 +Group: +0/);
  const link = await debugfs("stat /etc/systemd/system/multi-user.target.wants/test.service");
  assert.match(link, /Fast link dest: "\/etc\/systemd\/system\/test.service"/);
  await capture(["e2fsck", "-f", "-n", image]);
  assert.equal((await prepareImage(additions)).image, image);
});

testWithVms("the container images are those that kubeadm requires", async () => {
  const kubeadm = `${(await prepareBinaries()).dir}/kubeadm`;
  const listed = await capture([kubeadm, "config", "images", "list", "--kubernetes-version", kubernetesVersion]);
  assert.deepEqual(listed.split("\n").toSorted(), containerImageReferences.toSorted());
});
