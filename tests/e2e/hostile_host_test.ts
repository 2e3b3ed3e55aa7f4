import assert from "node:assert/strict";
import { extendedOnce, trustDigest } from "../../protocol/transcript.ts";
import { readNodeConfiguration } from "../../node/configuration.ts";
import { hex } from "../../platform/bytes.ts";
import { bootstrapImage } from "./bootstrap_image.ts";
import { deadlinesMs } from "./deadlines.ts";
import { inOrder } from "./in_order.ts";
import type { Machine } from "./machine.ts";
import { Operator } from "./operator.ts";
import { testWithVms } from "./test_with_vms.ts";
import { Testbed } from "./testbed.ts";

/** Credentials that systemd obeys (systemd.system-credentials(7)). Some of them only later versions know. */
const HOSTILE: Readonly<Record<string, string>> = {
  "tmpfiles.extra": "f /etc/hostile-file 0644 root root - yes\n",
  "sysusers.extra": 'u hostile - "made by the host" /root /bin/sh\n',
  "passwd.hashed-password.root": "$6$hostile$hostile",
  "ssh.authorized_keys.root": "ssh-ed25519 hostile",
};
/** Credentials whose names are too long for fw_cfg. */
const LONG: Readonly<Record<string, string>> = {
  "systemd.extra-unit.hostile.service": "[Service]\nExecStart=/bin/touch /etc/hostile-unit\n",
  "systemd.unit-dropin.bootstrapper.service": "[Service]\nExecStartPre=/bin/touch /etc/hostile-dropin\n",
};
/** What a machine shows of its host's credentials. */
const LOOK = `
ls -d /etc/hostile-* /run/credentials/@system 2>/dev/null || true
systemctl list-unit-files --no-legend 'hostile*' || true
systemctl cat bootstrapper.service | grep hostile || true
grep -rs hostile /etc/passwd /etc/shadow /root/.ssh || true
`;
const memoryMiB = 1024;

testWithVms(
  "A host's credentials do nothing to a VM but configure its bootstrapper, and its switches show in PCR 12",
  async (test) => {
    const { image, binary } = await bootstrapImage();
    await using testbed = await Testbed.create();
    const step = inOrder(test, testbed);
    const operator = await Operator.create(testbed, binary);
    const configuration = operator.nodeConfiguration();
    const unmeasured = `${configuration}allowUnmeasuredImage: true\n`;
    const hostile = { smbiosCredentials: { ...HOSTILE, ...LONG }, credentials: HOSTILE };
    const machine = await testbed.machine({
      ...{ name: "node-1", number: 11, image, memoryMiB, smbiosCredentials: hostile.smbiosCredentials },
      credentials: { ...HOSTILE, "bootstrapper.config": configuration },
    });
    // The last of several arguments counts.
    const obedient = await testbed.machine({
      ...{ name: "node-2", number: 12, image, memoryMiB, ...hostile },
      kernelArguments: ["systemd.import_credentials=yes"],
    });
    const said = (one: Machine, text: string, since: number) =>
      one.journal.waitFor({
        what: `"${text}" of ${one.name}`,
        deadlineMs: deadlinesMs.boot,
        match: ({ message }) => message.includes(text),
        since,
      });
    const look = async (one: Machine) => {
      await one.waitUntilBooted(deadlinesMs.boot);
      const { exitCode, stdout, stderr } = await one.exec(["sh", "-euc", LOOK], { deadlineMs: deadlinesMs.command });
      assert.equal(exitCode, 0, stderr);
      return stdout;
    };
    const pcr12 = async () => {
      const register = ["cat", "/sys/class/tpm/tpm0/pcr-sha256/12"] as const;
      const { stdout } = await machine.exec(register, { deadlineMs: deadlinesMs.command });
      return stdout.trim().toLowerCase();
    };
    const measured = async (text: string) =>
      hex(await extendedOnce(await trustDigest(readNodeConfiguration(text, "the node's configuration").trust)));

    await step("policy make warns of the image whose kernel arguments let systemd import credentials", async () => {
      const identity = await machine.identity();
      const warnings = async (one: Machine) => {
        const made = await operator.run(["policy", "make", "--uki", one.bootImage, "--identity", identity]);
        assert.equal(made.exitCode, 0, made.stderr);
        return made.stdout.includes("CREDENTIALS: ");
      };
      assert.deepEqual([await warnings(machine), await warnings(obedient)], [false, true]);
    });

    await step("the VM gets its configuration from fw_cfg, and nothing of what the host wanted happens", async () => {
      await machine.start();
      await said(machine, "configuration the credential bootstrapper.config of fw_cfg", 0);
      await said(machine, '"event":"init-server-listening"', 0);
      assert.equal(await look(machine), "");
      assert.equal(await pcr12(), await measured(configuration));
      const findings = (await machine.journal.entries()).filter(({ message }) =>
        message.includes("image-not-measured")
      );
      assert.deepEqual(findings, []);
    });

    await step("with allowUnmeasuredImage in its configuration, now from SMBIOS, PCR 12 differs", async () => {
      await machine.kill();
      const since = await machine.journal.position();
      await machine.setSmbiosCredential("bootstrapper.config", unmeasured);
      await machine.start();
      await said(machine, "configuration the credential bootstrapper.config of SMBIOS", since);
      await said(machine, '"event":"init-server-listening"', since);
      assert.equal(await look(machine), "");
      assert.equal(await pcr12(), await measured(unmeasured));
      assert.notEqual(await pcr12(), await measured(configuration));
      await machine.kill();
    });

    await step(
      "the same credentials take over a VM that imports them, which refuses to bootstrap for that",
      async () => {
        await obedient.setCredential("bootstrapper.config", configuration);
        await obedient.start();
        await said(obedient, '"code":"precondition/unmeasured-image"', 0);
        const shown = await look(obedient);
        for (const text of ["/etc/hostile-file", "/run/credentials/@system", "/etc/passwd:hostile:"]) {
          assert.ok(shown.includes(text), shown);
        }
        await said(obedient, "The kernel arguments lack systemd.import_credentials=no", 0);
      },
    );
  },
);
