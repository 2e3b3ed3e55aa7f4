import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { copyOf } from "../platform/bytes.ts";
import { findUnmeasured } from "./image_measured.ts";
import { foldersOfCode } from "./mounts.ts";

const STUB_INFO = "sys/firmware/efi/efivars/StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const VERITY_ROOT = "22 1 253:0 / / ro,relatime shared:1 - erofs /dev/mapper/root ro\n";
const measured = {
  "proc/self/mountinfo": VERITY_ROOT +
    "30 22 8:3 / /var rw - ext4 /dev/sda3 rw\n31 22 0:25 / /run rw - tmpfs tmpfs rw\n",
  "sys/dev/block/253:0/dm/uuid": "CRYPT-VERITY-0123456789abcdef-root\n",
  [STUB_INFO]: "systemd-stub",
  "proc/cmdline": "ro quiet systemd.import_credentials=no\n",
  "run/credentials/@system/bootstrapper.config": "",
};

function registers(value: number) {
  return { read: (index: number) => Promise.resolve(copyOf(new Uint8Array(32).fill(index === 11 ? value : 0))) };
}

async function findings(files: Readonly<Record<string, string | undefined>>, pcr11 = 7): Promise<readonly string[]> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries({ ...measured, ...files })) {
      if (text === undefined) continue;
      await Deno.mkdir(dirname(join(root, path)), { recursive: true });
      await Deno.writeTextFile(join(root, path), text);
    }
    const found = await findUnmeasured({ root, ...(pcr11 < 0 ? {} : { registers: registers(pcr11) }) });
    return found.map(({ check, message }) => `${check}: ${message}`);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

async function assertFindings(
  files: Readonly<Record<string, string | undefined>>,
  expected: readonly RegExp[],
  pcr11?: number,
): Promise<void> {
  const found = await findings(files, pcr11);
  assert.equal(found.length, expected.length, found.join("\n"));
  for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? "", pattern);
}

Deno.test("findUnmeasured() finds nothing when the image is on dm-verity and booted as a unified kernel", async () => {
  await assertFindings({}, []);
  await assertFindings({ "proc/self/mountinfo": "1 1 0:2 / / rw - rootfs rootfs rw\n" }, []);
  const volatile = "1 1 0:30 / / rw - tmpfs tmpfs rw\n2 1 253:0 / /usr ro - squashfs /dev/dm-0 ro\n";
  await assertFindings({ "proc/self/mountinfo": volatile }, []);
});

Deno.test("findUnmeasured() names the folder when its disk can be changed", async () => {
  const plain = "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  await assertFindings({ "proc/self/mountinfo": plain }, [/^file-system: \/ is neither/]);
  const encrypted = { "sys/dev/block/253:0/dm/uuid": "CRYPT-LUKS2-0123-root\n" };
  await assertFindings(encrypted, [/^file-system: \/ /]);
  const etc = VERITY_ROOT + "2 1 8:2 /etc /etc rw - ext4 /dev/sda2 rw\n";
  await assertFindings({ "proc/self/mountinfo": etc }, [/^file-system: \/etc /]);
  const overlay = VERITY_ROOT + "2 1 0:40 / /usr ro - overlay overlay ro,lowerdir=/usr,upperdir=/var/x\n";
  await assertFindings({ "proc/self/mountinfo": overlay }, [/^file-system: \/usr /]);
  await assertFindings({ "proc/self/mountinfo": "" }, [/^file-system: \/ /]);
});

Deno.test("findUnmeasured() reports kernel arguments that are not fixed, and a boot that was not measured", async () => {
  await assertFindings({ [STUB_INFO]: undefined }, [/^kernel-arguments: /]);
  await assertFindings({}, [/^boot-measurement: PCR 11 is zero/], 0);
  await assertFindings({}, [/^boot-measurement: There is no TPM/], -1);
});

Deno.test("findUnmeasured() names the kernel argument without which systemd obeys the host's credentials", async () => {
  const expected = [/^credential: The kernel arguments lack systemd\.import_credentials=no: /];
  await assertFindings({ "proc/cmdline": "ro quiet\n" }, expected);
  await assertFindings({ "proc/cmdline": "systemd.import_credentials=no systemd.import_credentials=yes" }, expected);
});

Deno.test("findUnmeasured() names each credential when it may grant root", async () => {
  const harmful = [
    "passwd.hashed-password.root",
    "ssh.authorized_keys.root",
    "systemd.extra-unit.x.service",
    "sysusers.extra",
    "tmpfiles.extra",
    "unknown",
  ];
  const folder = "run/credentials/@system";
  const files = Object.fromEntries(harmful.map((name) => [`${folder}/${name}`, ""]));
  await assertFindings(files, harmful.map((name) => new RegExp(`^credential: .*"${name}"`)));
  await assertFindings({ "run/credentials/@encrypted/fstab.extra": "" }, [/"fstab.extra"/]);
  await assertFindings({ [`${folder}/bootstrapper.config.x`]: "", [`${folder}/system.hostname`]: "" }, []);
});

Deno.test("foldersOfCode() always has the root folder, and the last mount of each", () => {
  fc.assert(fc.property(fc.string(), (text) => assert.ok(foldersOfCode(text).some(({ folder }) => folder === "/"))));
  const twice = "1 1 8:1 / / rw - ext4 a rw\n1 1 0:5 / / rw shared:1 master:2 - tmpfs b rw\n";
  assert.deepEqual(foldersOfCode(twice), [{ folder: "/", device: "0:5", type: "memory" }]);
});
