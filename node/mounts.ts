/**
 * Which file systems the code of a machine comes from.
 *
 * @module
 */

/** A folder that code or its configuration is run from, and what it is on. */
export interface FolderOfCode {
  /** Its path. */
  readonly folder: string;
  /** In memory, on a block device, or anything else: a network, a host's folder, layers. */
  readonly type: "memory" | "block" | "other";
  /** `MAJOR:MINOR`. */
  readonly device: string;
}

/** Where systemd and what it starts take code and units from (file-hierarchy(7)). The last mount on each counts. */
const FOLDERS = ["/", "/usr", "/etc", "/opt", "/usr/local", "/lib", "/bin", "/sbin", "/lib64"];
const MEMORY_TYPES = ["rootfs", "ramfs", "tmpfs"];

/**
 * The mounts of a machine that code is run from; the root folder is always among them.
 *
 * @param mountinfo `/proc/self/mountinfo` (proc(5)): id, parent, `MAJOR:MINOR`, root, mount point, options, optional
 *   fields, `-`, type, source, options.
 */
export function foldersOfCode(mountinfo: string): readonly FolderOfCode[] {
  const found = new Map<string, FolderOfCode>([["/", { folder: "/", type: "other", device: "" }]]);
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const [, , device, , folder] = fields;
    const type = fields[fields.indexOf("-") + 1] ?? "";
    if (device === undefined || folder === undefined || !FOLDERS.includes(folder)) continue;
    found.set(folder, { folder, device, type: typeOf(type, device) });
  }
  return [...found.values()];
}

function typeOf(fileSystem: string, device: string): FolderOfCode["type"] {
  if (MEMORY_TYPES.includes(fileSystem)) return "memory";
  // File systems without a block device of their own have major number 0 (overlay, 9p, virtiofs, nfs).
  return device.startsWith("0:") ? "other" : "block";
}
