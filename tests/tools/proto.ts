/**
 * Generates `proto/gen/*.ts` from `proto/*.proto`:
 *
 *     npx --yes deno@2.9.5 run --allow-all tests/tools/proto.ts
 *
 * The generated files are kept in the repository; run this program after every change of a `.proto` file. `--check`
 * changes nothing, and exits with 1 when the files in the repository are out of date.
 *
 * @module
 */
import { join } from "node:path";
import { cacheFolder } from "./cache_folder.ts";
import { debianPackages } from "./debian_packages.ts";
import { capture, run } from "./run.ts";

const plugin = "npm:ts-proto@2.18.0/protoc-gen-ts_proto";
const options = [
  "outputServices=grpc-js",
  // Clients would import @grpc/grpc-js wherever a message is read.
  "outputClientImpl=false",
  "esModuleInterop=true",
  "importSuffix=.ts",
  "forceLong=bigint",
  "oneof=unions",
  "useExactTypes=false",
  "env=both",
  "outputJsonMethods=false",
  "outputPartialMethods=true",
];

/**
 * Generates TypeScript for all `.proto` files in `protoFolder` into `target`, and removes all other `.ts` files from
 * there.
 */
export async function generateProto(protoFolder: string, target: string): Promise<void> {
  await debianPackages(["protobuf-compiler", "libprotobuf-dev"]);
  const sources = (await filesEndingWith(protoFolder, ".proto")).toSorted();
  const temporary = await Deno.makeTempDir({ prefix: "bootstrapper-proto-" });
  try {
    const generator = join(temporary, "protoc-gen-ts_proto");
    const command = `exec "${Deno.execPath()}" run --no-config --no-lock --quiet --allow-all ${plugin}`;
    await Deno.writeTextFile(generator, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
    const out = join(temporary, "out");
    await Deno.mkdir(out);
    await run([
      "protoc",
      `--plugin=protoc-gen-ts_proto=${generator}`,
      `--ts_proto_out=${out}`,
      `--ts_proto_opt=${options.join(",")}`,
      `--proto_path=${protoFolder}`,
      ...sources,
    ], { log: join(cacheFolder(), "logs", "proto.log") });
    await Deno.mkdir(target, { recursive: true });
    for (const name of await filesEndingWith(target, ".ts")) await Deno.remove(join(target, name));
    await capture(["cp", "-r", `${out}/.`, target]);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

async function filesEndingWith(folder: string, suffix: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder));
  return names.filter((entry) => entry.isFile && entry.name.endsWith(suffix)).map((entry) => entry.name);
}

if (import.meta.main) {
  const folder = join(import.meta.dirname ?? ".", "../../proto");
  if (Deno.args.includes("--check")) {
    const fresh = await Deno.makeTempDir({ prefix: "bootstrapper-proto-" });
    try {
      await generateProto(folder, fresh);
      await capture(["diff", "-r", join(folder, "gen"), fresh]);
    } finally {
      await Deno.remove(fresh, { recursive: true });
    }
  } else {
    await generateProto(folder, join(folder, "gen"));
  }
}
