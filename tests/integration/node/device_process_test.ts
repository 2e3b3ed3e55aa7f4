/**
 * The process that reads a confidential VM's devices, started as in production. A machine without such a device only
 * gets an error.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { connectDevice } from "../../../attestation/tsm/device.ts";
import { repositoryRoot } from "../../world.ts";

const start = () =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", join(repositoryRoot, "main.ts"), "device"],
    ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
  }).spawn();

Deno.test("bootstrapper device answers each request, refuses invalid ones, and ends with its parent's pipe", async () => {
  await using child = start();
  const asked = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  const piped = asked.readable.pipeTo(child.stdin);
  const device = connectDevice({ readable: child.stdout, writable: asked.writable });
  const report = { provider: "sev_guest", reportData: new Uint8Array(64) } as const;
  await assert.rejects(device.report(report), { code: "precondition/tsm" });
  await assert.rejects(device.registers.read("../../../../../etc/hostname"), { code: "malformed/device-request" });
  await assert.rejects(device.report(report), { code: "precondition/tsm" });
  device[Symbol.dispose]();
  await piped;
  assert.equal((await child.status).code, 0);
});

Deno.test("a killed bootstrapper device causes an error, not a hang", async () => {
  await using child = start();
  const device = connectDevice({ readable: child.stdout, writable: child.stdin });
  const reading = device.registers.read("rtmr3:sha384");
  child.kill("SIGKILL");
  await assert.rejects(reading);
  await assert.rejects(device.registers.read("rtmr3:sha384"), { code: "system/device" });
});
