import assert from "node:assert/strict";
import { join } from "node:path";
import type { RunMachine } from "../node/run_machine.ts";

const FOLDERS = ["/var/lib/bootstrapper", "/etc/kubernetes", "/var/lib/kubelet", "/var/lib/etcd"];

/**
 * Files that a node without a lock may have in addition: its status and timeline, its run lock, the name and address
 * that it keeps when it is locked and, where its kind of evidence has no identity of its own, the key that is its
 * identity. A killed writer leaves a temporary file of one of them.
 */
const OWN_FILES = [
  /^\/var\/lib\/bootstrapper\/(?:status|timeline|self)\.json$/,
  /^\/var\/lib\/bootstrapper\/run\.lock$/,
  /^\/var\/lib\/bootstrapper\/identity\.key$/,
  /^\/var\/lib\/bootstrapper\/\.(?:(?:status|timeline|self)\.json|identity\.key)\.[0-9a-f]{16}\.tmp$/,
];

/** Every path below the folders that a bootstrap changes, with its content. */
export async function treeOf({ node }: RunMachine): Promise<ReadonlyMap<string, string>> {
  const tree = new Map<string, string>();
  const walk = async (folder: string) => {
    for await (const { name, isDirectory } of Deno.readDir(node.path(folder))) {
      const path = join(folder, name);
      const content = isDirectory ? "folder" : await textIfThere(node.path(path));
      if (content !== undefined) tree.set(path, content);
      if (isDirectory) await walk(path);
    }
  };
  for (const folder of FOLDERS) await walk(folder);
  return tree;
}

/** Undefined if the file is gone, as a running node may rename its temporary files at any moment. */
async function textIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Asserts that a machine is as fresh as before. */
export async function assertFresh(machine: RunMachine, before: ReadonlyMap<string, string>): Promise<void> {
  const now = await treeOf(machine);
  const changed = [...now].filter(([path, content]) => before.get(path) !== content).map(([path]) => path);
  assert.deepEqual(changed.filter((path) => !OWN_FILES.some((own) => own.test(path))), []);
  assert.deepEqual([...before.keys()].filter((path) => !now.has(path)), []);
}
