/**
 * Compares the values calculated for a UKI with those that systemd's and signing tools calculate for the same image.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ukiRegisters } from "../../../attestation/uki/measurements.ts";
import { hex, randomBytes } from "../../../platform/bytes.ts";

const STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const MEASURE = "/usr/lib/systemd/systemd-measure";
const TOOLS = [STUB, MEASURE, "/usr/bin/objcopy", "/usr/bin/sbsign", "/usr/bin/openssl"];
const missing = TOOLS.filter((path) => !isThere(path));

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

const NAME = "ukiRegisters() calculates what systemd-measure and sbsign calculate";
Deno.test({
  name: missing.length === 0 ? NAME : `${NAME} -- IGNORED: there is no ${missing.join(", ")}`,
  ignore: missing.length > 0,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const path = (name: string) => join(folder, name);
      // Addresses as in systemd-stub(7), so that no sections overlap in memory.
      const sections = [["osrel", 0x20000, 61], ["cmdline", 0x30000, 19], ["linux", 0x2000000, 0], [
        "initrd",
        0x3000000,
        60_003,
      ]] as const;
      // The stub itself is a PE image and stands in for a kernel.
      const kernel = await Deno.readFile(STUB);
      const added: string[] = [];
      for (const [name, address, length] of sections) {
        await Deno.writeFile(path(name), name === "linux" ? kernel : randomBytes(length));
        added.push("--add-section", `.${name}=${path(name)}`, "--change-section-vma", `.${name}=${address}`);
      }
      await run("/usr/bin/objcopy", ...added, STUB, path("uki.efi"));
      const files = sections.map(([name]) => `--${name}=${path(name)}`);
      for (const phases of ["", "enter-initrd:leave-initrd:sysinit:ready"]) {
        const calculated = await run(MEASURE, "calculate", "--bank=sha256", `--phase=${phases || ":"}`, ...files);
        const words = phases.split(":").filter((word) => word !== "");
        const { kernelImage } = await ukiRegisters(await Deno.readFile(path("uki.efi")), "uki.efi", words);
        assert.equal(/11:sha256=([0-9a-f]{64})/.exec(calculated)?.[1], hex(kernelImage));
      }

      const key = ["-keyout", path("key.pem"), "-out", path("certificate.pem"), "-subj", "/CN=test", "-days", "9"];
      await run("/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", ...key);
      const signer = ["--key", path("key.pem"), "--cert", path("certificate.pem")];
      await run("/usr/bin/sbsign", ...signer, "--output", path("signed.efi"), path("uki.efi"));
      await run("/usr/bin/sbattach", "--detach", path("signature"), path("signed.efi"));
      // SpcIndirectDataContent contains the digest that was signed: the first OCTET STRING of 32 bytes.
      const signature = hex(await Deno.readFile(path("signature")));
      const { measurements } = await ukiRegisters(await Deno.readFile(path("signed.efi")), "signed.efi");
      const image = measurements.find(({ description }) => description.includes("the image"));
      assert.ok(signature.includes(`0420${image?.digest}`));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
