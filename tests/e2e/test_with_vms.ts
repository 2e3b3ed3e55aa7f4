/**
 * Registers a test that needs VMs, that is, root, Go and `/dev/net/tun`. If one of them is missing, the test is skipped
 * with a message on standard error.
 */
export function testWithVms(name: string, test: (context: Deno.TestContext) => Promise<void>): void {
  const missing = missingForVms();
  if (missing !== undefined) {
    Deno.stderr.writeSync(new TextEncoder().encode(`SKIPPED "${name}": ${missing} is missing\n`));
  }
  Deno.test({ name, ignore: missing !== undefined, fn: test });
}

function missingForVms(): string | undefined {
  if (Deno.uid() !== 0) return "root";
  if (!canStart("go", "version")) return "Go";
  return hasFile("/dev/net/tun") ? undefined : "/dev/net/tun";
}

function canStart(command: string, argument: string): boolean {
  try {
    return new Deno.Command(command, { args: [argument], stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function hasFile(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
