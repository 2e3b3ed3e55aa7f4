/**
 * The credentials that a machine's host hands over by SMBIOS or fw_cfg.
 *
 * systemd reads such credentials too, and obeys some of them: they make files, users and units. So measured images turn
 * that off by a kernel argument (`attestation/uki/kernel_arguments.ts`), and this reader takes only the credentials that the
 * bootstrapper asks for by name.
 *
 * @module
 */
import { join } from "node:path";
import type { Bytes } from "../platform/bytes.ts";
import { fromBase64, fromUtf8, utf8 } from "../platform/bytes.ts";
import { MAXIMUM_DOCUMENT_BYTES } from "../platform/document.ts";
import { asBootstrapError, BootstrapError } from "../platform/errors.ts";
import { readFileIfExists } from "../platform/files.ts";
import { MAXIMUM_SMBIOS_BYTES, readOemStrings } from "./smbios.ts";

/** The name of the credential that carries a node's configuration. */
export const CONFIGURATION_CREDENTIAL = "bootstrapper.config";
/** The name of the credential that carries the founding token, a secret. */
export const TOKEN_CREDENTIAL = "bootstrapper.token";

/** The names of all credentials that are read. */
export const HOST_CREDENTIALS = [CONFIGURATION_CREDENTIAL, TOKEN_CREDENTIAL] as const;
/** One of {@linkcode HOST_CREDENTIALS}. */
export type HostCredentialName = typeof HOST_CREDENTIALS[number];

/** A file's content, its error, or nothing if there is no such file. */
export type FileContent = Bytes | BootstrapError | undefined;

/** What the firmware shows of the host's data. Errors are kept, because a command may need none of it. */
export interface FirmwareData {
  /** The SMBIOS table. */
  readonly smbios: FileContent;
  /** The items of QEMU's fw_cfg, by the names of credentials. */
  readonly fwCfg: ReadonlyMap<HostCredentialName, FileContent>;
}

/** A credential, and where it comes from. */
export interface HostCredential {
  readonly source: string;
  readonly bytes: Bytes;
}

const SMBIOS_TABLE = "sys/firmware/dmi/tables/DMI";
const FW_CFG_FOLDER = "sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials";
/** How each form of a credential in SMBIOS begins. */
const CREDENTIAL_START = "io.systemd.credential";
/** The forms of a credential in SMBIOS, as systemd defines them (systemd.system-credentials(7), systemd-creds(1)). */
const PREFIX = { text: "io.systemd.credential:", base64: "io.systemd.credential.binary:" } as const;
/** Base64 has four characters for three bytes. */
const MAXIMUM_STRING_BYTES = Math.ceil(MAXIMUM_DOCUMENT_BYTES / 3) * 4;

/** Reads what the firmware shows. It takes all permissions of Deno, as the files are below `/sys`. Never throws. */
export async function readFirmwareData(root: string): Promise<FirmwareData> {
  const content = (path: string, maximumBytes: number): Promise<FileContent> =>
    readFileIfExists(join(root, path), maximumBytes).catch(asBootstrapError);
  const items = HOST_CREDENTIALS.map(async (name) =>
    [name, await content(join(FW_CFG_FOLDER, name, "raw"), MAXIMUM_DOCUMENT_BYTES)] as const
  );
  return {
    smbios: await content(SMBIOS_TABLE, MAXIMUM_SMBIOS_BYTES),
    fwCfg: new Map(await Promise.all(items)),
  };
}

/** Wipes what the firmware showed, which may have a secret. */
export function wipeFirmwareData({ smbios, fwCfg }: FirmwareData): void {
  for (const content of [smbios, ...fwCfg.values()]) if (content instanceof Uint8Array) content.fill(0);
}

/**
 * Returns a credential of the host: that of SMBIOS, else that of fw_cfg; `undefined` if there is none.
 *
 * @throws {BootstrapError} `malformed/smbios` if the table is broken and contains a credential,
 *   `malformed/host-credential` if the host gives it twice by SMBIOS, in
 *   another form than it states, or larger than a document; `system/file`, `malformed/size`.
 */
export function hostCredential(data: FirmwareData, name: HostCredentialName): HostCredential | undefined {
  const table = contentOf(data.smbios);
  const string = table === undefined ? undefined : smbiosCredential(oemStrings(table), name);
  if (string !== undefined) return { source: `the credential ${name} of SMBIOS`, bytes: string };
  const item = contentOf(data.fwCfg.get(name));
  return item === undefined ? undefined : { source: `the credential ${name} of fw_cfg`, bytes: item };
}

/**
 * Returns a credential among the strings of type 11. All other strings are passed over.
 *
 * @throws {BootstrapError} `malformed/host-credential`.
 */
export function smbiosCredential(strings: readonly Uint8Array[], name: HostCredentialName): Bytes | undefined {
  const [first, second] = strings.flatMap((string) => valueOf(string, name));
  if (second !== undefined) throw wrong(name, "SMBIOS has it more than once");
  if (first === undefined) return undefined;
  const { form, value } = first;
  if (value.length > (form === "text" ? MAXIMUM_DOCUMENT_BYTES : MAXIMUM_STRING_BYTES)) {
    throw wrong(name, `it has ${value.length} bytes in SMBIOS, more than a document may have`);
  }
  if (form === "text") return value;
  try {
    return fromBase64(fromUtf8(value, name), name);
  } catch (cause) {
    throw wrong(name, `SMBIOS has it as ${PREFIX.base64} but its value is not base64`, cause);
  }
}

function valueOf(string: Uint8Array, name: string): { readonly form: keyof typeof PREFIX; readonly value: Bytes }[] {
  return (["text", "base64"] as const).flatMap((form) => {
    const start = utf8(`${PREFIX[form]}${name}=`);
    const isOurs = start.every((byte, index) => string[index] === byte);
    return isOurs ? [{ form, value: new Uint8Array(string.subarray(start.length)) }] : [];
  });
}

/**
 * A vendor's broken table is no reason to stop a node whose configuration is elsewhere. A table that contains a
 * credential somewhere must be read whole.
 */
function oemStrings(table: Bytes): readonly Uint8Array[] {
  try {
    return readOemStrings(table);
  } catch (error) {
    if (new TextDecoder("latin1").decode(table).includes(CREDENTIAL_START)) throw error;
    return [];
  }
}

function contentOf(content: FileContent): Bytes | undefined {
  if (content instanceof BootstrapError) throw content;
  return content;
}

function wrong(name: string, reason: string, cause?: unknown): BootstrapError {
  return new BootstrapError("malformed/host-credential", `Cannot use the credential ${name} of the host: ${reason}`, {
    cause,
    details: { credential: name },
  });
}
