/**
 * Finds the file systems that a machine's code comes from.
 *
 * @module
 */

/** A folder that holds code or its configuration, and its file system. */
export interface FolderOfCode {
  readonly folder: string;
  /** In memory, on a block device, or anything else, such as a network, a folder of the host, or layers. */
  readonly type: "memory" | "block" | "other";
  /** The device number, `MAJOR:MINOR`. */
  readonly device: string;
}

/**
 * The folders from which systemd, and the services that it starts, take code and units (file-hierarchy(7)). If several
 * file systems are mounted on one, the last counts.
 */
const FOLDERS = ["/", "/usr", "/etc", "/opt", "/usr/local", "/lib", "/bin", "/sbin", "/lib64"];
const MEMORY_TYPES = ["rootfs", "ramfs", "tmpfs"];

/**
 * Returns the mounted folders that hold a machine's code. The root folder is always among them.
 *
 * @param mountinfo The content of `/proc/self/mountinfo` (proc(5)): id, parent, `MAJOR:MINOR`, root, mount point,
 *   options, optional fields, `-`, type, source, options.
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
