import assert from "node:assert/strict";
import { qemuArguments, type QemuOptions } from "./qemu_arguments.ts";

const options: QemuOptions = {
  acceleration: "tcg",
  cpus: 2,
  memoryMiB: 2048,
  tap: "tap11",
  mac: "52:54:00:00:00:0b",
  credentials: { "bootstrapper.config": "credentials/bootstrapper.config" },
  smbiosStrings: ["smbios/tmpfiles.extra"],
};

Deno.test("qemuArguments() passes credentials as files, so that their contents are not on the command line", () => {
  const args = qemuArguments(options);
  const credential = "name=opt/io.systemd.credentials/bootstrapper.config,file=credentials/bootstrapper.config";
  assert.equal(args[args.indexOf("-fw_cfg") + 1], credential);
  assert.equal(args[args.indexOf("-smbios") + 1], "type=11,path=smbios/tmpfiles.extra");
});

Deno.test("qemuArguments() refuses a credential name that fw_cfg would truncate", () => {
  const name = "a".repeat(29);
  assert.throws(() => qemuArguments({ ...options, credentials: { [name]: "file" } }), /longer than 28/);
});

Deno.test("qemuArguments() sets the machine's clock only when a time is given", () => {
  assert.ok(!qemuArguments(options).includes("-rtc"));
  const args = qemuArguments({ ...options, clock: new Date("2026-11-30T02:03:04.567Z") });
  assert.equal(args[args.indexOf("-rtc") + 1], "base=2026-11-30T02:03:04");
});
