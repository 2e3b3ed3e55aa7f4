import assert from "node:assert/strict";
import { errorOf } from "../testing/evidence.ts";
import { BootstrapError } from "../../platform/errors.ts";
import { copyOf } from "../../platform/bytes.ts";
import type { ConfidentialDevice } from "./device.ts";
import { connectDevice, serveDevice } from "./device.ts";
import { sleepingClock } from "../../platform/testing/sleeping_clock.ts";

/** A device in this process, connected through the same two pipes. */
function behindPipes(real: ConfidentialDevice): ConfidentialDevice {
  const [asked, answered] = [new TransformStream(), new TransformStream()];
  serveDevice({ readable: asked.readable, writable: answered.writable }, real);
  return connectDevice({ readable: answered.readable, writable: asked.writable });
}

const refusing: ConfidentialDevice = {
  report: () =>
    Promise.reject(new BootstrapError("precondition/tsm", "There is none", { next: "Boot another kernel" })),
  registers: {
    read: () => Promise.reject(new Error("EIO")),
    write: () => Promise.resolve(),
  },
};

Deno.test("connectDevice() returns the results of the device behind serveDevice(), each for its own request", async () => {
  const registers = new Map<string, Uint8Array>();
  const device = behindPipes({
    report: ({ reportData, provider, privilegeLevel }) =>
      Promise.resolve({
        outblob: copyOf(reportData),
        auxblob: new TextEncoder().encode(`${provider} ${privilegeLevel}`),
      }),
    registers: {
      read: (name) => Promise.resolve(registers.get(name) ?? new Uint8Array(48)),
      write: (name, bytes) => Promise.resolve(void registers.set(name, bytes)),
    },
  });
  const value = new Uint8Array(48).fill(7);
  const [report, , read] = await Promise.all([
    device.report({ provider: "sev_guest", reportData: new Uint8Array(64).fill(1), privilegeLevel: 0 }),
    device.registers.write("rtmr3:sha384", value),
    device.registers.read("rtmr3:sha384"),
  ]);
  assert.deepEqual(report.outblob, new Uint8Array(64).fill(1));
  assert.equal(new TextDecoder().decode(report.auxblob), "sev_guest 0");
  assert.deepEqual(read, value);
});

Deno.test("connectDevice() throws the device's errors, and continues to work", async () => {
  const device = behindPipes(refusing);
  const request = { provider: "tdx_guest", reportData: new Uint8Array(64) } as const;
  const error = await errorOf(() => device.report(request));
  assert.deepEqual([error.code, error.message, error.next], [
    "precondition/tsm",
    "There is none",
    "Boot another kernel",
  ]);
  await assert.rejects(device.registers.read("rtmr0:sha384"), BootstrapError);
  await device.registers.write("rtmr3:sha384", new Uint8Array(48));
});

Deno.test("connectDevice() throws internal/device for the answer to another request", async () => {
  const answers = new Blob(['{"bytes":""}\n']).stream();
  const device = connectDevice({ readable: answers, writable: new WritableStream() });
  const request = { provider: "tdx_guest", reportData: new Uint8Array(64) } as const;
  assert.equal((await errorOf(() => device.report(request))).code, "internal/device");
});

Deno.test("connectDevice() throws system/device when the process has ended", async () => {
  const ended = new ReadableStream<Uint8Array<ArrayBuffer>>({ start: (controller) => controller.close() });
  const device = connectDevice({ readable: ended, writable: new WritableStream() });
  assert.equal((await errorOf(() => device.registers.read("rtmr0:sha384"))).code, "system/device");
  const broken = new WritableStream({ write: () => Promise.reject(new Error("EPIPE")) });
  const other = connectDevice({ readable: new ReadableStream(), writable: broken });
  assert.equal((await errorOf(() => other.registers.read("rtmr0:sha384"))).code, "system/device");
});

Deno.test("connectDevice() gives up on a device that is silent, and does not ask it again", async () => {
  const device = connectDevice(
    { readable: new ReadableStream(), writable: new WritableStream() },
    sleepingClock().clock,
  );
  const request = { provider: "tdx_guest", reportData: new Uint8Array(64) } as const;
  const error = await errorOf(() => device.report(request));
  assert.equal(error.code, "system/device-silent");
  assert.match(error.message, /within 120 s/);
  assert.equal((await errorOf(() => device.registers.read("rtmr0:sha384"))).code, "system/device-silent");
});

Deno.test("serveDevice() reads only the files of the registers, and extends only the lock's", async () => {
  const touched: string[] = [];
  const device = behindPipes({
    report: refusing.report,
    registers: {
      read: (name) => Promise.resolve((touched.push(name), new Uint8Array(48))),
      write: (name) => Promise.resolve(void touched.push(name)),
    },
  });
  const malformed = { code: "malformed/device-request" };
  for (const name of ["../../../../../../etc/shadow", "/etc/shadow", "", "rtmr4:sha384", "rtmr3:sha384/.."]) {
    await assert.rejects(device.registers.read(name), malformed);
    await assert.rejects(device.registers.write(name, new Uint8Array(48)), malformed);
  }
  await assert.rejects(device.registers.write("rtmr2:sha384", new Uint8Array(48)), malformed);
  for (const length of [0, 47, 49]) {
    await assert.rejects(device.registers.write("rtmr3:sha384", new Uint8Array(length)), malformed);
  }
  assert.deepEqual(touched, []);
  await device.registers.write("rtmr3:sha384", new Uint8Array(48));
  assert.deepEqual(touched, ["rtmr3:sha384"]);
});
