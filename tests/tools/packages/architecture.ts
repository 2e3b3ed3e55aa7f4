import { WrongArguments } from "../arguments.ts";

/** Names of a machine's architecture, by who uses them. */
export interface Architecture {
  /** Deno's and the kernel's. */
  readonly machine: "x86_64" | "aarch64";
  /** Debian's, Go's and that of container images. */
  readonly debian: "amd64" | "arm64";
}

const ARCHITECTURES: readonly Architecture[] = [
  { machine: "x86_64", debian: "amd64" },
  { machine: "aarch64", debian: "arm64" },
];

/**
 * The architecture that packages can be made for: that of this machine. V8's code cache in the binary is made by running
 * the binary, and `denort` is there for this machine alone.
 *
 * @param wanted Debian's name of the architecture; undefined for this machine's.
 * @throws {WrongArguments} If it is not this machine's, or no packages are made for this machine.
 */
export function packageArchitecture(
  wanted: string | undefined,
  machine: Architecture["machine"] = Deno.build.arch,
): Architecture {
  const own = ARCHITECTURES.find((known) => known.machine === machine);
  if (own === undefined) throw new WrongArguments(`Cannot make packages on a machine of the architecture "${machine}"`);
  if (wanted === undefined || wanted === own.debian) return own;
  if (!ARCHITECTURES.some(({ debian }) => debian === wanted)) {
    const known = ARCHITECTURES.map(({ debian }) => debian).join(" or ");
    throw new WrongArguments(`Cannot read --architecture: it must be ${known}; current value is "${wanted}"`);
  }
  throw new WrongArguments(
    `Cannot make packages for ${wanted} on ${own.debian}: the code cache in the binary is made by running the binary. ` +
      `Run this task on a machine of that architecture, with \`denort\` for it`,
  );
}
