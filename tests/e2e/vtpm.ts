import { join } from "node:path";
import { run } from "../tools/run.ts";
import { type StartedProcess, startProcess } from "./process.ts";

/** The authority that signs the EK certificates of a testbed's vTPMs. swtpm's tools make it. */
export interface VtpmAuthority {
  /** The folder with its keys, and with each vTPM's EK certificate as `NAME.der`. */
  readonly folder: string;
  readonly setupConfig: string;
  /** The self-signed root certificate, PEM. */
  readonly rootCertificate: string;
  /** The certificate that signs the EK certificates, PEM; the root issued it. */
  readonly issuerCertificate: string;
}

/** The EK certificate authority in a folder. swtpm's tools make its keys when the first vTPM is manufactured. */
export async function createVtpmAuthority(folder: string): Promise<VtpmAuthority> {
  const authority = join(folder, "ek-authority");
  await Deno.mkdir(authority, { recursive: true });
  const issuerCertificate = join(authority, "issuer.pem");
  const config = join(authority, "localca.conf");
  const options = join(authority, "localca.options");
  const setupConfig = join(authority, "setup.conf");
  const tool = join(authority, "localca");
  await Deno.writeTextFile(tool, certificateTool, { mode: 0o755 });
  await Deno.writeTextFile(
    config,
    [
      `statedir = ${authority}`,
      `signingkey = ${join(authority, "signing-key.pem")}`,
      `issuercert = ${issuerCertificate}`,
      `certserial = ${join(authority, "serial")}`,
      "",
    ].join("\n"),
  );
  await Deno.writeTextFile(
    options,
    "--platform-manufacturer bootstrapper\n--platform-version 1\n--platform-model test\n",
  );
  await Deno.writeTextFile(
    setupConfig,
    [
      `create_certs_tool = ${tool}`,
      `create_certs_tool_config = ${config}`,
      `create_certs_tool_options = ${options}`,
      "active_pcr_banks = sha256",
      "",
    ].join("\n"),
  );
  return {
    folder: authority,
    setupConfig,
    issuerCertificate,
    rootCertificate: join(authority, "swtpm-localca-rootca-cert.pem"),
  };
}

/** Calls swtpm's own tool, and keeps a copy of every RSA EK certificate in the folder. */
const certificateTool = `#!/bin/sh
set -eu
swtpm_localca "$@"
while [ $# -gt 0 ]; do
  case $1 in
    --type) type=$2 ;;
    --ek) ek=$2 ;;
    --dir) dir=$2 ;;
    --vmid) name=$2 ;;
  esac
  shift
done
case $type-$ek in
  ek-x=*) ;;
  ek-*) cp "$dir/ek.cert" "$(dirname "$0")/$name.der" ;;
esac
`;

/**
 * Manufactures a TPM 2.0: seeds, an RSA-2048 EK, and its certificate at NV index 0x01c00002.
 *
 * @param state an empty folder, as an absolute path, for the TPM's entire state
 * @param name becomes part of the certificate; the authority's folder keeps a copy as `NAME.der`
 */
export async function manufactureVtpm(authority: VtpmAuthority, state: string, name: string): Promise<void> {
  const tpm = ["--tpm2", "--tpmstate", state, "--create-ek-cert", "--lock-nvram", "--pcr-banks", "sha256"];
  const log = join(state, "../swtpm.log");
  await run(["swtpm_setup", ...tpm, "--config", authority.setupConfig, "--vmid", name, "--not-overwrite"], { log });
}

/** Starts a vTPM. It ends when QEMU closes the connection. */
export async function startVtpm(state: string, socket: string, keepRunning: boolean): Promise<StartedProcess> {
  const control = ["--ctrl", `type=unixio,path=${socket}`, "--terminate"];
  return await startProcess(["swtpm", "socket", "--tpm2", "--tpmstate", `dir=${state}`, ...control], {
    log: join(state, "../swtpm.log"),
    cwd: state,
    keepRunning,
  });
}
