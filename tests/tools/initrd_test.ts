import assert from "node:assert/strict";
import { inOrder } from "./initrd.ts";

const dependencies = `kernel/a/virtio-net.ko: kernel/b/failover.ko kernel/b/virtio.ko
kernel/a/virtio_blk.ko: kernel/b/virtio.ko
kernel/b/failover.ko: kernel/b/virtio.ko
kernel/b/virtio.ko:
`;

Deno.test("inOrder() lists every module once, after the modules that it needs", () => {
  assert.deepEqual(inOrder(dependencies, ["virtio_blk", "virtio_net"]), [
    "kernel/b/virtio.ko",
    "kernel/a/virtio_blk.ko",
    "kernel/b/failover.ko",
    "kernel/a/virtio-net.ko",
  ]);
});

Deno.test("inOrder() refuses a module that does not exist", () => {
  assert.throws(() => inOrder(dependencies, ["nvme"]), /kernel module "nvme"/);
});
