import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { prepareImage } from "../tools/prepare_image.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";

const bootDeadlineMs = 180_000;
const commandDeadlineMs = 60_000;

const showUnit = `[Unit]
Description=Shows what the machine was given
[Service]
Type=oneshot
ExecStart=/usr/local/bin/show
[Install]
WantedBy=multi-user.target
`;
const show = `#!/bin/sh
echo "config is $(sha256sum </sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/bootstrapper.config/raw)"
for register in 12 15; do echo "PCR $register is $(cat /sys/class/tpm/tpm0/pcr-sha256/$register)"; done
`;
/** More than fits into a kernel command line. */
const configBytes = 200_000;
const zeroRegister = "0".repeat(64);

testWithVms("Machine", async (test) => {
  const image = await prepareImage({
    files: [
      { target: "/etc/systemd/system/show.service", mode: 0o644, content: showUnit },
      { target: "/usr/local/bin/show", mode: 0o755, content: show },
    ],
    enable: ["show.service"],
  });
  await using testbed = await Testbed.create();
  const config = new TextEncoder().encode("cluster: one".padEnd(configBytes));
  const credentials = { "bootstrapper.config": config };
  const machine = await testbed.machine({ name: "node-1", number: 11, image, credentials });
  const bootOf = async (since: number) => {
    const match = (entry: { identifier: string }) => entry.identifier === "kernel";
    return (await machine.journal.waitFor({ what: "boot", deadlineMs: bootDeadlineMs, match, since })).boot;
  };
  const shown = async (text: string, since = 0) => {
    const match = (entry: { message: string }) => entry.message.includes(text);
    await machine.journal.waitFor({
      what: `"${text.slice(0, 40)}" in the journal`,
      deadlineMs: bootDeadlineMs,
      match,
      since,
    });
  };
  let firstBoot = "";
  let passed = true;
  const step = async (name: string, work: () => Promise<void>) => {
    passed &&= await test.step(name, work);
  };

  await step("start() boots with the credentials and zero PCRs, and the journal arrives on the host", async () => {
    await machine.start();
    await shown(`config is ${createHash("sha256").update(config).digest("hex")}`);
    await shown(`PCR 12 is ${zeroRegister}`);
    await shown(`PCR 15 is ${zeroRegister}`);
    firstBoot = await bootOf(0);
  });

  await step("exec() runs a command as root, with its name and address set", async () => {
    await machine.waitUntilBooted(bootDeadlineMs);
    const script = "id -u; hostname; ip -4 -o address show dev eth0; cat; exit 3";
    const result = await machine.exec(["sh", "-c", script], { deadlineMs: commandDeadlineMs, input: "from stdin" });
    assert.equal(result.exitCode, 3);
    assert.match(result.stdout, /^0\nnode-1\n.* 10\.77\.0\.11\/24 .*from stdin$/s);
  });

  await step("the operator reaches it over the network unless its cable is unplugged", async () => {
    // No process listens on this port, so the refusal comes from the machine itself.
    const connect = ["timeout", "5", "bash", "-c", `</dev/tcp/${machine.address}/9`];
    assert.match((await testbed.exec(connect)).stderr, /Connection refused/);
    await machine.setLink(false);
    assert.doesNotMatch((await testbed.exec(connect)).stderr, /Connection refused/);
    await machine.setLink(true);
  });

  await step("its TPM has an RSA-2048 EK certificate signed by the testbed's authority", async () => {
    const chain = [testbed.authority.rootCertificate, testbed.authority.issuerCertificate];
    const convert = `openssl x509 -inform DER -in "$1" -outform PEM -out "$1.pem" && \
      openssl verify -ignore_critical -CAfile "$2" -untrusted "$3" "$1.pem"`;
    const verified = await testbed.exec(["sh", "-c", convert, "sh", machine.ekCertificate, ...chain]);
    assert.equal(verified.exitCode, 0, verified.stderr);
  });

  await step("kill() and start() keep the state and reset the PCRs", async () => {
    await machine.exec(["sh", "-c", "echo kept >/var/lib/kept && sync"], { deadlineMs: commandDeadlineMs });
    await machine.kill();
    assert.equal(await machine.isRunning(), false);
    const since = await machine.journal.position();
    await machine.start();
    await shown(`PCR 15 is ${zeroRegister}`, since);
    assert.notEqual(await bootOf(since), firstBoot);
    await machine.waitUntilBooted(bootDeadlineMs);
    const kept = await machine.exec(["cat", "/var/lib/kept"], { deadlineMs: commandDeadlineMs });
    assert.equal(kept.stdout, "kept\n");
  });

  await step("reset() boots again", async () => {
    const since = await machine.journal.position();
    await machine.reset();
    await shown(`PCR 15 is ${zeroRegister}`, since);
  });

  await step("powerOff() shuts it down cleanly", async () => {
    await machine.waitUntilBooted(bootDeadlineMs);
    await machine.powerOff(bootDeadlineMs);
    assert.equal(await machine.isRunning(), false);
  });
});
